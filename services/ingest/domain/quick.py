"""The short way of the commonest items, plain usage facts: many at once, by columns, from their bytes to their lines.

It takes nothing that `admit` would refuse, and makes the lines that `admit` would make; items among which any needs a
second look (an escape, a short id, nesting, another type, a fault) are left to `admit` all. Columns, because a step
that C does for a hundred items costs a fraction of a hundred steps of Python.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from services.ingest.domain.checks import EARLIEST, micros_of_all
from services.ingest.domain.intake import MAX_ITEM
from services.ingest.domain.sent import ABSENT, NAME_LENGTH, SentUsage
from services.ingest.domain.verdict import Door, tenant_crc
from shared.facts import USAGE_TOPIC, sent_hash

Lines = dict[tuple[str, int], list[bytes]]
"""Lines of NDJSON by (topic, partition)."""
_BACKSLASH: Final = 92
_BRACE: Final = 123
_LEAST: Final = 10  # characters from which on an id is no placeholder
_decode = msgspec.json.Decoder(SentUsage).decode
_encode = msgspec.json.Encoder().encode
_columns = attrgetter("id", "person_id", "account_id", "event", "count", "at", "properties")


class _Line(msgspec.Struct, tag_field="type", tag="usage", omit_defaults=True, gc=False):
    """`shared.facts.Usage` in the order of its line, to be made by position."""

    at: int
    person_id: str
    event: str
    account_id: str | None = None
    count: int = 1
    tenant: int = -1
    id: str = ""
    received: int = -1
    hash: int = 0


class Columns(NamedTuple):
    """Usage facts by column."""

    ats: Sequence[int]
    people: Sequence[str]
    events: Sequence[str]
    accounts: Sequence[str | None]
    counts: Iterable[int]
    ids: Sequence[str]
    hashes: Iterable[int]


def taker(door: Door, partitions: int, lines: Lines) -> Callable[[Sequence[bytes]], Sequence[str] | None]:
    """A function that takes items, adds their lines to `lines` and gives their ids; None when `admit` is to judge."""
    put = putter(door, partitions, lines)

    def take(raws: Sequence[bytes]) -> Sequence[str] | None:
        if max(map(len, raws)) > MAX_ITEM or has_escapes(raws):
            return None
        try:
            sent = list(map(_decode, raws))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        ids, people, accounts, events, counts, texts, properties = zip(*map(_columns, sent), strict=True)
        ats = micros_of_all(texts)
        if (
            None in ids
            or are_odd([*ids, *people, *(one for one in accounts if one is not None)], NAME_LENGTH)
            or ats is None
            or min(ats) < EARLIEST
            or max(ats) > door.latest
            or not _are_flat([bytes(one) for one in properties if one is not ABSENT])
        ):
            return None
        hashes = map(sent_hash, map(_encode, sent))
        put(Columns(ats, people, events, accounts, [count or 1 for count in counts], ids, hashes))
        return ids

    return take


def putter(door: Door, partitions: int, lines: Lines) -> Callable[[Columns], None]:
    """A function that adds usage facts' lines to `lines`, each where `shared.facts.place` says it belongs."""
    start, tenant, received = tenant_crc(door.tenant), repeat(door.tenant), repeat(door.received)
    places = _places(partitions)

    def put(facts: Columns) -> None:
        ats, people, events, accounts, counts, ids, hashes = facts
        made = map(_encode, map(_Line, ats, people, events, accounts, counts, tenant, ids, received, hashes))
        sums = map(zlib.crc32, map(str.encode, people), repeat(start))
        for number, line in zip(sums, made, strict=True):
            place = places[number % partitions]
            held = lines.get(place)
            if held is None:
                lines[place] = [line]
            else:
                held.append(line)

    return put


@lru_cache(maxsize=16)
def _places(partitions: int) -> list[tuple[str, int]]:
    return [(USAGE_TOPIC, part) for part in range(partitions)]


def has_escapes(raws: Sequence[bytes]) -> bool:
    """Whether any text may be written with an escape; only so can it hold NUL or a lone surrogate."""
    return b"".join(raws).find(_BACKSLASH) >= 0


def are_odd(texts: Sequence[str], most: int) -> bool:
    """Whether one of these ids may be one that no door lets in, or has more than `most` characters."""
    if min(map(len, texts)) < _LEAST or max(map(len, texts)) > most:
        return True
    told = "\n".join(["", *texts, ""])
    return "#" in told or "\n " in told or " \n" in told


def _are_flat(values: Sequence[bytes]) -> bool:
    """Whether each JSON value is an object that holds no other object and no array."""
    if any(value[0] != _BRACE for value in values):
        return False
    told = b"".join(values)
    return told.count(b"{") == len(values) and told.find(b"[") < 0
