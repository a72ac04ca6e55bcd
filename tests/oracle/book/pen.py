"""What every chapter writes with: days that lie on edges, instants at midnight, ids in no order, money."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

Fact = dict[str, Any]
SPAN = 760  # days that the book looks back


def base_after(now: datetime) -> datetime:
    """The instant at which a book ends: noon UTC of 10 May of the next leap year, so that 29 February lies behind."""
    year = now.year
    while year % 4 or (year % 100 == 0 and year % 400) or datetime(year, 5, 10, 12, tzinfo=UTC) <= now:
        year += 1
    return datetime(year, 5, 10, 12, tzinfo=UTC)


class Pen:
    """Writes the facts of one tenant up to `base`."""

    def __init__(self, seed: int, zone: str, currency: str, base: datetime) -> None:
        self.random = Random(f"{seed} {zone}")
        self.zone, self.currency, self.base = ZoneInfo(zone), currency, base
        self.today = base.astimezone(self.zone).date()
        self.facts: list[Fact] = []
        self.edges = [back for back in range(SPAN) if (self.today - timedelta(days=back - 1)).day == 1]

    def write(self, kind: str, **fields: Any) -> Fact:
        """One more fact, under an id whose order says nothing."""
        fact = {"type": kind, "id": f"{self.random.randrange(16**8):08x}-{len(self.facts)}", **fields}
        self.facts.append(fact)
        return fact

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self.random.random() < share

    def back(self, oldest: int, newest: int = 0) -> int:
        """A number of days before today between both, now and then the last day of a month."""
        near = [edge for edge in self.edges if newest <= edge <= oldest]
        if near and self.chance(0.15):
            return self.random.choice(near)
        return self.random.randint(newest, max(newest, oldest))

    def day(self, back: int) -> str:
        """The day so many days before today (negative: after it)."""
        return (self.today - timedelta(days=back)).isoformat()

    def at(self, back: int) -> str:
        """An instant on that day: at times its first or last, else any; never after the book's end."""
        day = self.today - timedelta(days=back)
        kind = self.random.random()
        seconds = 0 if kind < 0.08 else 86_399 if kind < 0.16 else self.random.randrange(86_400)
        micros = 999_999 if 0.08 <= kind < 0.16 else 0
        instant = _local(day, seconds, micros, self.zone)
        return stamp(min(instant, self.base) if back >= 0 else instant)

    def money(self, low: int, high: int) -> str:
        """An amount; few enough different ones that ties happen."""
        amount = self.random.randint(low, high) * 1_000
        if self.currency == "JPY" or self.chance(0.7):
            return str(amount)
        return f"{amount}.{self.random.choice(['50', '05', '99'])}"

    def price(self, field: str, high: int) -> Fact:
        """An amount with its currency; in a tenant in yen some are in dollars."""
        if self.currency == "JPY" and self.chance(0.05):
            return {
                field: f"{self.random.randint(1, high * 7)}.{self.random.choice(['00', '02', '06'])}",
                "currency": "USD",
            }
        return {field: self.money(0 if field == "acv" else 1, high), "currency": self.currency}

    def soon(self) -> str:
        """An instant two to five minutes after the book's end: doors take what lies so little ahead."""
        return stamp(self.base + timedelta(seconds=self.random.randint(120, 290)))

    def midnight(self, back: int) -> str:
        """00:00 of the day so many days before today."""
        return stamp(_local(self.today - timedelta(days=back), 0, 0, self.zone))


def _local(day: date, seconds: int, micros: int, zone: ZoneInfo) -> datetime:
    naive = datetime(day.year, day.month, day.day) + timedelta(seconds=seconds, microseconds=micros)  # noqa: DTZ001
    return naive.replace(tzinfo=zone).astimezone(UTC)


def stamp(instant: datetime) -> str:
    """RFC 3339 in UTC, microseconds kept."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
