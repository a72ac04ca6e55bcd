"""Facts onto the PostgreSQL log as ingest's records would lie there, held back until they are let go all at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import asyncpg

from services.cli.prepare import PARTITIONS
from shared import facts
from shared.bus import Outgoing
from shared.bus.postgres import append
from tests.bench.house import Base, BenchFailed

FACTS_A_RECORD = 250
_BEHIND = """
SELECT (SELECT coalesce(sum(h.next - coalesce(p.next, 0)), 0) FROM bus.head h LEFT JOIN bus.position p
        ON p.bus = 'pg' AND p.consumer = 'scoring' AND p.topic = h.topic AND p.part = h.part
        WHERE h.topic <> 'genki.dead.v1')::bigint
"""
WAITING = "SELECT EXISTS (SELECT FROM scoring_state.dirty) OR EXISTS (SELECT FROM scoring_state.recheck)"


def records(told: Iterable[facts.AnyFact], size: int = FACTS_A_RECORD) -> list[Outgoing]:
    """The facts as records of about `size` facts, partition by partition in turn."""
    gathered: dict[tuple[str, int], list[bytes]] = {}
    made: list[Outgoing] = []
    now = time.time_ns() // 1000
    for fact in told:
        place = facts.place(fact, PARTITIONS)
        lines = gathered.setdefault(place, [])
        lines.append(facts.encode(fact))
        if len(lines) >= size:
            made.append(Outgoing(*place, gathered.pop(place), now))
    return [*made, *(Outgoing(*place, lines, now) for place, lines in gathered.items())]


@asynccontextmanager
async def held_back(base: Base, some: list[Outgoing]) -> AsyncIterator[asyncpg.Connection]:
    """Appends in an open transaction; `COMMIT` on the connection lets everything go at once."""
    conn = await asyncpg.connect(base.settings.url)
    try:
        await conn.execute("BEGIN")
        for start in range(0, len(some), 200):
            await append(conn, some[start : start + 200])
        yield conn
    finally:
        await conn.close()


async def drained(conn: asyncpg.Connection, *, assessed: bool, seconds: float = 600) -> float:
    """Waits until all is folded (and assessed); the moment by perf_counter at which it was. Raises BenchFailed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not await conn.fetchval(_BEHIND) and not (assessed and await conn.fetchval(WAITING)):
            return time.perf_counter()
        await asyncio.sleep(0.05)
    raise BenchFailed(f"the fold did not come to rest in {seconds} s")
