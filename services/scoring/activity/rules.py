"""Activity: what counts as an attempt, when an inbound contact is answered, and how long that may take. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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
    """A contact that came from the customer and waits for an answer."""

    account_id: str
    id: str
    at: datetime
    channel: str
    csm_id: str | None


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


@dataclass(slots=True)
class Group:
    """One CSM (team, everybody) in a week, or over the whole period."""

    whole: Tally = Tally()
    channels: dict[str, Tally] = field(default_factory=dict[str, Tally])
    inbound: Answering = Answering()


Groups = dict[Key, Group]


def mondays(first: date, last: date) -> list[date]:
    """The weeks that the days `first`…`last` touch, by their Mondays."""
    monday = first - timedelta(days=first.weekday())
    return [monday + timedelta(days=7 * number) for number in range((last - monday).days // 7 + 1)]


def ordered(keys: Iterable[Key]) -> list[Key]:
    """Groups by key, nobody last."""
    return sorted(keys, key=lambda key: (key is None, key or ""))
