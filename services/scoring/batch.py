"""What one batch of records holds: facts that decode and are sound, and dead lines with their reason."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

import msgspec

from shared import facts
from shared.bus import Place, Record
from shared.money import to_minor

EARLIEST: Final = -2_208_988_800_000_000  # 1900-01-01T00:00:00Z in µs
LATEST: Final = 253_402_300_799_999_999  # the last microsecond of 9999
COUNT_LIMIT: Final = 1_000_000
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # after an even run of backslashes: else it is text about NUL


class Line(NamedTuple):
    """One sound fact with where it stood."""

    fact: facts.AnyFact
    raw: bytes
    place: Place
    offset: int


class Dead(NamedTuple):
    """One line that can never be applied, and why."""

    place: Place
    offset: int
    number: int
    raw: bytes
    reason: str


@dataclass(slots=True)
class Batch:
    """Records of any partitions, each partition's in offset order without a gap."""

    records: Sequence[Record]
    lines: list[Line] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)

    def intervals(self) -> dict[Place, tuple[int, int, int]]:
        """Per partition (first offset, next offset, receipt of the last record)."""
        spans: dict[Place, tuple[int, int, int]] = {}
        for record in self.records:
            place = (record.topic, record.part)
            first = spans[place][0] if place in spans else record.offset
            spans[place] = (first, record.offset + 1, record.received)
        return spans


def read_record(batch: Batch, record: Record, known: Callable[[int], bool]) -> None:
    """Decodes one record into the batch; `known` says whether a tenant exists."""
    place = (record.topic, record.part)
    for number, raw in enumerate(_lines(record.body)):
        try:
            fact = facts.decode(raw)
            check(fact, raw, known)
        except (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError) as problem:
            batch.dead.append(Dead(place, record.offset, number, raw, str(problem)[:500]))
        else:
            batch.lines.append(Line(fact, raw, place, record.offset))


def _lines(body: bytes) -> Iterator[bytes]:
    return (line for line in body.split(b"\n") if line)


def check(fact: facts.AnyFact, raw: bytes, known: Callable[[int], bool]) -> None:
    """Raises ValueError for what decodes but no table can hold: the door refuses these, a foreign producer may not."""
    if b"\\u0000" in raw and _NUL.search(raw):
        raise ValueError("a string holds NUL")
    if not known(fact.tenant):
        raise ValueError("no such tenant")
    if not EARLIEST <= fact.received <= LATEST or not -(2**63) <= fact.hash < 2**63:
        raise ValueError("the envelope is out of range")
    if isinstance(fact, facts.Contract):
        _check_contract(fact)
    elif not EARLIEST <= fact.at <= LATEST:
        raise ValueError("at is out of range")
    elif isinstance(fact, facts.Usage) and not 1 <= fact.count <= COUNT_LIMIT:
        raise ValueError("count is out of range")
    elif isinstance(fact, facts.Account):
        _check_account(fact)


def _check_contract(fact: facts.Contract) -> None:
    _check_days(fact.effective_on, fact.term_end)
    to_minor(fact.acv_after, fact.currency)
    if fact.recorded_at is not None and not EARLIEST <= fact.recorded_at <= LATEST:
        raise ValueError("recorded_at is out of range")


def _check_account(fact: facts.Account) -> None:
    _check_days(fact.customer_since, fact.renewal_on)
    for amount in (fact.acv, fact.potential_acv):
        if isinstance(amount, str):
            to_minor(amount, fact.currency or "")


def _check_days(*days: str | None | msgspec.UnsetType) -> None:
    for day in days:
        if isinstance(day, str):
            date.fromisoformat(day)
