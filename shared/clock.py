"""The one clock: services are handed it, rules are handed its time. An offset rehearses the future."""

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_STEP: Final = 900_000_000  # µs; local midnights fall on quarter hours of UTC, but for old local mean times


@dataclass(frozen=True, slots=True)
class Clock:
    """Genki's now: the system clock, shifted by `offset` (zero but in rehearsals)."""

    offset: timedelta = field(default=timedelta(0))

    def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.now(UTC) + self.offset

    def micros(self) -> int:
        """The present instant as microseconds since 1970."""
        return time.time_ns() // 1000 + self.offset // MICROSECOND


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, exact."""
    return (instant - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The UTC datetime of microseconds since 1970, exact. Raises OverflowError outside the years 1…9999."""
    return EPOCH + timedelta(microseconds=micros)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name. Raises ZoneInfoNotFoundError or ValueError for none."""
    return ZoneInfo(name)


def day_of(instant: datetime, tz: ZoneInfo) -> date:
    """The calendar day of an instant in a zone."""
    return instant.astimezone(tz).date()


@lru_cache(maxsize=4096)
def start_of_day(day: date, tz: ZoneInfo) -> datetime:
    """00:00 of a day in a zone, as UTC; where a clock change skips midnight, the first instant of the day."""
    local = datetime(day.year, day.month, day.day, tzinfo=tz)
    return local.astimezone(UTC)


def end_of_day(day: date, tz: ZoneInfo) -> datetime:
    """The last microsecond of a day in a zone, as UTC."""
    return start_of_day(day + timedelta(days=1), tz) - MICROSECOND


class Days:
    """Days of instants in one zone, cached by quarter hour: the hot path asks for millions of them."""

    def __init__(self, tz: ZoneInfo) -> None:
        self._tz = tz
        self._cache: dict[int, date | None] = {}

    def of(self, micros: int) -> date:
        """The zone's calendar day of an instant given in microseconds since 1970."""
        step = micros // _STEP
        day = self._cache.get(step)
        if day is None:
            day = self._look_up(step, micros)
        return day

    def _look_up(self, step: int, micros: int) -> date:
        first = day_of(from_micros(step * _STEP), self._tz)
        last = day_of(from_micros((step + 1) * _STEP - 1), self._tz)
        if first != last:  # a local midnight off the quarter hour (local mean times before about 1930)
            return day_of(from_micros(micros), self._tz)
        if len(self._cache) > 100_000:
            self._cache.clear()
        self._cache[step] = first
        return first


def months_back(day: date, months: int) -> date:
    """The same day number `months` earlier, clamped to that month's last day (negative months look ahead)."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, days_in_month(year, month + 1)))


def days_in_month(year: int, month: int) -> int:
    """28 to 31."""
    following = date(year + month // 12, month % 12 + 1, 1) if (year, month) != (9999, 12) else None
    return 31 if following is None else (following - timedelta(days=1)).day
