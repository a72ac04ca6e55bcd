"""The file that a client keeps: a line before each request, a line after it. Pure.

`{"try":"a-1","tenant":"acme-1f2e3d4c","items":[[["usage","u-1",7391]], …]}`: the facts that each item is meant to
become, as type, stored id and digest. `{"end":"a-1","results":[null,"junk_id", …]}`: null is acknowledged, text the
code of the refusal; `{"end":"a-1","unknown":"503"}`: nothing is known. A try without an end is unknown too.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from shared import facts

ACKED: Final = "acked"
REJECTED: Final = "rejected"
UNKNOWN: Final = "unknown"
Meant = tuple[str, str, int]
"""(type, stored id, digest) of one fact."""


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the file; `ms` and `status` are for reading by people."""

    attempt: str | None = msgspec.field(name="try", default=None)
    end: str | None = None
    tenant: str | None = None
    items: list[list[Meant]] | None = None
    results: list[str | None] | None = None
    unknown: str | None = None
    door: str | None = None
    at: int | None = None
    ms: float | None = None
    status: int | None = None


class Attempt(NamedTuple):
    """One attempt at one fact, with its outcome."""

    tenant_id: str
    kind: str
    id: str
    payload: int
    outcome: str


class BadLedger(ValueError):
    """The file is no client ledger; the message says where."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def digest(fact: facts.AnyFact) -> int:
    """64 bits of what a fact says: all of it but the envelope that the door stamps."""
    return facts.sent_hash(facts.encode(msgspec.structs.replace(fact, tenant=0, received=0, hash=0)))


def encode(line: Line) -> bytes:
    """One line, with its newline."""
    return _encode(line) + b"\n"


def attempts(lines: Iterable[bytes]) -> Iterator[Attempt]:
    """Every attempt at every fact. Keeps only what is under way. Raises BadLedger."""
    under_way: dict[str, Line] = {}
    broken: int | None = None
    for number, raw in enumerate(lines, 1):
        if broken is not None:  # a client that was killed may have cut its last line, and no other
            raise BadLedger(f"line {broken} is no line of a client ledger")
        try:
            line = _decode(raw)
        except msgspec.MsgspecError:
            broken = number
            continue
        if line.attempt is not None:
            under_way[line.attempt] = line
        elif line.end is not None and line.end in under_way:
            yield from _ended(under_way.pop(line.end), line)
        else:
            raise BadLedger(f"line {number} ends what never began")
    for begun in under_way.values():
        yield from _ended(begun, Line())


def _ended(begun: Line, end: Line) -> Iterator[Attempt]:
    items = begun.items or []
    results = end.results
    if results is not None and len(results) != len(items):
        raise BadLedger(f"attempt {begun.attempt} has {len(items)} items and {len(results)} results")
    for index, meant in enumerate(items):
        outcome = UNKNOWN if results is None else ACKED if results[index] is None else REJECTED
        for kind, fact_id, payload in meant:
            yield Attempt(begun.tenant or "", kind, fact_id, payload, outcome)
