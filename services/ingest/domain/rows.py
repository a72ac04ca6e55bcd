"""Rows of imported sheets as facts: each becomes the item that /v1/events would take, with an id that repeats.

The id is the row's own, else a hash of what the row says and its number among rows that say the same. What a row
without `at` says holds from now on: the day of the import is part of its id, so that the same file changes nothing
when it is sent again, and a file that comes every night tells what is true that day.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from services.ingest.domain.intake import admit
from services.ingest.domain.sent import SENT_TYPES
from services.ingest.domain.verdict import Accepted, Door, Rejected
from shared import facts
from shared.clock import day_of, from_micros
from shared.sheets.cells import BadCell, amount, day, flag, instant, whole

TRAITS: Final = "traits."
_ANY_TIME: Final = 2**62  # how late a time may be is for `admit` to say
_MAX_SEATS: Final = 2_147_483_647
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?", re.ASCII)
_INSTANTS: Final = frozenset(("at", "recorded_at"))
_DAYS: Final = frozenset(("customer_since", "renewal_on", "effective_on", "term_end"))
_AMOUNTS: Final = frozenset(("acv", "potential_acv", "acv_after"))
_FLAGS: Final = frozenset(("uses_product", "deactivated"))
_LISTS: Final = frozenset(("features", "person_ids", "account_ids"))  # parted by ;
_WORDS: Final = frozenset(("status", "channel", "outcome", "direction", "change"))  # `No answer` is no_answer
_NOT_IN_A_CELL: Final = frozenset(("properties", "voices", "traits"))
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Kind:
    """What the rows of a sheet are: facts of this type; `required` fields need a column."""

    type: str
    required: tuple[str, ...]
    fields: tuple[str, ...]


def _kind(name: str, *required: str, traits: bool = False) -> Kind:
    own = (one for one in SENT_TYPES[name].__struct_fields__ if one not in _NOT_IN_A_CELL)
    return Kind(name, required, (*own, *((TRAITS,) if traits else ())))


KINDS: Final = {
    "accounts": _kind("account", "account_id", traits=True),
    "people": _kind("person", "person_id"),
    "contacts": _kind("contact", "account_id", "at", "channel", "outcome"),
    "contracts": _kind("contract", "account_id", "effective_on", "change", "acv_after"),
}


@dataclass(slots=True)
class Rows:
    """The rows of one sheet of a tenant whose zone is `tz`, judged in their order."""

    kind: Kind
    door: Door
    tz: ZoneInfo
    _seen: Counter[str] = field(default_factory=Counter[str])

    def judge(self, told: Mapping[str, str]) -> Accepted | Rejected:
        """What becomes of one row, given what its cells tell by field. Raises nothing."""
        try:
            item = self._item(told)
            stamp = _encode(item)
        except BadCell as bad:
            return Rejected(bad.code, bad.reason, told.get("id"), self.kind.type)
        except UnicodeEncodeError:
            return Rejected("invalid_text", "a cell holds a lone surrogate", None, self.kind.type)
        if "id" not in item:
            item["id"] = self._id(stamp, undated=self._undated(item))
        if not self._undated(item):
            return admit(_encode(item), self.door)
        item["at"] = from_micros(self.door.received).isoformat()
        return _stamped(admit(_encode(item), self.door), stamp)

    def _undated(self, item: Mapping[str, Any]) -> bool:
        return self.kind.type in ("account", "person") and "at" not in item

    def _item(self, told: Mapping[str, str]) -> dict[str, Any]:
        item: dict[str, Any] = {"type": self.kind.type}
        for name, text in told.items():
            if name.startswith(TRAITS):
                item.setdefault("traits", {})[name.removeprefix(TRAITS)] = _trait(text)
            else:
                item[name] = _value(name, text, self.tz)
        return item

    def _id(self, stamp: bytes, *, undated: bool) -> str:
        today = day_of(from_micros(self.door.received), self.tz).isoformat() if undated else ""
        digest = hashlib.blake2b(today.encode() + stamp, digest_size=15).hexdigest()
        self._seen[digest] += 1
        count = self._seen[digest]
        return f"import-{digest}" + (f"-{count}" if count > 1 else "")


def _stamped(verdict: Accepted | Rejected, stamp: bytes) -> Accepted | Rejected:
    """The same row a second later is no conflict: the conflict hash leaves out the time that Genki put in."""
    if isinstance(verdict, Accepted):
        for fact in verdict.facts:
            fact.hash = facts.sent_hash(stamp)
    return verdict


def _value(name: str, text: str, tz: ZoneInfo) -> Any:
    """A cell as JSON has it. Raises BadCell."""
    if name in _INSTANTS:
        return from_micros(instant(text, name, tz, _ANY_TIME)).isoformat()
    if name in _DAYS:
        return day(text, name, tz)
    if name in _AMOUNTS:
        return amount(text)
    if name in _FLAGS:
        return flag(text, name)
    if name == "seats":
        return whole(text, name, 0, _MAX_SEATS)
    if name in _LISTS:
        return [part for piece in text.split(";") if (part := piece.strip())]
    return "_".join(text.casefold().split()) if name in _WORDS else text


def _trait(text: str) -> str | int | float:
    """A number where the cell holds one as JSON writes it; `007` is text."""
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
