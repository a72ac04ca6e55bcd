"""A second derived state in a schema of its own, filled out of the archive and assessed at one instant."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import asyncpg

from services.scoring import fold
from services.scoring.assess import Assessor
from services.scoring.batch import Batch, read_record
from services.scoring.erasure.lines import scrub
from services.scoring.erasure.rules import Erased
from services.scoring.erasure.store import read_list
from services.scoring.gather import Wanted
from services.scoring.keys import Keys
from services.scoring.replay.archive import ArchiveReader, Unreadable
from services.scoring.schema import state_statements
from services.scoring.tenants import Tenants
from services.scoring.ticker import Ticker
from shared.bus import Record
from shared.clock import EPOCH, Clock, to_micros
from shared.postgres import (
    APP_ROLE,
    WORKER_ROLE,
    Database,
    DatabaseSettings,
    connection,
    open_database,
    tenant_transaction,
)

FRESH: Final = "scoring_rebuilt"
REPLACED: Final = "scoring_replaced"
ANALYZE_FROM: Final = 50_000  # facts after which the planner is told for the first time; then at each doubling
YIELD_EVERY: Final = 1_000  # facts decoded between two turns of the writer
_WAITING: Final = "SELECT (SELECT count(*) FROM dirty) AS dirty, (SELECT count(*) FROM recheck) AS recheck"
# One row for each account instead of one for each batch that touched it.
_COLLAPSE: Final = (
    """WITH gone AS (DELETE FROM dirty RETURNING *)
    INSERT INTO dirty (shard, tenant, account, received, since)
    SELECT shard, tenant, account, min(received), min(since) FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
    """WITH gone AS (DELETE FROM recheck RETURNING *)
    INSERT INTO recheck (tenant, kind, key, since, received)
    SELECT tenant, kind, key, min(since), min(received) FROM gone GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
)
# The tenant's earliest facts at once: found account by account each earlier one asks for all accounts again.
_FIRSTS: Final = """
INSERT INTO first_facts AS f (tenant, usage_day, contact_at)
SELECT $1, (SELECT min(first_day) FROM account_user WHERE tenant = $1),
  (SELECT min(at) FROM contact WHERE tenant = $1 AND at <= $2)
ON CONFLICT (tenant) DO UPDATE SET usage_day = least(f.usage_day, excluded.usage_day),
  contact_at = least(f.contact_at, excluded.contact_at)
"""
_ROUNDS: Final = 10_000
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Still(Clock):
    """A clock that stands: everything judged by it is judged at one instant."""

    at: datetime = field(default=EPOCH)

    def now(self) -> datetime:
        return self.at

    def micros(self) -> int:
        return to_micros(self.at)


@asynccontextmanager
async def open_rebuilt(owner: asyncpg.Connection, settings: DatabaseSettings) -> AsyncIterator["Rebuilt"]:
    """An empty state beside the live one; what an interrupted rebuild left goes first. It is dropped at the end unless
    it has taken the live one's place by then."""
    await drop_leftovers(owner)
    async with owner.transaction():
        await owner.execute(f"CREATE SCHEMA {FRESH}; GRANT USAGE ON SCHEMA {FRESH} TO {APP_ROLE}, {WORKER_ROLE}")
        for statement in state_statements(FRESH):
            await owner.execute(statement)
    database = await open_database(replace(settings, state=FRESH, app_connections=1, worker_connections=3))
    try:
        yield Rebuilt(database, owner)
    finally:
        await database.close()
        await drop_leftovers(owner)


async def drop_leftovers(owner: asyncpg.Connection) -> None:
    """Drops what is nobody's: a state that was not finished, and one that was replaced."""
    for schema in (FRESH, REPLACED):
        await owner.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


class Rebuilt:
    """The state that is being made again. `folded` counts the facts read, `applied` those that were not there yet."""

    def __init__(self, database: Database, owner: asyncpg.Connection) -> None:
        self.database = database
        self._owner = owner
        self._tenants, self._keys = Tenants(database.worker), Keys(database.worker)
        self.folded = self.applied = 0
        self._analyzed_at = 0
        self._erased: Erased | None = None

    async def catch_up(self, archive: ArchiveReader, told: Callable[[int], None]) -> None:
        """Folds up to the archive's present end; the next batch is decoded while the last one is written."""
        batch = await self._decode(await archive.next())
        while batch.lines:
            writing = asyncio.create_task(self._apply(batch))
            try:
                batch = await self._decode(await archive.next())
            finally:
                await writing
            told(self.folded)
            await self._analyze()

    async def fold(self, records: Sequence[Record]) -> None:
        """Folds these records."""
        batch = await self._decode(records)
        if batch.lines:
            await self._apply(batch)

    async def _decode(self, records: Sequence[Record]) -> Batch:
        batch, done = Batch(records), 0
        await self._tenants.refresh_if_old()
        for record in records:
            read_record(batch, record, self._tenants.known)
            done += record.facts
            if done >= YIELD_EVERY:
                done = 0
                await asyncio.sleep(0)
        if batch.dead:
            first = batch.dead[0]
            place = f"{first.place[0]}/{first.place[1]} from offset {first.offset}"
            raise Unreadable(f"{len(batch.dead)} archived lines cannot be read, the first of {place}: {first.reason}")
        if self._erased is None:  # no erasure begins while a rebuild is under way
            self._erased = await read_list(self.database.worker)
        scrub(batch, self._erased)
        return batch

    async def _apply(self, batch: Batch) -> None:
        known = await self._keys.resolve(Wanted.of(batch.lines), self._tenants.terms)
        tenants = sorted({line.fact.tenant for line in batch.lines})
        async with tenant_transaction(self.database.worker, *tenants, durable=False) as conn:
            self.applied += await fold.rebuild(conn, batch.lines, known)
        self.folded += len(batch.lines)

    async def _analyze(self) -> None:
        """The planner must not take a table that was empty a moment ago for an empty one."""
        if self.folded >= max(ANALYZE_FROM, 2 * self._analyzed_at):
            self._analyzed_at = self.folded
            await analyze(self._owner)

    async def settle(self, at: datetime, told: Callable[[int], None]) -> None:
        """Assesses what waits, as of that instant, until nothing waits. `told` is given how many accounts still do."""
        await self._tenants.refresh()
        async with tenant_transaction(self.database.worker) as conn:
            for statement in _COLLAPSE:
                await conn.execute(statement, timeout=600)
        for tenant in self._tenants.terms:
            async with tenant_transaction(self.database.worker, tenant) as conn:
                await conn.execute(_FIRSTS, tenant, at, timeout=600)
        await settle(self.database, Still(at=at), told, shown=False)


async def analyze(owner: asyncpg.Connection) -> None:
    """Tells the planner what the rebuilt tables hold."""
    sql = "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r'"
    for row in await owner.fetch(sql, FRESH):
        await owner.execute(f"ANALYZE {row[0]}")


async def settle(database: Database, clock: Clock, told: Callable[[int], None], *, shown: bool) -> None:
    """Ticks and assesses until nothing waits in this state."""
    tenants = Tenants(database.worker)
    await tenants.refresh()
    ticker, assessor = Ticker(database, clock, tenants), Assessor(database, clock, tenants, shown=shown)
    for _ in range(_ROUNDS):
        await ticker.look(at_once=True)
        await assessor.round()
        async with connection(database.worker) as conn:
            waiting = await conn.fetchrow(_WAITING)
        assert waiting is not None  # a count always answers
        if not waiting["dirty"] + waiting["recheck"]:
            return
        told(waiting["dirty"])
        if not waiting["dirty"]:
            await asyncio.sleep(0.01)  # another process holds the tenant's job
    raise RuntimeError("the assessment does not come to rest")
