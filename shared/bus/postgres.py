"""The log in PostgreSQL: `bus.log` rows under the heads of `bus.head`; commit order is offset order, without gaps."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Final

import asyncpg
import cramjam

from shared.bus import BusBroken, BusUnavailable, Outgoing, Place, Positions, Record
from shared.clock import from_micros, to_micros
from shared.postgres import TROUBLE, Connection, connection

POLL: Final = 0.02  # seconds between looks at the heads when no publisher of this process wakes us
_RECORDS: Final = 64  # per partition and fetch

# Locks the heads in (topic, part) order, takes offsets and inserts. Must be the last statement of its transaction:
# the lock is held until the commit, so offsets become visible in order.
_APPEND: Final = """
WITH i AS (
  SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::int[], $5::bytea[])
  WITH ORDINALITY AS i(topic, part, received, facts, body, n)),
w AS (SELECT topic, part, count(*) AS records FROM i GROUP BY topic, part),
l AS (
  SELECT h.topic, h.part, h.next FROM bus.head h JOIN w USING (topic, part) ORDER BY h.topic, h.part FOR UPDATE OF h),
m AS (
  UPDATE bus.head h SET next = l.next + w.records FROM l JOIN w USING (topic, part)
  WHERE h.topic = l.topic AND h.part = l.part RETURNING h.topic, h.part, l.next AS first)
INSERT INTO bus.log (topic, part, off, day, received, facts, body)
SELECT i.topic, i.part, m.first + row_number() OVER (PARTITION BY i.topic, i.part ORDER BY i.n) - 1,
       (i.received AT TIME ZONE 'UTC')::date, i.received, i.facts, i.body
FROM i JOIN m USING (topic, part)
"""
_HEADS: Final = "SELECT topic, part, next FROM bus.head WHERE topic = ANY($1::text[])"
# The next records of each partition that has any, in offset order.
_READ: Final = """
SELECT l.* FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w(topic, part, next)
CROSS JOIN LATERAL (
  SELECT topic, part, off, received, facts, body FROM bus.log
  WHERE topic = w.topic AND part = w.part AND off >= w.next ORDER BY off LIMIT $4) l
"""


async def append(conn: Connection, records: Sequence[Outgoing]) -> None:
    """Appends in the caller's transaction; nothing may follow it there."""
    await conn.execute(
        _APPEND,
        [record.topic for record in records],
        [record.part for record in records],
        [from_micros(record.received) for record in records],
        [len(record.lines) for record in records],
        [bytes(cramjam.zstd.compress(b"\n".join(record.lines), 3)) for record in records],
    )


async def make_topics(conn: Connection, topics: Iterable[str], partitions: int) -> None:
    """Creates the heads of every topic; a count other than the stored one is refused with BusBroken."""
    known = await conn.fetchval("SELECT value FROM bus.setting WHERE name = 'partitions'")
    if known is not None and int(known) != partitions:
        raise BusBroken(f"the log has {known} partitions a topic; changing it needs a drained log")
    await conn.execute("INSERT INTO bus.setting VALUES ('partitions', $1) ON CONFLICT DO NOTHING", str(partitions))
    await conn.executemany(
        "INSERT INTO bus.head (topic, part) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        [(topic, part) for topic in topics for part in range(partitions)],
    )


class PostgresBus:
    """The log's PostgreSQL body. Publishers of this process wake its consumers at once."""

    id = "pg"

    def __init__(self, pool: asyncpg.Pool, partitions: int) -> None:
        self.partitions = partitions
        self._pool = pool
        self._news: set[asyncio.Event] = set()

    async def publish(self, records: Sequence[Outgoing], timeout: float) -> None:
        """Durable at return (the commit). Raises BusUnavailable."""
        if not records:
            return
        try:
            async with asyncio.timeout(timeout), connection(self._pool, timeout) as conn:
                await append(conn, records)
        except TROUBLE as problem:
            raise BusUnavailable(str(problem) or type(problem).__name__) from problem
        self.wake()

    def wake(self) -> None:
        """Tells this process's consumers that something was appended."""
        for event in self._news:
            event.set()

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        try:
            async with connection(self._pool, 5) as conn:
                rows = await conn.fetch(_HEADS, list(topics))
        except TROUBLE as problem:
            raise BusUnavailable(str(problem) or type(problem).__name__) from problem
        return {(row["topic"], row["part"]): row["next"] for row in rows}

    def consumer(self, name: str, topics: Sequence[str], positions: Positions) -> "PostgresConsumer":
        return PostgresConsumer(self, topics, positions)

    async def read(self, wanted: Mapping[Place, int]) -> list[Record]:
        """The next records of these partitions from these offsets on."""
        try:
            async with connection(self._pool, 5) as conn:
                places = sorted(wanted)
                rows = await conn.fetch(
                    _READ,
                    [topic for topic, _ in places],
                    [part for _, part in places],
                    [wanted[place] for place in places],
                    _RECORDS,
                )
        except TROUBLE as problem:
            raise BusUnavailable(str(problem) or type(problem).__name__) from problem
        return [_record(row) for row in rows]

    async def ping(self) -> None:
        await self.ends(())

    async def close(self) -> None:
        """Nothing of its own to close: the pool is the service's."""

    def listen(self, event: asyncio.Event) -> None:
        self._news.add(event)

    def forget(self, event: asyncio.Event) -> None:
        self._news.discard(event)


def _record(row: asyncpg.Record) -> Record:
    body = bytes(cramjam.zstd.decompress(row["body"]))
    received = to_micros(row["received"].astimezone(UTC))
    return Record(row["topic"], row["part"], row["off"], body, received, row["facts"])


class PostgresConsumer:
    """Reads all partitions of its topics; two of them on one database are kept apart by the fence alone."""

    def __init__(self, bus: PostgresBus, topics: Sequence[str], positions: Positions) -> None:
        self._bus = bus
        self._topics = tuple(topics)
        self._positions = positions
        self._next: dict[Place, int] = {}
        self._news = asyncio.Event()
        self._turn = 0

    async def start(self) -> None:
        ends = await self._bus.ends(self._topics)
        if not ends:
            raise BusBroken("the log has no topics: run `genki migrate`")
        self._next = await self._positions(ends)
        self._bus.listen(self._news)

    async def fetch(self, max_facts: int, wait: float) -> list[Record]:
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            self._news.clear()
            ends = await self._bus.ends(self._topics)
            waiting = {place: at for place, at in self._next.items() if ends.get(place, 0) > at}
            self._check(ends)
            if waiting:
                return self._take(await self._bus.read(waiting), max_facts)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return []
            await self._pause(min(POLL, left))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # Python 3.11's wait_for can swallow a cancellation
                await self._news.wait()

    def _check(self, ends: Mapping[Place, int]) -> None:
        beyond = [place for place, at in self._next.items() if ends.get(place, 0) < at]
        if beyond:
            raise BusBroken(f"the log ends before the stored position of {beyond}")

    def _take(self, records: list[Record], max_facts: int) -> list[Record]:
        """A prefix of each partition, about `max_facts` in all, beginning with another partition each time."""
        by_place: dict[Place, list[Record]] = {}
        for record in records:
            by_place.setdefault((record.topic, record.part), []).append(record)
        places = sorted(by_place)
        self._turn += 1
        taken: list[Record] = []
        facts = 0
        for index in range(len(places)):
            for record in by_place[places[(index + self._turn) % len(places)]]:
                if taken and facts + record.facts > max_facts:
                    break
                taken.append(record)
                facts += record.facts
                self._next[(record.topic, record.part)] = record.offset + 1
        return taken

    def seek(self, place: Place, offset: int) -> None:
        self._next[place] = offset

    def assignment(self) -> set[Place]:
        return set(self._next)

    async def committed(self, positions: Mapping[Place, int]) -> None:
        """The stored positions are this log's own: there is nobody else to tell."""

    async def close(self) -> None:
        self._bus.forget(self._news)
