"""The short way of the commonest requests, plain usage facts alone: by columns, from their body to their lines.

It takes nothing that `admit` would refuse, and makes the lines that `admit` would make; items among which any needs a
second look (an escape, a short id, nesting, another type, a fault) are left to `admit` all. Columns, because a step
that C does for a hundred items costs a fraction of a hundred steps of Python.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from services.ingest.domain.checks import EARLIEST, micros_of_all
from services.ingest.domain.intake import MAX_ITEM
from services.ingest.domain.sent import ABSENT, NAME_LENGTH, Count, Name
from services.ingest.domain.split import text_of
from services.ingest.domain.verdict import Door, tenant_crc
from shared.facts import USAGE_TOPIC, sent_hashes

Lines = dict[tuple[str, int], list[bytes]]
"""Lines of NDJSON by (topic, partition)."""
_BACKSLASH: Final = 92
_LEAST: Final = 10  # characters from which on an id is no placeholder


class _Sent(msgspec.Struct, kw_only=True, tag_field="type", tag="usage", forbid_unknown_fields=True, gc=False):
    """`SentUsage`, field by field in the order of its encoding, with ids that are too long to be placeholders."""

    at: str
    person_id: Annotated[str, Meta(min_length=_LEAST, max_length=NAME_LENGTH)]
    event: Name
    account_id: Annotated[str, Meta(min_length=_LEAST, max_length=NAME_LENGTH)] | None = None
    count: Count | None = None
    properties: msgspec.Raw = ABSENT
    id: Annotated[str, Meta(min_length=_LEAST, max_length=100)]


class _Other(msgspec.Struct, tag_field="type", tag="", gc=False):
    """Where there could be another, msgspec asks each item for its type."""


_decode = msgspec.json.Decoder(list[_Sent | _Other]).decode
_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines


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


class Plain(NamedTuple):
    """The items of a request, plain usage facts all, by column. `canonical`: what their conflict hashes are of."""

    ids: list[str]
    people: list[str]
    events: list[str]
    accounts: list[str | None]
    counts: list[int | None]
    ats: list[str]
    canonical: list[bytes]


def read_plain(body: bytes, most: int) -> Plain | None:
    """The items of an array of usage facts, `most` at most; None when one needs a second look, or it is no such array.
    Nothing is known yet of their instants."""
    if body[:1] != b"[" or body.find(_BACKSLASH) >= 0 or text_of(body) is None:
        return None
    try:
        read = _decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    facts = [one for one in read if type(one) is _Sent]
    if not 0 < len(facts) == len(read) <= most:
        return None
    ids = [one.id for one in facts]
    people, events, ats = [one.person_id for one in facts], [one.event for one in facts], [one.at for one in facts]
    accounts, counts = [one.account_id for one in facts], [one.count for one in facts]
    plain = Plain(ids, people, events, accounts, counts, ats, list(map(_encode, facts)))
    properties = [one.properties for one in facts if one.properties is not ABSENT]
    if not _are_flat(properties) or have_odd_marks([*ids, *people, *(one for one in accounts if one is not None)]):
        return None
    return plain if _are_small(body, plain, len(properties)) else None


def lines_of(plain: Plain, door: Door, partitions: int) -> Lines | None:
    """The facts' lines; None when one has an instant that `admit` is to judge."""
    ats = micros_of_all(plain.ats)
    if ats is None or min(ats) < EARLIEST or max(ats) > door.latest:
        return None
    lines: Lines = {}
    counts = [count or 1 for count in plain.counts]
    hashes = sent_hashes(plain.canonical)
    facts = Columns(ats, plain.people, plain.events, plain.accounts, counts, plain.ids, hashes)
    putter(door, partitions, lines)(facts)
    return lines


def putter(door: Door, partitions: int, lines: Lines) -> Callable[[Columns], None]:
    """A function that adds usage facts' lines to `lines`, each where `shared.facts.place` says it belongs."""
    start, tenant, received = tenant_crc(door.tenant), repeat(door.tenant), repeat(door.received)

    def put(facts: Columns) -> None:
        ats, people, events, accounts, counts, ids, hashes = facts
        made = list(map(_Line, ats, people, events, accounts, counts, tenant, ids, received, hashes))
        sums = map(zlib.crc32, map(str.encode, people), repeat(start))
        parts: list[list[bytes]] = [[] for _ in range(partitions)]
        for number, line in zip(sums, _encode_lines(made).split(b"\n"), strict=False):  # behind the last one is nothing
            parts[number % partitions].append(line)
        for number, part in enumerate(parts):
            if part:
                lines.setdefault((USAGE_TOPIC, number), []).extend(part)

    return put


def has_escapes(raws: Sequence[bytes]) -> bool:
    """Whether any text may be written with an escape; only so can it hold NUL or a lone surrogate."""
    return b"".join(raws).find(_BACKSLASH) >= 0


def are_odd(texts: Sequence[str]) -> bool:
    """Whether one of these ids may be one that no door lets in."""
    return min(map(len, texts)) < _LEAST or have_odd_marks(texts)


def have_odd_marks(texts: Sequence[str]) -> bool:
    """Whether one of these ids holds # or has a blank at an end; beyond ASCII there are more blanks, the Japanese one
    among them."""
    told = "\n".join(["", *texts, ""])
    if "#" in told or "\n " in told or " \n" in told:
        return True
    return not told.isascii() and any(text != text.strip() for text in texts)


def _are_small(body: bytes, plain: Plain, properties: int) -> bool:
    """Whether no item can be too large: each is as long as its canonical form at least, but for what it left unsaid."""
    sizes = list(map(len, plain.canonical))
    absent = plain.accounts.count(None) * len(b',"account_id":null') + plain.counts.count(None) * len(b',"count":null')
    absent += (len(sizes) - properties) * len(b',"properties":null')
    return max(sizes) + len(body) - (sum(sizes) - absent) <= MAX_ITEM


def _are_flat(values: Sequence[msgspec.Raw]) -> bool:
    """Whether each JSON value is an object that holds no other object and no array."""
    raws = list(map(bytes, values))
    return {*map(bytes.rfind, raws, repeat(b"{"))} <= {0} and b"[" not in b"".join(raws)
