"""What the books must say of one fact, and of all: the seven equations, judged. Pure.

A fact is (tenant, type, stored id). Each book that knows it adds to its `Entry`; `judge` says which equations fail.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

EQUATIONS: Final = {
    1: "acknowledged is applied or dead",
    2: "every id has one outcome, in every book the same",
    3: "unknown is applied at most once, exactly once when acknowledged later",
    4: "refused is not applied",
    5: "nothing that nobody sent, payload and tenant as sent",
    6: "a rebuild from the archive gives the same tables",
    7: "counters conserve: consumed = applied + duplicate + dead, received = accepted + refused",
}
OF_THE_CLIENT: Final = (1, 3, 4)  # cannot be told without a client ledger
REMEMBERED_DAYS: Final = 30  # a usage id is told apart for so long
ONE_ROW: Final = frozenset(("account", "person", "contact", "contract", "csm", "survey_response"))
SENT_KINDS: Final = frozenset(("usage", "account", "person", "contact", "contract", "csm", "alias"))
Place = tuple[str, int]


class Sent(NamedTuple):
    """One attempt of a client at one fact: "acked", "rejected" or "unknown", and the digest of what it said."""

    outcome: str
    payload: int


class Applied(NamedTuple):
    """One line of the archive: day of receipt since 1970, the door's hash, the digest of what it says (None: it was
    erased), and whether the log still holds what it came from."""

    day: int
    hash: int
    payload: int | None
    in_log: bool


class Seen(NamedTuple):
    """One row of the dedupe table; `day` None = known for ever."""

    tenant: int
    body: int
    day: int | None


class Spot(NamedTuple):
    """One line of the log."""

    topic: str
    part: int
    offset: int
    line: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.part}@{self.offset}:{self.line}"


@dataclass(slots=True)
class Entry:
    """One fact with what each book says of it."""

    tenant: int
    kind: str
    id: str
    sent: list[Sent] = field(default_factory=list[Sent])
    applied: list[Applied] = field(default_factory=list[Applied])
    seen: list[Seen] = field(default_factory=list[Seen])
    rows: int = 0  # whether a fact table has it
    consumed: list[Spot] = field(default_factory=list[Spot])
    waiting: list[Spot] = field(default_factory=list[Spot])
    outbox: int = 0
    dead: set[Spot] = field(default_factory=set[Spot])

    def had(self, outcome: str) -> bool:
        """Whether any attempt ended so."""
        return any(one.outcome == outcome for one in self.sent)

    @property
    def outcomes(self) -> int:
        """How often the fact took effect; dead lines count once, and only where nothing was applied."""
        return len(self.applied) or (1 if self.dead else 0)


@dataclass(frozen=True, slots=True)
class Terms:
    """What must be known to judge: today, whose clients kept a ledger (None: there is none), what the log lost."""

    today: int
    tenants: frozenset[int] | None = None
    log_lost: bool = False


class Fault(NamedTuple):
    """One equation that does not hold, and what was found instead."""

    equation: int
    why: str


class Found(NamedTuple):
    """A fault with whose it is. `what`: "usage u-17", or a partition."""

    tenant: int
    what: str
    why: str


def judge(entry: Entry, terms: Terms) -> Iterator[Fault]:
    """Every equation that this fact breaks."""
    if entry.sent:
        yield from _acknowledged(entry, terms)
        yield from _refused(entry)
        yield from _payload(entry)
    yield from _once(entry)
    yield from _in_every_book(entry, terms)
    yield from _nobodys(entry, terms)
    yield from _conserved(entry)


def _acknowledged(entry: Entry, terms: Terms) -> Iterator[Fault]:
    if not entry.had("acked") or entry.outcomes:
        return
    yield Fault(1, f"acknowledged and not applied; {whereabouts(entry, terms)}")
    if entry.had("unknown"):
        yield Fault(3, f"first unknown, then acknowledged, and not applied; {whereabouts(entry, terms)}")


def whereabouts(entry: Entry, terms: Terms) -> str:
    """Where a fact without outcome is, by the log itself."""
    if entry.consumed:
        return f"in the log at {entry.consumed[0]}, below the stored position: the consumer skipped it"
    if entry.waiting:
        return f"in the log at {entry.waiting[0]}, above the stored position: it waits"
    if entry.outbox:
        return "in the outbox: it waits"
    if terms.log_lost:
        return "not in the log, which lost records: the broker lost it"
    return "never in the log: the door answered before it was there"


def _refused(entry: Entry) -> Iterator[Fault]:
    if entry.applied and all(one.outcome == "rejected" for one in entry.sent):
        yield Fault(4, "refused at every attempt, and applied")


def _payload(entry: Entry) -> Iterator[Fault]:
    told = {one.payload for one in entry.sent if one.outcome != "rejected"}
    if told and any(one.payload is not None and one.payload not in told for one in entry.applied):
        yield Fault(5, "applied with another payload than was sent")


def _once(entry: Entry) -> Iterator[Fault]:
    times = len(entry.applied)
    if times < 2:
        return
    if entry.kind == "usage":
        days = sorted(one.day for one in entry.applied)
        if all(later - day > REMEMBERED_DAYS for day, later in pairwise(days)):
            return
    yield Fault(2, f"applied {times} times")
    if entry.had("unknown"):
        yield Fault(3, f"unknown at first, and applied {times} times")


def _in_every_book(entry: Entry, terms: Terms) -> Iterator[Fault]:
    applied, known = bool(entry.applied), bool(entry.seen)
    if known and not applied:
        yield Fault(2, "known to the dedupe table, but not in the archive")
    if applied and not known and _remembered(entry, terms):
        yield Fault(2, "in the archive, but not in the dedupe table")
    if entry.rows and not applied:
        yield Fault(2, f"in the table of its type ({entry.kind}), but not in the archive")
    if applied and entry.kind in ONE_ROW and not entry.rows:
        yield Fault(2, f"in the archive, but not in the table of its type ({entry.kind})")


def _remembered(entry: Entry, terms: Terms) -> bool:
    return entry.kind != "usage" or max(one.day for one in entry.applied) >= terms.today - REMEMBERED_DAYS


def _nobodys(entry: Entry, terms: Terms) -> Iterator[Fault]:
    ours = terms.tenants is not None and entry.tenant in terms.tenants and entry.kind in SENT_KINDS
    if ours and entry.applied and not entry.sent:
        yield Fault(5, "applied, and nobody sent it")
    if entry.seen and entry.applied:
        seen, last = entry.seen[0], max(entry.applied, key=lambda one: one.day)
        if seen.tenant != entry.tenant:
            yield Fault(5, f"applied for tenant {entry.tenant}, known under tenant {seen.tenant}")
        if len(entry.applied) == 1 and seen.body != last.hash:
            yield Fault(5, "the dedupe table remembers another body than the archive holds")
    if sum(one.in_log for one in entry.applied) > len(entry.consumed):
        yield Fault(5, "applied more often than it is in the log")


def _conserved(entry: Entry) -> Iterator[Fault]:
    """consumed = applied + duplicate + dead: a line with neither outcome was skipped."""
    lost = [spot for spot in entry.consumed if spot not in entry.dead]
    if lost and not entry.applied and not entry.seen:
        yield Fault(7, f"{lost[0]} was consumed without an outcome: the consumer skipped it")


class Span(NamedTuple):
    """One record of the archive: the offsets [first, after) that its batch took of one partition of one log."""

    bus: str
    place: Place
    first: int
    after: int


def overlaps(spans: Iterable[Span]) -> Iterator[Found]:
    """Offsets that two batches took: the fence did not hold. `spans` in order of log, partition and first offset."""
    before: Span | None = None
    for span in spans:
        if before is not None and span[:2] == before[:2] and span.first < before.after:
            why = f"two batches applied offsets from {span.first} to {min(span.after, before.after) - 1}"
            yield Found(0, _named(span.place), why)
        if before is None or span[:2] != before[:2] or span.after > before.after:
            before = span


def misplaced(
    positions: Mapping[Place, int], begins: Mapping[Place, int], ends: Mapping[Place, int]
) -> Iterator[Found]:
    """Stored positions that the log contradicts: it lost records."""
    for place, position in sorted(positions.items()):
        if position > ends.get(place, 0):
            why = f"the stored position {position} lies beyond the log's end {ends.get(place, 0)}"
            yield Found(0, _named(place), why)
        elif position < begins.get(place, 0):
            why = f"the log begins at {begins[place]}, records from {position} on were never applied"
            yield Found(0, _named(place), why)


def holes(
    counted: Mapping[Place, int], begins: Mapping[Place, int], ends: Mapping[Place, int]
) -> Iterator[Found]:  # fmt: skip
    """Partitions that hold fewer records than lie between their first and last offset: the log lost some."""
    for place, end in sorted(ends.items()):
        missing = end - begins.get(place, 0) - counted.get(place, 0)
        if missing > 0:
            why = f"{missing} records are missing between offset {begins.get(place, 0)} and the end {end}"
            yield Found(0, _named(place), why)


def uneven(archived: Mapping[tuple[int, str], int], stored: Mapping[tuple[int, str], int]) -> Iterator[Found]:
    """Events of (tenant, feature) that archive and usage table count differently."""
    for tenant, feature in sorted(archived.keys() | stored.keys()):
        one, other = archived.get((tenant, feature), 0), stored.get((tenant, feature), 0)
        if one != other:
            yield Found(tenant, f"events of {feature}", f"{one:,} in the archive, {other:,} in the usage table")


class Counted(NamedTuple):
    """What one run of the processes counted of itself, from start to end."""

    accepted: int  # items, by all doors
    rejected: int
    by_code: int  # the sum of the refusals by their code
    applied: int  # lines, by scoring
    duplicate: int
    dead: int


def miscounted(counted: Counted, answered: tuple[int, int] | None, consumed: int) -> Iterator[Found]:
    """Counters against the client's items that were answered (accepted, refused), and the lines consumed meanwhile."""
    if counted.rejected != counted.by_code:
        yield Found(0, "the doors", f"{counted.rejected:,} refused, {counted.by_code:,} by their reasons")
    if answered is not None and answered != (counted.accepted, counted.rejected):
        told = f"counted {counted.accepted:,} accepted and {counted.rejected:,} refused"
        yield Found(0, "the doors", f"{told}, the client was answered {answered[0]:,} and {answered[1]:,}")
    outcomes = counted.applied + counted.duplicate + counted.dead
    if outcomes != consumed:
        yield Found(0, "scoring", f"{consumed:,} lines consumed, {outcomes:,} outcomes counted")


def _named(place: Place) -> str:
    return f"{place[0]}/{place[1]}"
