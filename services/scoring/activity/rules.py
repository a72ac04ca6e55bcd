"""Activity: what counts as an attempt, when an inbound contact is answered, and how long that may take. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from shared.clock import day_of, start_of_day

Key = str | None
REACHED: Final = ("reached", "replied")
TRIED: Final = (*REACHED, "no_answer", "bounced", "cancelled")  # an attempt; `planned` and `note` are none
SPOKEN: Final = ("phone", "video", "meeting", "event")  # a conversation that took place is its own answer
WRITTEN: Final = ("email", "chat")  # what was sent answers, read or not (`no_answer`: sent, nothing known)
_WORKDAYS: Final = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts and those of them that reached somebody; distinct accounts of both."""

    attempts: int = 0
    reached: int = 0
    accounts: int = 0
    accounts_reached: int = 0

    @property
    def rate(self) -> float | None:
        """Reached ÷ attempts; None without attempts."""
        return self.reached / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A contact that came from the customer. `answered_at`: the first outbound answer by T."""

    account_id: str
    id: str
    at: datetime
    channel: str
    outcome: str
    csm_id: str | None
    key: Key
    answered_at: datetime | None

    @property
    def waits(self) -> bool:
        """Whether it asks for an answer: a call or meeting that took place was answered while it lasted."""
        return not (self.channel in SPOKEN and self.outcome in REACHED)

    @property
    def open(self) -> bool:
        """Whether it still waits at T."""
        return self.waits and self.answered_at is None

    @property
    def answer_s(self) -> float | None:
        """Seconds to the first answer; None for what waits or asks for none."""
        return (self.answered_at - self.at).total_seconds() if self.waits and self.answered_at else None


@dataclass(frozen=True, slots=True)
class Answering:
    """How inbound contacts were answered: how many came, ask for an answer, got one; the median time in seconds; how
    many are open, and for more than one working day."""

    came: int = 0
    waiting: int = 0
    answered: int = 0
    median_s: float | None = None
    open: int = 0
    overdue: int = 0


def week_of(at: datetime, tz: ZoneInfo) -> date:
    """The Monday of the ISO week that an instant lies in."""
    day = day_of(at, tz)
    return day - timedelta(days=day.weekday())


def iso_week(monday: date) -> str:
    """Its name: `2026-W25`."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02d}"


def answer_due(at: datetime, tz: ZoneInfo) -> datetime:
    """When one working day is over: the end of the first weekday (Monday to Friday) after the day it came in."""
    day = day_of(at, tz) + timedelta(days=1)
    while day.weekday() >= _WORKDAYS:
        day += timedelta(days=1)
    return start_of_day(day + timedelta(days=1), tz)


def overdue(one: Inbound, now: datetime, tz: ZoneInfo) -> bool:
    """Open for more than one working day at T."""
    return one.open and now >= answer_due(one.at, tz)


def answering(contacts: Sequence[Inbound], now: datetime, tz: ZoneInfo) -> Answering:
    """The figures of some inbound contacts at T."""
    times = [seconds for one in contacts if (seconds := one.answer_s) is not None]
    return Answering(
        came=len(contacts),
        waiting=sum(one.waits for one in contacts),
        answered=len(times),
        median_s=median(times) if times else None,
        open=sum(one.open for one in contacts),
        overdue=sum(overdue(one, now, tz) for one in contacts),
    )


@dataclass(slots=True)
class Group:
    """One CSM (team, everybody) in a week, or over the whole period."""

    whole: Tally = Tally()
    channels: dict[str, Tally] = field(default_factory=dict[str, Tally])
    inbound: list[Inbound] = field(default_factory=list[Inbound])


Groups = dict[Key, Group]


def by_week(contacts: Iterable[Inbound], weeks: Mapping[date | None, Groups], tz: ZoneInfo) -> None:
    """Puts each inbound contact into its group of its week, and into that of the whole period (week None)."""
    for one in contacts:
        for week in (week_of(one.at, tz), None):
            weeks[week].setdefault(one.key, Group()).inbound.append(one)


def mondays(first: date, last: date) -> list[date]:
    """The weeks that the days `first`…`last` touch, by their Mondays."""
    monday = first - timedelta(days=first.weekday())
    return [monday + timedelta(days=7 * number) for number in range((last - monday).days // 7 + 1)]


def ordered(keys: Iterable[Key]) -> list[Key]:
    """Groups by key, nobody last."""
    return sorted(keys, key=lambda key: (key is None, key or ""))
