"""Time moves state too: what is due is marked, nothing is computed here. Also the housekeeping of log and dedupe."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog

from services.scoring.gather import SHARDS
from services.scoring.schema import SEEN_PARTITIONS
from services.scoring.stream.store import PRUNED, forget
from services.scoring.tenant_job import tenant_job
from services.scoring.tenants import Tenants
from shared.clock import Clock, day_of
from shared.errors import Unavailable
from shared.postgres import Connection, Database, connection, tenant_transaction

log = structlog.get_logger()
TICK: Final = 0.25
MONEY_EVERY: Final = 1.0  # seconds between two looks at a tenant's provisional amounts
HOUSEKEEPING_EVERY: Final = 600.0
LOG_DAYS: Final = 7
USAGE_IDS_DAYS: Final = 31  # a usage id is told apart for 30 days
EVENTS_KEPT: Final = timedelta(hours=24)  # of the stream

_DUE: Final = "DELETE FROM due WHERE at <= $1 RETURNING tenant, at, kind, key"
_MARK: Final = f"""
INSERT INTO dirty (shard, tenant, account, received, since)
SELECT account % {SHARDS}, tenant, account, at, day
FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::date[]) AS w(tenant, account, at, day)
"""
_RECHECK: Final = """
INSERT INTO recheck (tenant, kind, key, since, received)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::date[], $5::timestamptz[])
"""
_NEW_DAY: Final = """
INSERT INTO tenant_day AS t (tenant, day) VALUES ($1, $2)
ON CONFLICT (tenant) DO UPDATE SET day = excluded.day WHERE t.day < excluded.day RETURNING day
"""
_ASK_ALL: Final = "INSERT INTO recheck (tenant, kind, key, since, received) VALUES ($1, 'all', '', $2, $3)"
_ASKED: Final = "SELECT DISTINCT tenant FROM recheck"


class Ticker:
    """Looks at the clock every quarter second. `look` once, for tests."""

    def __init__(self, database: Database, clock: Clock, tenants: Tenants) -> None:
        self._database, self._clock, self._tenants = database, clock, tenants
        self._days: dict[int, date] = {}
        self._job_at: dict[int, float] = {}
        self._kept_house_at = float("-inf")

    async def run(self) -> None:
        """Until cancelled; PostgreSQL away means waiting."""
        while True:
            try:
                await self.look()
                await self._keep_house()
            except (Unavailable, OSError, TimeoutError) as problem:
                log.warning("ticker_waits", reason=str(problem))
            await asyncio.sleep(TICK)

    async def look(self, *, at_once: bool = False) -> None:
        """New days, what came due, and the tenants' own jobs (`at_once`: without the pause between two)."""
        now = self._clock.now()
        await self._tenants.refresh_if_old()
        await self._new_days(now)
        await self._come_due(now)
        await self._jobs(now, at_once=at_once)

    async def _new_days(self, now: datetime) -> None:
        for tenant, terms in self._tenants.terms.items():
            today = day_of(now, terms.tz)
            if self._days.get(tenant) == today:
                continue
            async with tenant_transaction(self._database.worker, tenant) as conn:
                if await conn.fetchval(_NEW_DAY, tenant, today):
                    await conn.execute(_ASK_ALL, tenant, today, now)
            self._days[tenant] = today

    async def _come_due(self, now: datetime) -> None:
        async with tenant_transaction(self._database.worker) as conn:
            rows = await conn.fetch(_DUE, now)
            await self._tenants.meet(row["tenant"] for row in rows)
            accounts = [row for row in rows if row["kind"] == "account"]
            others = [row for row in rows if row["kind"] != "account"]
            await conn.execute(
                _MARK,
                [row["tenant"] for row in accounts],
                [int(row["key"]) for row in accounts],
                [row["at"] for row in accounts],
                [self._day(row) for row in accounts],
            )
            if others:
                await conn.execute(
                    _RECHECK,
                    [row["tenant"] for row in others],
                    [row["kind"] for row in others],
                    [row["key"] for row in others],
                    [self._day(row) for row in others],
                    [row["at"] for row in others],
                )

    def _day(self, row) -> date:
        return day_of(row["at"].astimezone(UTC), self._tenants.terms[row["tenant"]].tz)

    async def _jobs(self, now: datetime, *, at_once: bool) -> None:
        async with connection(self._database.worker) as conn:
            asked = [row["tenant"] for row in await conn.fetch(_ASKED)]
        await self._tenants.meet(asked)
        clock = asyncio.get_running_loop().time
        for tenant in asked:
            if not at_once and clock() - self._job_at.get(tenant, float("-inf")) < MONEY_EVERY:
                continue
            self._job_at[tenant] = clock()
            async with tenant_transaction(self._database.worker, tenant) as conn:
                await tenant_job(conn, tenant, self._tenants.terms[tenant].base, now)

    async def _keep_house(self) -> None:
        clock = asyncio.get_running_loop().time
        if clock() - self._kept_house_at < HOUSEKEEPING_EVERY:
            return
        self._kept_house_at = clock()
        today = self._clock.now().date()
        async with connection(self._database.worker) as conn:
            await keep_log(conn, today)
        await self._forget_usage_ids(today)
        await self._forget_events(self._clock.now() - EVENTS_KEPT)

    async def _forget_events(self, before: datetime) -> None:
        for tenant in list(self._tenants.terms):
            deleted = PRUNED
            while deleted == PRUNED:
                async with tenant_transaction(self._database.worker, tenant) as conn:
                    deleted = await forget(conn, tenant, before)

    async def _forget_usage_ids(self, today: date) -> None:
        """One hash partition after another, so that no transaction grows long."""
        tenants = list(self._tenants.terms)
        for part in range(SEEN_PARTITIONS):
            async with tenant_transaction(self._database.worker, *tenants) as conn:
                await conn.execute(
                    "DELETE FROM fact_seen WHERE seen_on < $1 AND satisfies_hash_partition("
                    f"'fact_seen'::regclass, {SEEN_PARTITIONS}, {part}, key)",
                    today - timedelta(days=USAGE_IDS_DAYS),
                    timeout=600,
                )


async def keep_log(conn: Connection, today: date) -> None:
    """Makes the log's next days and drops those older than its retention that every consumer has applied."""
    await conn.execute("SELECT bus.add_days($1, 3)", today)
    await conn.execute("SELECT bus.drop_days($1)", today - timedelta(days=LOG_DAYS))
