"""One rebuild from start to end: fold, assess, hold still, compare, and swap if that was asked for."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

import asyncpg

from services.scoring.replay import hold
from services.scoring.replay.archive import ArchiveReader
from services.scoring.replay.compare import Comparison, Tally, compare
from services.scoring.replay.rebuilt import FRESH, Progress, Rebuilt, drop_leftovers, open_rebuilt, settle
from shared.clock import Clock
from shared.postgres import Database, DatabaseSettings, open_database

NEAR: Final = 20_000  # facts ahead at which the fold is held: less than a batch
TRIES: Final = 50  # times that the live state may begin to move again before we give up
TELL_EVERY: Final = 1.0  # seconds between two lines of progress


async def check(settings: DatabaseSettings, clock: Clock, tell: Progress) -> Comparison:
    """Rebuilds the derived state out of the archive beside the live one, compares both as of one instant and drops it.
    The fold may run meanwhile; it is held for as long as the last batch and the last assessments take. `tell` is given
    lines of progress. Raises Busy, Restless, Unreadable, and Unavailable when the database goes away."""
    return await _run(settings, clock, tell, swap=False)


async def replay(settings: DatabaseSettings, clock: Clock, tell: Progress) -> Comparison:
    """The same, and then the rebuilt state takes the live one's place: the fold is held until then."""
    return await _run(settings, clock, tell, swap=True)


async def _run(settings: DatabaseSettings, clock: Clock, tell: Progress, *, swap: bool) -> Comparison:
    began = time.monotonic()
    async with _connected(settings) as owner, hold.alone(owner), open_rebuilt(owner, settings) as rebuilt:
        database = await open_database(replace(settings, app_connections=1, worker_connections=3))
        try:
            archive = ArchiveReader(database.worker)
            await _fill(rebuilt, archive, clock, tell)
            async with _connected(settings) as holder:
                at, tables = await Last(holder, settings, database, rebuilt, archive, clock, tell).step(swap=swap)
        finally:
            await database.close()
        repeats = rebuilt.folded - rebuilt.applied
    return Comparison(at.isoformat(), rebuilt.folded, repeats, time.monotonic() - began, tables, swap)


async def _fill(rebuilt: Rebuilt, archive: ArchiveReader, clock: Clock, tell: Progress) -> None:
    """Up to about a batch behind the fold, everything assessed."""
    ahead = await archive.ahead()
    pace = Pace(tell, ahead)
    tell(f"{ahead:,} facts in the archive")
    while ahead:
        await rebuilt.catch_up(archive, pace.folded)
        await rebuilt.settle(clock.now(), pace.assessing)
        left = await archive.ahead()
        if left < NEAR or left >= ahead:  # a fold as fast as we are is not caught up with but by holding it
            return
        ahead = left


class Last:
    """The last step: the fold held, both states brought to one instant, compared, swapped."""

    def __init__(
        self, holder: asyncpg.Connection, settings: DatabaseSettings, live: Database, rebuilt: Rebuilt,
        archive: ArchiveReader, clock: Clock, tell: Progress,
    ) -> None:  # fmt: skip
        self._holder, self._settings, self._live = holder, settings, live
        self._rebuilt, self._archive, self._clock, self._tell = rebuilt, archive, clock, tell

    async def step(self, *, swap: bool) -> tuple[datetime, tuple[Tally, ...]]:
        """The instant, and every table of both states at it."""
        began = time.monotonic()
        await self._holder.execute("BEGIN")
        await hold.hold_fold(self._holder)
        self._tell("the fold is held")
        await self._rebuilt.catch_up(self._archive, _silent)
        await self._rebuilt.fold(await self._archive.behind())
        at = await self._frozen()
        async with _snapshot(self._settings) as seen:
            if not swap:
                await self._holder.execute("ROLLBACK")
                self._tell(f"the fold goes on after {time.monotonic() - began:.1f} s")
            tables = await compare(seen, hold.LIVE, FRESH)
        if swap:
            await hold.swap(self._holder)
            await self._holder.execute("COMMIT")
            self._tell(f"swapped; the fold goes on after {time.monotonic() - began:.1f} s")
        return at, tables

    async def _frozen(self) -> datetime:
        """Freezes the live state at an instant at which nothing waits in it, and brings the rebuilt one there too."""
        await hold.name_tenants(self._holder)
        for attempt in range(TRIES):
            await settle(self._live, self._clock, _silent, shown=True)
            await self._rebuilt.settle(self._clock.now(), _silent)
            await self._holder.execute("SAVEPOINT moving")
            await hold.freeze(self._holder)
            at = self._clock.now()
            if await hold.at_rest(self._holder, at):
                await self._rebuilt.settle(at, _silent)
                return at
            await self._holder.execute("ROLLBACK TO SAVEPOINT moving")
            await asyncio.sleep(min(0.05 * attempt, 1.0))
        raise hold.Restless("the live state does not come to rest: new assessments are asked for without end")


class Pace:
    """Lines of progress, one a second: how fast it goes and how long it takes yet."""

    def __init__(self, tell: Progress, facts: int) -> None:
        self._tell, self._facts = tell, facts
        self._began = time.monotonic()
        self._told_at = self._began

    def folded(self, done: int) -> None:
        """So many facts are folded."""
        now = time.monotonic()
        if now - self._told_at < TELL_EVERY:
            return
        self._told_at = now
        rate = done / (now - self._began)
        left = max(self._facts - done, 0) / rate
        self._tell(f"{done:,} of {self._facts:,} facts, {rate:,.0f} a second, {left:,.0f} s left")

    def assessing(self, waiting: int) -> None:
        """So many accounts wait for their assessment."""
        now = time.monotonic()
        if now - self._told_at >= TELL_EVERY:
            self._told_at = now
            self._tell(f"{waiting:,} accounts wait for their assessment")


def _silent(_: int) -> None:
    """Nobody wants to know: it is over in moments."""


@asynccontextmanager
async def _connected(settings: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(settings.url, server_settings={"application_name": "genki replay"})
    try:
        yield conn
    finally:
        await conn.close(timeout=10)


@asynccontextmanager
async def _snapshot(settings: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees everything as it is now, whatever is committed later."""
    async with _connected(settings) as conn:
        await conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await hold.name_tenants(conn)
        await conn.fetchval("SELECT count(*) FROM access.tenant")
        yield conn


__all__ = ["check", "drop_leftovers", "replay"]
