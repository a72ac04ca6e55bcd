"""What the door says of one item: the facts it became, or why it was refused."""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import msgspec

from shared.clock import from_micros, to_micros
from shared.facts import USAGE_TOPIC, AnyFact, Usage, encode, place

FIVE_MINUTES: Final = 300_000_000
Line = tuple[str, int, bytes]
"""(topic, partition, one line of NDJSON without its newline)."""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """One item became these facts. `id` is the id as sent, or the one the server made."""

    id: str
    facts: tuple[AnyFact, ...]


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """One item was refused. `message` never repeats what was sent; `id` and `type` do, cut to 100 characters."""

    code: str
    message: str
    id: str | None = None
    type: str | None = None


class Refused(Exception):
    """Unwinds the checks of one item; it never leaves the domain: every public function turns it into Rejected."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Door:
    """Whose door it is and what time it is there. `received` is the accept time in µs since 1970."""

    tenant: int
    currency: str
    fx: frozenset[str]
    received: int
    new_id: Callable[[], str]

    latest: int = field(init=False)
    """The latest instant a fact may carry: five minutes ahead, in µs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "latest", self.received + FIVE_MINUTES)

    @property
    def latest_planned(self) -> int:
        """The latest instant a planned contact may carry: the same day two years ahead, in µs."""
        now = from_micros(self.latest)
        day = 28 if (now.month, now.day) == (2, 29) else now.day
        return to_micros(now.replace(year=now.year + 2, day=day))


def to_lines(facts: Iterable[AnyFact], partitions: int) -> list[Line]:
    """The lines of the log that these facts are, each with its place (that of shared.facts.place, found faster)."""
    return [_line(fact, partitions) for fact in facts]


def _line(fact: AnyFact, partitions: int) -> Line:
    if type(fact) is not Usage:
        return *place(fact, partitions), encode(fact)
    start = tenant_crc(fact.tenant)
    return USAGE_TOPIC, zlib.crc32(fact.person_id.encode(), start) % partitions, encode(fact)


@lru_cache(maxsize=4096)
def tenant_crc(tenant: int) -> int:
    return zlib.crc32(f"{tenant}|".encode())
