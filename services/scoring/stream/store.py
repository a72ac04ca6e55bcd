"""SQL of the stream. Tables are named without their schema: a rebuilt state tells its own stream, not the live one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from services.scoring.stream.rules import (
    Event,
    Health,
    Row,
    coverage_event,
    coverage_moved,
    health_event,
    health_moved,
    health_of,
    may_tell,
)
from shared.postgres import Connection

PAGE: Final = 500
PRUNED: Final = 5_000  # rows deleted in one statement
_TOLD: Final = """
SELECT account, score, band, effective_band FROM stream_told WHERE tenant = $1 AND account = ANY($2)
"""
# The head first: it is held until the commit, so numbers are in the order of the commits.
_APPEND: Final = """
WITH clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now), h AS (
  INSERT INTO stream_head AS h (tenant, seq, floor) SELECT $1, now + $2::bigint, now FROM clock
  ON CONFLICT (tenant) DO UPDATE SET seq = greatest(h.seq, excluded.floor) + $2::bigint RETURNING seq
), told AS (
  INSERT INTO stream_told AS o (tenant, account, score, band, effective_band)
  SELECT $1, w.* FROM unnest($3::int[], $4::float8[], $5::text[], $6::text[]) AS w ORDER BY 2
  ON CONFLICT (tenant, account) DO UPDATE
  SET score = excluded.score, band = excluded.band, effective_band = excluded.effective_band
)
INSERT INTO stream (tenant, seq, at, kind, csm_id, body)
SELECT $1, h.seq - $2::bigint + w.n, $7, w.kind, w.csm_id, w.body
FROM h, unnest($8::text[], $9::text[], $10::text[]) WITH ORDINALITY AS w(kind, csm_id, body, n)
"""
_HEADS: Final = "SELECT tenant, seq FROM stream_head WHERE tenant = ANY($1)"
# A head for a tenant that was never told anything: who listens from now on can come back.
_BEGIN: Final = """
INSERT INTO stream_head (tenant, seq, floor) SELECT $1, now, now
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) clock ON CONFLICT DO NOTHING
"""
_SPAN: Final = "SELECT seq, floor FROM stream_head WHERE tenant = $1"
_PAGE: Final = f"""
SELECT seq, kind, csm_id, body FROM stream WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT {PAGE}
"""
_PRUNE: Final = f"""
WITH d AS (
  DELETE FROM stream WHERE tenant = $1 AND at < $2
  AND seq = ANY (ARRAY(SELECT seq FROM stream WHERE tenant = $1 ORDER BY seq LIMIT {PRUNED})) RETURNING seq
), f AS (
  UPDATE stream_head SET floor = greatest(floor, (SELECT max(seq) FROM d)) WHERE tenant = $1 AND EXISTS (TABLE d)
)
SELECT count(*) FROM d
"""


class Told(NamedTuple):
    """One event as it is kept."""

    seq: int
    kind: str
    csm_id: str | None
    body: str


class Span(NamedTuple):
    """What can be told again: everything after `floor`, up to `head`."""

    head: int
    floor: int


async def write(conn: Connection, tenant: int, old: Mapping[int, Row], new: Mapping[int, Row], at: datetime) -> None:
    """Appends what is worth telling between two states of accounts, `old` as they were and `new` the changed ones, in
    the assessment's transaction. Nothing to tell costs no statement, else it is one read and one write."""
    moved = {account: row for account, row in new.items() if may_tell(old.get(account), row)}
    if not moved:
        return
    known = [account for account in moved if account in old]
    rows = await conn.fetch(_TOLD, tenant, known) if known else []
    told = {row["account"]: health_of(row) for row in rows}
    health = {one: row for one, row in moved.items() if health_moved(told.get(one), health_of(row))}
    events = [health_event(told.get(one), row, at) for one, row in health.items()]
    events += [coverage_event(row, at) for one, row in moved.items() if coverage_moved(old.get(one), row)]
    if events:
        await _append(conn, tenant, {one: health_of(row) for one, row in health.items()}, events, at)


async def _append(
    conn: Connection, tenant: int, health: Mapping[int, Health], events: Sequence[Event], at: datetime
) -> None:
    scores, bands, effective = ([one[index] for one in health.values()] for index in range(3))
    bodies = [msgspec.json.encode(event.body).decode() for event in events]
    kinds, owners = [event.kind for event in events], [event.csm_id for event in events]
    values = (list(health), scores, bands, effective, at, kinds, owners, bodies)
    await conn.execute(_APPEND, tenant, len(events), *values)


async def heads(conn: Connection, tenants: Iterable[int]) -> dict[int, int]:
    """The last number of each tenant's stream; a tenant that was never told anything has none."""
    return {row["tenant"]: row["seq"] for row in await conn.fetch(_HEADS, list(tenants))}


async def span(conn: Connection, tenant: int) -> Span:
    """What can be told again now."""
    row = await conn.fetchrow(_SPAN, tenant)
    return Span(*row) if row else Span(0, 0)


async def begun(conn: Connection, tenant: int) -> Span:
    """The same, for a tenant that may never have been told anything; a worker's transaction."""
    await conn.execute(_BEGIN, tenant)
    return await span(conn, tenant)


async def page(conn: Connection, tenant: int, after: int) -> list[Told]:
    """The next events, at most 500."""
    return [Told(*row) for row in await conn.fetch(_PAGE, tenant, after)]


async def forget(conn: Connection, tenant: int, before: datetime) -> int:
    """Deletes the oldest events of a tenant that are older, some thousand at once: how many. Numbers grow with time, so
    the oldest are the lowest and no index by time is kept."""
    return int(await conn.fetchval(_PRUNE, tenant, before) or 0)
