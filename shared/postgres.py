"""PostgreSQL for every service: two pools under two roles, and the one helper that opens a tenant's transaction."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from shared.errors import Unavailable

APP_ROLE: Final = "genki_app"
WORKER_ROLE: Final = "genki_worker"
REQUEST_SECONDS: Final = 15  # for one statement of a request: a server that fell silent is told from a slow one
WORK_SECONDS: Final = 60  # for one of the workers
IDLE_SECONDS: Final = 30  # of a transaction that asks nothing: a frozen process may not hold what others wait for
# A machine that is gone without a word is noticed after this many seconds, and its locks fall.
_KEEPALIVE: Final = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
_LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that falls in the middle of a COPY
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.QueryCanceledError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
)


# What a worker waits out: a database that is away, or did not do as asked. A timeout is an OSError.
TROUBLE: Final = (Unavailable, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class NotIsolated(Exception):
    """The database does not keep tenants apart: the boot check found a role or table outside the policy."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where PostgreSQL is: the owner's URL, and the passwords of the two roles that services use."""

    url: str
    app_password: str
    worker_password: str
    app_connections: int = 8
    worker_connections: int = 8
    state: str = "scoring_state"  # the schema of derived state: a rebuild works in another one


@dataclass(frozen=True, slots=True)
class Database:
    """The pools of one process: `app` for requests (row-level security), `worker` for fold, assessment and ticker."""

    app: asyncpg.Pool
    worker: asyncpg.Pool

    async def close(self) -> None:
        """Closes both pools, within 5 s."""
        await asyncio.gather(*(_close(pool) for pool in (self.app, self.worker)))

    async def ping(self) -> None:
        """Raises Unavailable when PostgreSQL does not answer within 2 s."""
        async with connection(self.worker, timeout=2) as conn:
            await conn.fetchval("SELECT 1", timeout=2)


async def _close(pool: asyncpg.Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), 5)
    except TimeoutError:
        pool.terminate()


def role_url(url: str, role: str, password: str) -> str:
    """The owner's URL with another role's name and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{host}"))


async def open_database(settings: DatabaseSettings) -> Database:
    """Connects both pools and runs the isolation self-test. Raises Unavailable or NotIsolated."""
    options: dict[str, Any] = {
        "reset": _leave_as_it_is,
        "command_timeout": REQUEST_SECONDS,
        "max_inactive_connection_lifetime": 300,
        "server_settings": {
            "search_path": settings.state,
            "application_name": "genki",
            "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
            **_KEEPALIVE,
        },
    }
    app_url = role_url(settings.url, APP_ROLE, settings.app_password)
    worker_url = role_url(settings.url, WORKER_ROLE, settings.worker_password)
    app = await asyncpg.create_pool(app_url, min_size=1, max_size=settings.app_connections, **options)
    # The workers' statements take arrays of hundreds of keys: a plan made for "some array" reads them one by one.
    planned = {**options["server_settings"], "plan_cache_mode": "force_custom_plan"}
    options |= {"server_settings": planned, "command_timeout": WORK_SECONDS}
    worker = await asyncpg.create_pool(worker_url, min_size=1, max_size=settings.worker_connections, **options)
    database = Database(app, worker)
    try:
        await check_isolation(database)
    except BaseException:
        await database.close()
        raise
    return database


async def _leave_as_it_is(_: Connection) -> None:
    """What a connection keeps when it goes back to its pool: all. Settings last for a transaction here, a lock is given
    back by its taker, and the driver itself ends an open transaction. The usual RESET ALL costs each request a trip."""


@asynccontextmanager
async def connection(pool: asyncpg.Pool, timeout: float = 5.0) -> AsyncIterator[Connection]:
    """A pooled connection; a lost server or an exhausted pool raises Unavailable. Who is cancelled stays so."""
    cancelled: asyncio.CancelledError | None = None
    try:
        async with pool.acquire(timeout=timeout) as conn:
            try:
                yield conn
            except asyncio.CancelledError as end:
                cancelled = end
                raise
    except _LOST as problem:
        if cancelled is not None:  # a silent server takes its connection back late; that may not hide the end
            raise cancelled from None
        raise _away() from problem


class tenant_transaction:  # noqa: N801 used as a function is; a class costs each request half of what generators do
    """A transaction that sees the rows of these tenants only: the one place where the list is set. `durable` False: the
    commit does not wait for the disk; for what is done again, whole, when a power cut loses it. A lost server or an
    exhausted pool raises Unavailable."""

    __slots__ = ("_conn", "_durable", "_pool", "_tenants", "_timeout")

    def __init__(self, pool: asyncpg.Pool, *tenants: int, timeout: float = 5.0, durable: bool = True) -> None:
        """`timeout`: seconds to wait for a connection."""
        self._pool, self._tenants, self._timeout, self._durable = pool, tenants, timeout, durable

    async def __aenter__(self) -> Connection:
        try:
            async with asyncio.timeout(self._timeout):  # the pool's own timeout makes a task of every wait
                self._conn = conn = await self._pool.acquire()
            try:
                await begin(conn, self._tenants, durable=self._durable)
            except BaseException:
                with suppress(*_LOST):
                    await self._end(well=False)
                raise
        except _LOST as problem:
            raise _away() from problem
        return conn

    async def __aexit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: object) -> None:
        try:
            await self._end(well=kind is None)
        except _LOST as lost:
            if isinstance(problem, asyncio.CancelledError):
                return  # whoever is ended may not forget it over a server that is silent
            raise _away() from lost
        if isinstance(problem, _LOST):
            raise _away() from problem

    async def _end(self, *, well: bool) -> None:
        try:
            if not well:
                await _roll_back(self._conn)
            else:
                await self._conn.execute("COMMIT")
        finally:
            await self._pool.release(self._conn, timeout=self._timeout)


def _away() -> Unavailable:
    return Unavailable("The database does not answer.")


# A process frozen in the middle of a COPY is not idle to the server: the statement's own time ends its transaction.
_UNHURRIED: Final = f"; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = '{WORK_SECONDS}s'"


async def begin(conn: Connection, tenants: tuple[int, ...] | list[int], *, durable: bool = True) -> None:
    """Opens a transaction and sets the tenants in one simple statement (integers only, so no quoting is needed)."""
    listed = ",".join(str(int(tenant)) for tenant in tenants)
    unhurried = "" if durable else _UNHURRIED
    await conn.execute(f"BEGIN; SET LOCAL app.tenants = '{listed}'{unhurried}")


async def _roll_back(conn: Connection) -> None:
    if conn.is_closed():
        return
    try:
        await asyncio.shield(conn.execute("ROLLBACK", timeout=2))
    except (*_LOST, asyncpg.PostgresError):
        conn.terminate()


# The one policy's expression: a transaction sees the tenants it has named and no other.
POLICY: Final = (
    "tenant = ANY ((SELECT string_to_array(nullif(current_setting('app.tenants', true), ''), ',')::int[])::int[])"
)
# How this server spells that expression back, read off a table that lives for one transaction.
_PROBE: Final = f"""
CREATE TEMP TABLE policy_probe (tenant int) ON COMMIT DROP;
CREATE POLICY tenant ON policy_probe USING ({POLICY})
"""
_SPELT: Final = "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'pg_temp.policy_probe'::regclass"
# Tables that the role may touch, be it one column, and that this policy alone does not guard for it.
_OPEN_TABLES: Final = """
SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('access', 'bus', 'ingest', 'nps', 'scoring', 'scoring_state') AND c.relkind IN ('r', 'p', 'f')
  AND (has_any_column_privilege($1, c.oid, 'SELECT, INSERT, UPDATE')
       OR has_table_privilege($1, c.oid, 'DELETE, TRUNCATE'))
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND coalesce((
    SELECT count(*) = 1 AND bool_and(p.polname = 'tenant' AND p.polpermissive AND p.polcmd = '*'
      AND pg_get_expr(p.polqual, c.oid) = $2 AND pg_get_expr(p.polwithcheck, c.oid) = $2)
    FROM pg_policy p WHERE p.polrelid = c.oid
      AND p.polroles && ARRAY[0::oid, (SELECT oid FROM pg_roles WHERE rolname = $1)]), false))
"""
_ROLE: Final = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_OWNED: Final = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('access', 'bus', 'ingest', 'nps', 'scoring', 'scoring_state')
  AND pg_get_userbyid(c.relowner) = current_user
"""
_VIEWS: Final = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('access', 'bus', 'ingest', 'nps', 'scoring', 'scoring_state') AND c.relkind IN ('v', 'm')
  AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'], false)
"""
# What may be added to the audit log and never taken back.
_ALTERABLE: Final = """
SELECT has_any_column_privilege(current_user, 'access.audit', 'UPDATE')
    OR has_table_privilege(current_user, 'access.audit', 'DELETE, TRUNCATE')
"""
# By the key, whose first column the policy is about: else nobody's rows would be looked for in all of a large table.
_SEEN_WITHOUT_TENANT: Final = """
SELECT count(*) FROM (SELECT 1 FROM account_state ORDER BY tenant, account LIMIT 1) AS seen
"""


async def check_isolation(database: Database) -> None:
    """The boot self-test of row-level security. Raises NotIsolated with what stands open."""
    for pool, role in ((database.app, APP_ROLE), (database.worker, WORKER_ROLE)):
        async with connection(pool) as conn:
            if await conn.fetchval(_ROLE) or await conn.fetchval(_OWNED):
                raise NotIsolated(f"{role} is a superuser, bypasses row-level security or owns tables")
            if await conn.fetchval(_ALTERABLE):
                raise NotIsolated(f"{role} may alter the audit log")
            if role == APP_ROLE:
                await _check_tables(conn)


async def _check_tables(conn: Connection) -> None:
    async with conn.transaction():
        await conn.execute(_PROBE)
        spelt = await conn.fetchval(_SPELT)
        standing_open = [row["name"] for row in await conn.fetch(_OPEN_TABLES, APP_ROLE, spelt)]
    views = [row[0] for row in await conn.fetch(_VIEWS)]
    if standing_open or views:
        raise NotIsolated(f"outside the tenant policy: {', '.join(standing_open + views)}")
    if await conn.fetchval(_SEEN_WITHOUT_TENANT):
        raise NotIsolated("rows are visible without a tenant")
