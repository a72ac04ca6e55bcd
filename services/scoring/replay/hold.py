"""Holds the live state still: first the fold by its positions, then, for moments, everybody who writes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

import asyncpg

from services.scoring.assess import SHARD_LOCK
from services.scoring.consumer import NAME as CONSUMER
from services.scoring.erasure.store import REBUILD_LOCK as LOCK
from services.scoring.gather import SHARDS
from services.scoring.replay.rebuilt import FRESH, REPLACED
from shared.clock import day_of, zone

LIVE: Final = "scoring_state"
TOLD: Final = ("stream", "stream_head", "stream_told")  # go over as they are: listeners come back to them
_NAME_ALL: Final = """
SELECT set_config('app.tenants', coalesce(string_agg(tenant::text, ','), ''), true) FROM access.tenant
"""
_POSITIONS: Final = """
SELECT 1 FROM bus.position WHERE consumer = $1 ORDER BY bus, topic, part FOR UPDATE
"""
# Whoever holds one of these never waits for one before it: a round holds its shards, the ticker goes from due to dirty,
# a tenant's job begins with recheck. So whom we wait for here waits for nothing of ours.
_SHARDS: Final = """
SELECT pg_advisory_xact_lock($1 # hashtext($2), shard) FROM generate_series(0, $3 - 1) AS w(shard)
"""
_IN_ORDER: Final = ("due", "tenant_day", "recheck", "dirty")
_OTHERS: Final = """
SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname <> ALL($2) ORDER BY relname = ANY($3), relname
"""
_AT_REST: Final = f"""
SELECT (SELECT count(*) FROM {LIVE}.dirty) + (SELECT count(*) FROM {LIVE}.recheck)
  + (SELECT count(*) FROM {LIVE}.due WHERE at <= $1)
"""
_DAYS: Final = f"SELECT tenant, time_zone, day FROM access.tenant LEFT JOIN {LIVE}.tenant_day USING (tenant)"


class Busy(Exception):
    """Another rebuild, or an erasure, is under way."""


class Restless(Exception):
    """The live state does not come to rest: something keeps asking for new assessments."""


@asynccontextmanager
async def alone(conn: asyncpg.Connection) -> AsyncIterator[None]:
    """The only rebuild of this database. Raises Busy."""
    if not await conn.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        raise Busy("another rebuild or an erasure is under way")
    try:
        yield
    finally:
        with suppress(asyncpg.InterfaceError, asyncpg.PostgresError):  # a lost connection has let go of it
            await conn.execute(f"SELECT pg_advisory_unlock({LOCK})")


async def name_tenants(conn: asyncpg.Connection) -> None:
    """The transaction sees every tenant."""
    await conn.execute(_NAME_ALL)


async def hold_fold(conn: asyncpg.Connection) -> None:
    """Until the transaction's end no batch begins; those under way have ended at return."""
    await conn.fetch(_POSITIONS, CONSUMER)


async def freeze(conn: asyncpg.Connection) -> None:
    """Until the transaction, or its savepoint, ends nobody writes the live state; reads go on."""
    await conn.fetch(_SHARDS, SHARD_LOCK, LIVE, SHARDS)
    others = [row[0] for row in await conn.fetch(_OTHERS, LIVE, list(_IN_ORDER), list(TOLD))]
    for table in (*_IN_ORDER, *(name for name in others if name != "fact_seen")):
        await conn.execute(f"LOCK TABLE {LIVE}.{table} IN SHARE ROW EXCLUSIVE MODE")


async def at_rest(conn: asyncpg.Connection, now: datetime) -> bool:
    """Whether nothing waits in the frozen live state at this instant, and its days are this instant's."""
    if await conn.fetchval(_AT_REST, now):
        return False
    return all(row["day"] == day_of(now, zone(row["time_zone"])) for row in await conn.fetch(_DAYS))


async def swap(conn: asyncpg.Connection) -> None:
    """In the transaction that froze the live state: the rebuilt one takes its name. Who waits to write finds, when the
    locks go, that the name means another table, and writes there."""
    for table in TOLD:
        await conn.execute(f"INSERT INTO {FRESH}.{table} SELECT * FROM {LIVE}.{table}")
    await conn.execute(f"ALTER SCHEMA {LIVE} RENAME TO {REPLACED}")
    await conn.execute(f"ALTER SCHEMA {FRESH} RENAME TO {LIVE}")
