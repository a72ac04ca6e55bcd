"""What a question carries besides its path: `as_of`, `limit`, `sort`, cursors. Pure: the time is handed in."""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NoReturn
from zoneinfo import ZoneInfo

import msgspec

from shared.clock import day_of, end_of_day
from shared.errors import Fault, Invalid

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
EARLIEST: Final = date(1900, 1, 1)
_CURSOR: Final = 4_000  # characters
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,6})\d*)?(?:([Zz])|([+ -])(\d{2}):(\d{2}))", re.ASCII
)


def refuse(name: str, code: str, message: str) -> NoReturn:
    """Raises Invalid about one query parameter, or about a member of the body named by its pointer (`/as_of`)."""
    pointer = name if name.startswith("/") else f"/query/{name}"
    raise Invalid(errors=[Fault(pointer, code, message)])


def parse_as_of(text: str | None, now: datetime, tz: ZoneInfo, name: str = "as_of") -> datetime:
    """The UTC instant that `as_of` means: nothing → `now`; a date → its last microsecond in `tz`, or `now` if it is
    today; an RFC 3339 instant → itself. Raises Invalid: not a time, before 1900, or in the future."""
    if not text:
        return now
    if _DAY.fullmatch(text):
        day = parse_day(text, name)
        return now if day == day_of(now, tz) else _past(end_of_day(day, tz), now, name)
    return _past(_instant(text, name), now, name)


def parse_day(text: str, name: str) -> date:
    """A `YYYY-MM-DD` from 1900 to 9998. Raises Invalid."""
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        refuse(name, "not_a_day", "Should be a day such as 2017-07-01.")
    if day < EARLIEST or day.year > 9998:
        refuse(name, "out_of_range", "Should lie between 1900 and 9998.")
    return day


def parse_limit(text: str | None, default: int = DEFAULT_LIMIT) -> int:
    """A page's size, 1…500. Raises Invalid."""
    if not text:
        return default
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= MAX_LIMIT:
        refuse("limit", "out_of_range", f"Should be a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


def parse_sort(text: str | None, columns: Collection[str], default: str) -> tuple[str, bool]:
    """`acv` → ("acv", False), `-acv` → ("acv", True: descending). Raises Invalid for a column that does not sort."""
    wanted = text or default
    column = wanted.removeprefix("-")
    if column not in columns:
        refuse("sort", "unknown_column", f"Should be one of {', '.join(sorted(columns))}, or such with a minus before.")
    return column, wanted.startswith("-")


def fingerprint(*parts: object) -> str:
    """A short stamp of sort and filters: a cursor fits only the question it came from."""
    text = msgspec.json.encode([part if isinstance(part, str | int | None) else repr(part) for part in parts])
    return hashlib.blake2b(text, digest_size=6).hexdigest()


def encode_cursor(values: Sequence[str | float | bool | None], stamp: str) -> str:
    """An opaque keyset cursor: the sort values of a page's last row, under the question's fingerprint."""
    return base64.urlsafe_b64encode(msgspec.json.encode([stamp, list(values)])).decode().rstrip("=")


def decode_cursor(text: str | None, stamp: str, *types: type[Any]) -> list[Any] | None:
    """The values a cursor holds, one per type (null is always allowed); no cursor → None. Raises Invalid for a broken
    one, one of another question, or values of other types."""
    if not text:
        return None
    try:
        found = msgspec.json.decode(_unpadded(text), type=tuple[str, list[str | int | float | bool | None]])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")
    was, values = found
    if was != stamp:
        refuse("cursor", "other_cursor", "Belongs to another order or filter; start without a cursor.")
    if len(values) != len(types) or not all(map(_fits, values, types)):
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")
    return values


def _fits(value: Any, wanted: type[Any]) -> bool:
    if value is None or type(value) is wanted:
        in_range = not isinstance(value, int) or -(2**63) <= value < 2**63
        return in_range and not (isinstance(value, str) and "\0" in value)
    return wanted is float and type(value) is int


def _unpadded(text: str) -> bytes:
    if len(text) > _CURSOR:
        raise ValueError("too long")
    raw = text.encode("ascii")
    return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)


def _instant(text: str, name: str) -> datetime:
    match = _INSTANT.fullmatch(text)
    if match is None:
        refuse(name, "not_a_time", "Should be a day or an RFC 3339 instant with its offset.")
    day, clock, fraction, zulu, sign, hours, minutes = match.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{clock}").replace(microsecond=int((fraction or "").ljust(6, "0")))
        offset = timedelta() if zulu else _offset(sign, int(hours), int(minutes))
        moment = (local - offset).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        refuse(name, "not_a_time", "Should be a day or an RFC 3339 instant with its offset.")
    if moment.date() < EARLIEST:
        refuse(name, "out_of_range", "Should not lie before 1900.")
    return moment


def _offset(sign: str, hours: int, minutes: int) -> timedelta:
    if hours > 23 or minutes > 59:
        raise ValueError("no such offset")
    size = timedelta(hours=hours, minutes=minutes)
    return -size if sign == "-" else size  # a space is a plus sign that nobody escaped


def _past(moment: datetime, now: datetime, name: str) -> datetime:
    if moment > now:
        refuse(name, "in_future", "Should not lie in the future.")
    return moment
