"""Makes a database and a log ready: roles, schemas, topics. Safe to repeat; the count of partitions is fixed here."""

import asyncpg

from services.cli.report import Refused
from shared.bus import BusBroken, BusUnavailable
from shared.bus.kafka import create_topics
from shared.bus.postgres import make_topics
from shared.facts import ALL_TOPICS
from shared.postgres import APP_ROLE, WORKER_ROLE, Connection, DatabaseSettings

PARTITIONS = 12
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def prepare(settings: DatabaseSettings, kafka: str | None, partitions: int | None = None) -> int:
    """Brings everything to the newest state and answers the number of partitions. Raises Refused with the reason."""
    try:
        conn = await asyncpg.connect(settings.url)
    except _LOST as problem:
        raise Refused(f"the database cannot be reached as its owner: {problem}") from problem
    from shared.migrations.run import migrate  # alembic takes a second to import, and most commands never migrate

    try:
        await _ensure_roles(conn, settings)
        await migrate(settings.url)
        count = partitions or await partitions_of(conn) or PARTITIONS
        await make_topics(conn, ALL_TOPICS, count)
        if kafka is not None:
            await create_topics(kafka, ALL_TOPICS, count)
    except (BusBroken, BusUnavailable) as problem:
        raise Refused(str(problem)) from problem
    finally:
        await conn.close()
    return count


async def partitions_of(conn: Connection) -> int | None:
    """The stored number of partitions a topic, None before the first `migrate`."""
    known = await conn.fetchval("SELECT value FROM bus.setting WHERE name = 'partitions'")
    return None if known is None else int(known)


async def prepared(conn: Connection) -> bool:
    """Whether this database was ever prepared."""
    return bool(await conn.fetchval("SELECT to_regclass('access.tenant') IS NOT NULL"))


async def _ensure_roles(conn: asyncpg.Connection, settings: DatabaseSettings) -> None:
    """The two roles services work under, made where they are missing; an existing one keeps its password."""
    for role, password in ((APP_ROLE, settings.app_password), (WORKER_ROLE, settings.worker_password)):
        if not await conn.fetchval("SELECT to_regrole($1) IS NOT NULL", role):
            quoted = await conn.fetchval("SELECT quote_literal($1)", password)
            await conn.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD {quoted}")
