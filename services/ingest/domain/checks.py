"""The checks that every door shares: instants, days, ids, money, text. Each raises Refused with its code."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, cast

import msgspec

from services.ingest.domain.verdict import Door, Refused
from shared.clock import to_micros
from shared.ids import is_junk
from shared.money import MoneyError, to_decimal_text, to_minor

EARLIEST: Final = to_micros(datetime(1900, 1, 1, tzinfo=UTC))
_INT64: Final = 2**63
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_match_instant = _INSTANT.fullmatch
_from_iso = datetime.fromisoformat


def micros_of(text: str) -> int | None:
    """µs since 1970 of a full RFC 3339 instant with offset, digits past the microsecond cut; None for anything else."""
    # What most libraries write: a minute that was read before, a second, a fraction and UTC.
    minute, second, rest = _minutes.get(text[:17]), _SECONDS.get(text[17:19]), _RESTS.get(text[19:])
    if minute is not None and second is not None:
        if rest is not None:
            return minute + second + rest
        milli, micro = _RESTS.get(f"{text[19:23]}{text[26:]}"), _MICROS.get(text[23:26])
        if milli is not None and micro is not None:
            return minute + second + milli + micro
    return _read(text)


def micros_of_all(texts: Sequence[str]) -> list[int] | None:
    """As `micros_of`, of many; None when one of them is none."""
    distinct = {*texts}
    if 2 * len(distinct) < len(texts):  # read once what is said again and again
        known = {text: micros_of(text) for text in distinct}
        return None if None in known.values() else cast("list[int]", [known[text] for text in texts])
    try:
        return [_minutes[text[:17]] + _SECONDS[text[17:19]] + _RESTS[text[19:]] for text in texts]
    except KeyError:
        read = [micros_of(text) for text in texts]
    return None if None in read else cast("list[int]", read)


_SECONDS: Final = {f"{n:02}": n * 1_000_000 for n in range(60)}
_RESTS: Final = {f".{n:03}{zone}": n * 1_000 for n in range(1_000) for zone in ("Z", "+00:00")} | {"Z": 0, "+00:00": 0}
_MICROS: Final = {f"{n:03}": n for n in range(1_000)}
_minutes: Final[dict[str, int]] = {}
_MOST_MINUTES: Final = 20_000  # two weeks of them, 2 MB


def _read(text: str) -> int | None:
    if _match_instant(text) is None:
        return None
    try:
        micros = (_from_iso(text) - _EPOCH) // _MICROSECOND
    except ValueError:
        return _unusual_micros(text.upper())
    if text.endswith(("Z", "+00:00")):
        if len(_minutes) >= _MOST_MINUTES:
            _minutes.clear()
        _minutes[text[:17]] = micros // 60_000_000 * 60_000_000
    return micros


def _unusual_micros(text: str) -> int | None:
    """Lower-case letters, which RFC 3339 allows, and the leap second, which is the instant after its minute."""
    leap = text[17:19] == "60"
    try:
        instant = _from_iso(f"{text[:17]}59{text[19:]}" if leap else text)
    except ValueError:
        return None
    micros = to_micros(instant)
    if not leap:
        return micros
    micros = (micros // 1_000_000 + 1) * 1_000_000
    following = _EPOCH + timedelta(microseconds=micros)
    return micros if (following.day, following.hour, following.minute) == (1, 0, 0) else None


def instant(text: str, field: str, latest: int) -> int:
    """µs of an instant from 1900 up to `latest`. Codes: invalid_<field>, in_future."""
    micros = micros_of(text)
    if micros is None or micros < EARLIEST:
        raise Refused(f"invalid_{field}", f"{field} is not an RFC 3339 instant with offset from 1900 on")
    if micros > latest:
        raise Refused("in_future", f"{field} lies too far in the future")
    return micros


def day(text: str, field: str) -> str:
    """A calendar day 1900-01-01…9999-12-31 as it came. Code: invalid_<field>."""
    try:
        if _DAY.fullmatch(text) and date.fromisoformat(text).year >= 1900:
            return text
    except ValueError:
        pass
    raise Refused(f"invalid_{field}", f"{field} is not a date YYYY-MM-DD of the years 1900 to 9999")


def ident(text: str, field: str) -> str:
    """An id that may stand. Code: junk_id."""
    # What is neither short between its blanks nor has # cannot be junk: the hot path stops there.
    if ("#" in text or len(text.strip()) < 10) and is_junk(text):
        raise Refused("junk_id", f"{field} is empty, a placeholder, or holds #")
    return text


def money(raw: bytes, field: str, currency: str) -> str:
    """Canonical decimal text of a JSON string or number, with all places of the minor unit. Code: invalid_<field>.

    Refused: below zero, more digits after the point than the currency's minor unit has, more than 15 digits.
    """
    text = raw.strip(b'"').decode("ascii", "replace")
    try:
        minor = to_minor(text, currency)
    except MoneyError as fault:
        raise Refused(f"invalid_{field}", f"{field}: {fault}") from None
    if minor < 0:
        raise Refused(f"invalid_{field}", f"{field} is below zero")
    return to_decimal_text(minor, currency)


def currency(sent: str | None, door: Door) -> str:
    """The currency that an amount is in: as sent, else the tenant's. Code: currency_not_reporting."""
    if sent is None or sent == door.currency:
        return door.currency
    if sent not in door.fx:
        raise Refused("currency_not_reporting", "the currency is not the reporting one and has no rate in settings.fx")
    return sent


def storable(value: Any) -> bool:
    """Whether the database can keep a value: no NUL, no lone surrogate, whole numbers of 64 bits, finite numbers."""
    if isinstance(value, str):
        return "\0" not in value and (value.isascii() or _encodes(value))
    if isinstance(value, bool) or value is None or isinstance(value, msgspec.UnsetType):
        return True
    if isinstance(value, int):
        return -_INT64 <= value < _INT64
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, dict):
        told = cast("dict[Any, Any]", value)
        return all(storable(key) and storable(inner) for key, inner in told.items())
    return not isinstance(value, list) or all(map(storable, cast("list[Any]", value)))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
