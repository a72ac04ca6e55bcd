"""When mails leave: spread over days, inside the hours that a survey allows, again after a failure. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.nps.domain.surveys import part

# Waits between attempts: a mail that never got through is given up after three days, as mail servers do.
BACKOFF: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, *[480] * 8))
SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Hours:
    """When mails may leave, in the tenant's zone: from `first` until before `last`, every day or Monday to Friday."""

    first: time
    last: time
    weekdays_only: bool

    def holds(self, local: datetime) -> bool:
        """Whether a mail may leave at this local time."""
        return self._day(local.date()) and self.first <= local.time() < self.last

    def _day(self, day: date) -> bool:
        return not self.weekdays_only or day.weekday() < SATURDAY


def next_moment(instant: datetime, hours: Hours | None, tz: ZoneInfo) -> datetime:
    """The first instant from `instant` on at which a mail may leave, in UTC."""
    local = instant.astimezone(tz)
    if hours is None or hours.holds(local):
        return instant.astimezone(UTC)
    day = local.date() if local.time() < hours.first else local.date() + timedelta(days=1)
    while hours.weekdays_only and day.weekday() >= SATURDAY:
        day += timedelta(days=1)
    return datetime.combine(day, hours.first, tz).astimezone(UTC)


def days_later(instant: datetime, days: int, tz: ZoneInfo) -> datetime:
    """The same time of day so many days later in that zone, in UTC."""
    local = instant.astimezone(tz)
    return datetime.combine(local.date() + timedelta(days=days), local.time(), tz).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the first mails of one order leave: from `at` on, each person's on one of `days` days."""

    survey_id: str
    at: datetime
    days: int
    hours: Hours | None
    tz: ZoneInfo

    def of(self, person_id: str) -> datetime:
        """When this person's leaves, in UTC: the same however often it is asked."""
        day = int(part(self.survey_id, f"day|{person_id}") * self.days)
        return next_moment(days_later(self.at, day, self.tz) if day else self.at, self.hours, self.tz)


def retry_at(now: datetime, attempts: int) -> datetime | None:
    """When to try again after so many attempts; None: no more."""
    return now + BACKOFF[attempts - 1] if attempts <= len(BACKOFF) else None
