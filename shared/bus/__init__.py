"""The log as a port: two bodies (`postgres`, `kafka`) behind one interface, held together by one contract-test suite.

A topic has `partitions` partitions; a record is one or more facts of one partition as NDJSON; an offset counts records.
Publishing is durable or it raises. Consuming never commits on its own: positions live in PostgreSQL with the state.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

RECORD_BYTES: Final = 256 * 1024  # a record's body is cut here; one line may be longer than none of it
Place = tuple[str, int]  # topic, partition
Positions = Callable[[Iterable[Place]], Awaitable[dict[Place, int]]]


class BusUnavailable(Exception):
    """The log did not confirm in time: what was sent may or may not be stored."""


class RecordRefused(BusUnavailable):
    """The log refuses a record for what it is, its size: sent again it would be refused again. Nothing is known of
    those that were published with it."""


class BusBroken(Exception):
    """The log contradicts the stored positions (lost records, out of range): stop and call a person."""


class Outgoing(NamedTuple):
    """One record to be: the lines of one partition and the least receipt (µs since 1970) among them."""

    topic: str
    part: int
    lines: Sequence[bytes]
    received: int


def cut(place: Place, lines: Sequence[bytes], received: int) -> list[Outgoing]:
    """The records that these lines of one partition make, none above 256 KB but for a single longer line."""
    if sum(map(len, lines)) + len(lines) <= RECORD_BYTES:
        return [Outgoing(*place, lines, received)]
    records: list[Outgoing] = []
    taken: list[bytes] = []
    size = 0
    for line in lines:
        if taken and size + len(line) + 1 > RECORD_BYTES:
            records.append(Outgoing(*place, taken, received))
            taken, size = [], 0
        taken.append(line)
        size += len(line) + 1
    return [*records, Outgoing(*place, taken, received)]


class Record(NamedTuple):
    """One record read back: plain NDJSON, `received` the least receipt of its facts in µs since 1970."""

    topic: str
    part: int
    offset: int
    body: bytes
    received: int
    facts: int


class Consumer(Protocol):
    """Reads every partition assigned to it, each in offset order, from the positions stored in PostgreSQL."""

    async def start(self) -> None: ...

    async def fetch(self, max_facts: int, wait: float) -> list[Record]:
        """What waits, at most about `max_facts` facts, per partition in offset order; [] after `wait` seconds of none.
        Raises BusUnavailable (try again) and BusBroken (stop)."""
        ...

    def seek(self, place: Place, offset: int) -> None:
        """The next fetch of this partition begins at `offset`."""
        ...

    def assignment(self) -> set[Place]: ...

    async def committed(self, positions: Mapping[Place, int]) -> None:
        """Tells the log's own tools how far this consumer is; nothing reads it back."""
        ...

    async def close(self) -> None: ...


class Bus(Protocol):
    """The log. `id` names it in the stored positions: "pg", or Kafka's cluster id."""

    id: str
    partitions: int

    async def publish(self, records: Sequence[Outgoing], timeout: float) -> None:
        """Returns when every record is durable. Raises BusUnavailable after `timeout` s: then nothing is known;
        RecordRefused when the log will not take one of them."""
        ...

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """The next offset of each partition."""
        ...

    def consumer(self, name: str, topics: Sequence[str], positions: Positions) -> Consumer: ...

    async def ping(self) -> None:
        """Raises BusUnavailable when the log does not answer."""
        ...

    async def close(self) -> None: ...
