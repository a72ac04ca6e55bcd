"""How the sample becomes now: one whole number of weeks, fixed when the demo tenant is made. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

CUT: Final = datetime(2016, 3, 7, tzinfo=UTC)
"""The end of the community's liveliest four weeks (`liveliest_week` measures it); this instant is brought to now."""
WEEK: Final = timedelta(weeks=1)


def weeks_to(now: datetime) -> int:
    """The whole number of weeks that brings CUT nearest to `now`, at most half a week off."""
    return (now - CUT + WEEK / 2) // WEEK


@dataclass(frozen=True, slots=True)
class Shift:
    """The move of one demo: `weeks` ahead; what would then lie after `now` is dropped."""

    weeks: int
    now: datetime

    def instant(self, seconds: int) -> datetime:
        """The moved instant of a sample's Unix time."""
        return datetime.fromtimestamp(seconds, UTC) + self.weeks * WEEK

    def moment(self, text: str) -> datetime:
        """The moved instant of a sample's RFC 3339 time."""
        return datetime.fromisoformat(text) + self.weeks * WEEK

    def day(self, text: str) -> date:
        """The moved day of a sample's ISO day: the same weekday."""
        return date.fromisoformat(text) + self.weeks * WEEK

    def later(self, instant: datetime) -> bool:
        """Whether a moved instant lies after now."""
        return instant > self.now

    @property
    def cut(self) -> datetime:
        """The sample's own instant that is now."""
        return self.now - self.weeks * WEEK


def liveliest_week(seen: list[tuple[date, str]]) -> date:
    """The Monday that closes the liveliest weeks: most accounts with a (day, account) in the 28 days before it, then in
    the 90 days before it, then the earliest. Raises ValueError without any."""
    first, last = min(day for day, _ in seen), max(day for day, _ in seen)
    monday = first + timedelta(days=7 - first.weekday())
    mondays = [monday + timedelta(weeks=number) for number in range((last - monday).days // 7 + 2)]
    days: dict[date, set[str]] = {}
    for day, account in seen:
        days.setdefault(day, set()).add(account)
    return max(mondays, key=lambda at: (_accounts(days, at, 28), _accounts(days, at, 90), -at.toordinal()))


def _accounts(days: dict[date, set[str]], end: date, length: int) -> int:
    return len(set[str]().union(*(days.get(end - timedelta(days=back), ()) for back in range(1, length + 1))))
