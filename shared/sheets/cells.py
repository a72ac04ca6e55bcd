"""Cells read as values: instants, whole numbers, ids, text. Pure: zone and time are handed in."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

from shared.clock import to_micros
from shared.ids import is_junk

MAX_NAME: Final = 200
EARLIEST: Final = to_micros(datetime(1900, 1, 1, tzinfo=UTC))
_TIME: Final = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?"
    r"(?:[T\s]\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})\d*)?)?)?"
    r"\s*(?:(Z)|([+-])(\d{2}):?(\d{2}))?",
    re.ASCII | re.IGNORECASE,
)
_PARTED: Final = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_YES: Final = frozenset(("true", "yes", "y", "1", "はい"))
_NO: Final = frozenset(("false", "no", "n", "0", "いいえ"))
_WHOLE: Final = re.compile(r"([+-]?\d{1,15})(?:\.0*)?", re.ASCII)


class BadCell(Exception):
    """A cell that cannot be what its field wants; the row is refused for it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def instant(text: str, field: str, tz: ZoneInfo, latest: int) -> int:
    """µs since 1970, from 1900 up to `latest`. Year first; without an offset in `tz`, a date alone is 12:00 there."""
    moment = _read(text, tz)
    if moment is None:
        raise BadCell(f"invalid_{field}", f"{field} is no time such as 2026-01-31 or 2026-01-31 09:30")
    micros = to_micros(moment)
    if micros < EARLIEST:
        raise BadCell(f"invalid_{field}", f"{field} lies before 1900")
    if micros > latest:
        raise BadCell("in_future", f"{field} lies in the future")
    return micros


def day(text: str, field: str, tz: ZoneInfo) -> str:
    """An ISO day of the years 1 to 9999. Of a time its day: as written, with an offset the day in `tz`."""
    moment = _read(text, tz)
    if moment is None:
        raise BadCell(f"invalid_{field}", f"{field} is no day such as 2026-01-31")
    return moment.astimezone(tz).date().isoformat()


def flag(text: str, field: str) -> bool:
    """Yes or no."""
    said = unicodedata.normalize("NFKC", text).casefold()
    if said not in _YES | _NO:
        raise BadCell(f"invalid_{field}", f"{field} is neither true nor false")
    return said in _YES


def amount(text: str) -> str:
    """An amount without the commas that part thousands, its digits in ASCII; what is none stays as it is."""
    plain = unicodedata.normalize("NFKC", text)
    return plain.replace(",", "") if _PARTED.fullmatch(plain) else plain


def _read(text: str, tz: ZoneInfo) -> datetime | None:
    match = _TIME.fullmatch(unicodedata.normalize("NFKC", text))
    try:
        return None if match is None else _moment(match, tz)
    except (ValueError, OverflowError):
        return None


def _moment(match: re.Match[str], tz: ZoneInfo) -> datetime:
    year, month, day, hour, minute, second, fraction, zulu, sign, hours, minutes = match.groups()
    local = datetime(int(year), int(month), int(day), 12)  # noqa: DTZ001 its zone is looked at below
    if hour is None:
        if zulu or sign:
            raise ValueError("a date has no offset")
    else:
        micro = int((fraction or "").ljust(6, "0"))
        local = local.replace(hour=int(hour), minute=int(minute), second=int(second or 0), microsecond=micro)
    if zulu:
        return local.replace(tzinfo=UTC)
    if sign is None:
        return local.replace(tzinfo=tz)
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("no such offset")
    span = timedelta(hours=int(hours), minutes=int(minutes))
    return local.replace(tzinfo=timezone(-span if sign == "-" else span))


def whole(text: str, field: str, low: int, high: int) -> int:
    """A whole number of [low, high]; 9.0 is one, as spreadsheets write it."""
    match = _WHOLE.fullmatch(unicodedata.normalize("NFKC", text))
    number = None if match is None else int(match[1])
    if number is None or not low <= number <= high:
        raise BadCell(f"invalid_{field}", f"{field} is not a whole number from {low} to {high}")
    return number


def ident(text: str, field: str, most: int = MAX_NAME) -> str:
    """An id that may stand: no placeholder, no `#`, at most `most` characters."""
    if is_junk(text):
        raise BadCell("junk_id", f"{field} is empty, a placeholder, or holds #")
    return text_cell(text, field, most)


def text_cell(text: str, field: str, most: int = MAX_NAME) -> str:
    """Text of at most `most` characters without NUL."""
    if "\0" in text:
        raise BadCell(f"invalid_{field}", f"{field} holds NUL")
    if len(text) > most:
        raise BadCell(f"invalid_{field}", f"{field} is longer than {most} characters")
    return text
