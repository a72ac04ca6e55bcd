"""The SQL of what was refused: written in batches beside the requests, read by the tenant it belongs to."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from shared.postgres import Connection

KEPT: Final = 10_000
KEPT_FOR: Final = timedelta(days=7)
Minute = tuple[int, datetime, str]


class Refusal(NamedTuple):
    """One refused item: `payload` is its first 2 KB as text, `place` its index in the request."""

    tenant: int
    at: datetime
    route: str
    place: int
    type: str | None
    id: str | None
    code: str
    message: str
    payload: str


# Adds to how many items were refused in a minute by code.
_COUNT: Final = """
INSERT INTO ingest.rejection_count AS c (tenant, minute, code, n)
SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::bigint[]) ORDER BY 1, 2, 3
ON CONFLICT (tenant, minute, code) DO UPDATE SET n = c.n + excluded.n
"""
# How many rows each tenant still has room for.
_ROOM: Final = "SELECT tenant, count(*) AS rows FROM ingest.rejection WHERE tenant = ANY($1::int[]) GROUP BY tenant"
_INSERT: Final = """
INSERT INTO ingest.rejection (tenant, at, route, index, type, id, code, message, payload)
SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[],
                     $8::text[], $9::text[])
"""
# One page, the newest first.
_PAGE: Final = """
SELECT seq, at, route, index, type, id, code, message, payload FROM ingest.rejection
WHERE tenant = $1 AND at >= $2 AND seq < $3 ORDER BY seq DESC LIMIT $4
"""
_TOTAL: Final = "SELECT count(*) FROM ingest.rejection WHERE tenant = $1 AND at >= $2"
# How many items were refused since a minute, kept rows or not.
_SINCE: Final = "SELECT coalesce(sum(n), 0)::bigint FROM ingest.rejection_count WHERE tenant = $1 AND minute > $2"
_TENANTS: Final = "SELECT tenant FROM access.tenant"
_PRUNE: Final = (
    "DELETE FROM ingest.rejection WHERE tenant = ANY($1::int[]) AND at < $2",
    "DELETE FROM ingest.rejection_count WHERE tenant = ANY($1::int[]) AND minute < $2",
)


async def add_counts(conn: Connection, counts: Mapping[Minute, int]) -> None:
    """Adds these counts by (tenant, minute, code)."""
    rows = [(*key, n) for key, n in counts.items()]
    if rows:
        await conn.execute(_COUNT, *(list(column) for column in zip(*rows, strict=True)))


async def add_rows(conn: Connection, refusals: Sequence[Refusal]) -> None:
    """Keeps those for which their tenant has room left."""
    tenants = sorted({refusal.tenant for refusal in refusals})
    used = {row["tenant"]: row["rows"] for row in await conn.fetch(_ROOM, tenants)}
    fitting: list[Refusal] = []
    for refusal in refusals:
        used[refusal.tenant] = used.get(refusal.tenant, 0) + 1
        if used[refusal.tenant] <= KEPT:
            fitting.append(refusal)
    if fitting:
        await conn.execute(_INSERT, *(list(column) for column in zip(*fitting, strict=True)))


async def page(conn: Connection, tenant: int, since: datetime, before: int, limit: int) -> list[dict[str, Any]]:
    """At most `limit` refusals since an instant with `seq` below `before`, the newest first."""
    return [dict(row) for row in await conn.fetch(_PAGE, tenant, since, before, limit)]


async def total(conn: Connection, tenant: int, since: datetime) -> int:
    """How many refusals are kept since an instant."""
    return int(await conn.fetchval(_TOTAL, tenant, since) or 0)


async def count_since(conn: Connection, tenant: int, since: datetime) -> int:
    """How many items were refused since an instant, to the minute."""
    return int(await conn.fetchval(_SINCE, tenant, since - timedelta(minutes=1)) or 0)


async def all_tenants(conn: Connection) -> list[int]:
    """Every tenant there is; the workers' role only."""
    return [row["tenant"] for row in await conn.fetch(_TENANTS)]


async def prune(conn: Connection, tenants: Sequence[int], before: datetime) -> None:
    """Forgets what was refused before an instant."""
    for statement in _PRUNE:
        await conn.execute(statement, list(tenants), before)
