"""Facts that go on the log with the rows they speak of: in one transaction, whatever body the log has.

On PostgreSQL the facts are appended to the log itself. Else they wait in `bus.outbox` until the relay has shipped them.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, Final

import asyncpg
import structlog

from shared import facts, metrics
from shared.bus import Bus, BusUnavailable, Outgoing, Place, RecordRefused, cut
from shared.bus.postgres import PostgresBus, append
from shared.clock import from_micros, to_micros
from shared.postgres import IDLE_SECONDS, TROUBLE, Connection, connection

PAUSE: Final = 0.1  # seconds between looks at an empty outbox
BACKOFF: Final = 1.0  # seconds after the log or the database did not answer
_LOCK: Final = 7_300_020  # advisory: one relay ships, the others wait for its end
_RECORDS: Final = 100  # shipped at once: 25 MB at most
_PUT: Final = """
INSERT INTO bus.outbox (topic, part, received, facts, body)
SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::int[], $5::bytea[])
"""
TIDY_EVERY: Final = 1.0  # seconds between two looks at what the consumers have passed
AGAIN_EVERY: Final = 60.0  # seconds after which a record that the log refused is tried again
_WAITING: Final = """
SELECT seq, topic, part, received, body FROM bus.outbox WHERE shipped_to IS NULL AND seq <> ALL ($2::bigint[])
ORDER BY seq LIMIT $1
"""
_ONE: Final = "SELECT seq, topic, part, received, body FROM bus.outbox WHERE shipped_to IS NULL AND seq = $1"
_SHIPPED: Final = """
UPDATE bus.outbox o SET shipped_to = s.until, body = ''
FROM unnest($1::bigint[], $2::bigint[]) AS s(seq, until) WHERE o.seq = s.seq
"""
_PASSED: Final = """
DELETE FROM bus.outbox o WHERE shipped_to <= (
  SELECT min(p.next) FROM bus.position p WHERE p.bus = $1 AND p.topic = o.topic AND p.part = o.part)
"""
_LEFT: Final = "SELECT EXISTS (SELECT FROM bus.outbox WHERE shipped_to IS NOT NULL)"
_BYTES: Final = "SELECT coalesce(sum(octet_length(body)), 0)::bigint FROM bus.outbox"
_TROUBLE: Final = (BusUnavailable, *TROUBLE)
_REFUSED: Final = (RecordRefused, ValueError)  # ValueError: longer than a producer of ours may send
_log = structlog.get_logger("genki.outbox")


async def announce(conn: Connection, bus: Bus, told: Iterable[facts.AnyFact], received: int) -> None:
    """Puts facts on their way in the caller's transaction, as its last statement; `wake` the log after the commit."""
    lines: dict[Place, list[bytes]] = {}
    for fact in told:
        lines.setdefault(facts.place(fact, bus.partitions), []).append(facts.encode(fact))
    records = [record for place in sorted(lines) for record in cut(place, lines[place], received)]
    if not records:
        return
    if isinstance(bus, PostgresBus):
        await append(conn, records)
    else:
        await put(conn, records)


async def put(conn: Connection, records: Sequence[Outgoing]) -> None:
    """Records into the outbox, in the caller's transaction or as one of their own."""
    await conn.execute(_PUT, *_columns(records))


async def waiting_bytes(conn: Connection) -> int:
    """How much waits in the outbox."""
    return int(await conn.fetchval(_BYTES) or 0)


def wake(bus: Bus) -> None:
    """After the commit: consumers in this process need not wait for their next look."""
    if isinstance(bus, PostgresBus):
        bus.wake()


class Relay:
    """Ships what waits in the outbox, in its order. A row loses its body when the log has confirmed it, and goes when
    every consumer has passed it: until then figures are not as fresh as newer facts say. A crash between shipping and
    noting ships it again, and the fold drops the second.

    A record that the log refuses for its size holds up nobody: it keeps its row, is stepped past, told loudly, counted,
    and tried again once a minute and at each start."""

    def __init__(self, bus: Bus, pool: asyncpg.Pool, timeout: float = 15.0) -> None:
        """`pool`: the workers'; `timeout`: seconds for the log to confirm."""
        self._bus, self._pool, self._timeout = bus, pool, timeout
        self._tidied_at = float("-inf")
        self._untidy = True  # shipped rows may be left, of an earlier process too
        self._refused: dict[int, float] = {}  # records by seq, and when each is tried again

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._as_the_only_one()
            except _TROUBLE as problem:
                _log.warning("outbox_waits", problem=str(problem) or type(problem).__name__)
            await asyncio.sleep(BACKOFF)

    async def _as_the_only_one(self) -> None:
        async with connection(self._pool) as conn:
            if not await _lock(conn):
                return
            metrics.OUTBOX_REFUSED.set(len(self._refused))
            try:
                while True:
                    if not await self.step(conn):
                        await asyncio.sleep(PAUSE)
                    await self.tidy(conn)
            finally:
                metrics.OUTBOX_REFUSED.set(0)
                if not conn.is_closed():  # a lost connection has let go of the lock by itself
                    await asyncio.shield(_unlock(conn))

    async def step(self, conn: Connection) -> int:
        """Ships the next records; how many. Raises BusUnavailable: then they stay."""
        rows = await conn.fetch(_WAITING, _RECORDS, list(self._refused))
        try:
            shipped = await self._ship(conn, rows)
        except _REFUSED:
            shipped = 0
            for row in rows:  # each in a batch of its own
                shipped += await self._try(conn, row)
        return shipped + await self._again(conn)

    async def _ship(self, conn: Connection, rows: Sequence[Any]) -> int:
        if rows:
            await self._bus.publish([_record(row) for row in rows], self._timeout)
            ends = await self._bus.ends(sorted({row["topic"] for row in rows}))
            until = [ends[row["topic"], row["part"]] for row in rows]
            await conn.execute(_SHIPPED, [row["seq"] for row in rows], until)
            self._untidy = True
        return len(rows)

    async def _try(self, conn: Connection, row: Any) -> int:
        """Ships one record, or steps past it."""
        seq = row["seq"]
        try:
            await self._ship(conn, [row])
        except _REFUSED as problem:
            self._refused[seq] = asyncio.get_running_loop().time() + AGAIN_EVERY
            facts_in, size = row["body"].count(b"\n") + 1, len(row["body"])
            place = {"topic": row["topic"], "part": row["part"]}
            _log.error("outbox_record_refused", seq=seq, **place, bytes=size, facts=facts_in, problem=str(problem))
        else:
            self._refused.pop(seq, None)
        metrics.OUTBOX_REFUSED.set(len(self._refused))
        return seq not in self._refused

    async def _again(self, conn: Connection) -> int:
        """Tries at most one of the refused again: the others wait no longer than for that."""
        seq = next(iter(self._refused), None)  # a record that is refused again goes to the end
        if seq is None or asyncio.get_running_loop().time() < self._refused[seq]:
            return 0
        del self._refused[seq]
        row = await conn.fetchrow(_ONE, seq)
        return 0 if row is None else await self._try(conn, row)

    async def tidy(self, conn: Connection) -> None:
        """Forgets what every consumer has passed; looks once a second at most, and only while something is left."""
        now = asyncio.get_running_loop().time()
        if self._untidy and now - self._tidied_at >= TIDY_EVERY:
            self._tidied_at = now
            await conn.execute(_PASSED, self._bus.id)
            self._untidy = bool(await conn.fetchval(_LEFT))


async def _lock(conn: Connection) -> bool:
    """Whether the lock is ours. Who cannot tell ends the connection: in its pool it would hold the lock for good."""
    try:
        taken = bool(await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK))
        await conn.execute(f"SET idle_session_timeout = '{IDLE_SECONDS if taken else 0}s'")
        return taken
    except BaseException:
        conn.terminate()
        raise


async def _unlock(conn: Connection) -> None:
    """The connection goes back to its pool without the lock, or not at all. Raises nothing: whoever is ended here must
    not forget it over a server that is silent. A process that ends has not long."""
    try:
        async with asyncio.timeout(2):  # the driver's own timeout does not count its wait for what it cancelled
            await conn.execute(f"SELECT pg_advisory_unlock({_LOCK}); SET idle_session_timeout = 0")
    except Exception:  # noqa: BLE001 whatever it was, a fallen connection lets go of the lock
        conn.terminate()


def _columns(records: Sequence[Outgoing]) -> list[list[Any]]:
    return [
        [record.topic for record in records],
        [record.part for record in records],
        [from_micros(record.received) for record in records],
        [len(record.lines) for record in records],
        [b"\n".join(record.lines) for record in records],
    ]


def _record(row: Any) -> Outgoing:
    received = to_micros(row["received"].astimezone(UTC))
    return Outgoing(row["topic"], row["part"], row["body"].split(b"\n"), received)
