"""Windows: spans back from a day, in calendar months or days."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from shared.clock import months_back

_WINDOW: Final = re.compile(r"P([1-9][0-9]{0,4})([DWMY])", re.ASCII)
_LONGEST_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True)
class Window:
    """A span back from a day, in months (clamped to the month's end) or days: `P1M`, `P30D`, `P2W`, `P1Y`."""

    text: str
    months: int = 0
    length: int = 0

    @classmethod
    def parse(cls, text: str) -> "Window":
        """The window of its ISO 8601 text, one unit of PnD, PnW, PnM, PnY up to 100 years. Raises ValueError."""
        match = _WINDOW.fullmatch(text)
        if match is None:
            raise ValueError("a window is ISO 8601 with one unit: P30D, P2W, P1M or P1Y")
        count, unit = int(match[1]), match[2]
        months = count * {"M": 1, "Y": 12}.get(unit, 0)
        length = count * {"D": 1, "W": 7}.get(unit, 0)
        if length > _LONGEST_DAYS or months > 1200:
            raise ValueError("a window is at most 100 years")
        return cls(text, months, length)

    def start_day(self, day: date) -> date:
        """`day` − window; the calendar's first day where there is nothing earlier."""
        return _start_day(self.months, self.length, day)

    def days(self, day: date) -> int:
        """How many days the window that ends with `day` holds."""
        return (day - self.start_day(day)).days

    def first_out(self, day: date) -> date:
        """The first D with D − window ≥ `day`: when what happened on `day` no longer counts (31 Jan, P1M → 1 Mar)."""
        return _first_out(self.months, self.length, day)

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def _start_day(months: int, length: int, day: date) -> date:
    try:
        return months_back(day, months) - timedelta(days=length)
    except (ValueError, OverflowError):
        return date.min


@lru_cache(maxsize=4096)
def _first_out(months: int, length: int, day: date) -> date:
    if not months:
        return day + timedelta(days=length)
    out = months_back(day, -months)
    return out if out.day == day.day else out + timedelta(days=1)
