"""What PostgreSQL does for one request: every statement of the request's role, with the plan that it was run by."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.scoring import asof

_COLUMNS = """
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


# The live totals, counted again from the rows.
_RECOUNT = """
INSERT INTO scoring_state.counter
SELECT s.tenant, s.shard, d.dim, d.key, coalesce(s.tier, ''), count(*), coalesce(sum(s.acv), 0),
  count(s.covered), count(*) FILTER (WHERE s.covered), count(*) FILTER (WHERE s.in_use),
  count(*) FILTER (WHERE s.in_use AND s.contacted), count(s.score),
  coalesce(sum(round((s.score * 1000000000)::numeric)), 0)
FROM scoring_state.account_state s CROSS JOIN LATERAL (
  SELECT 'status', s.status UNION ALL
  SELECT v.dim, v.key FROM (VALUES ('tenant', ''), ('tier', coalesce(s.tier, '')), ('csm', coalesce(s.csm_id, '')),
    ('team', coalesce(s.team, '')), ('rank', coalesce(s.rank, '')), ('band', s.effective_band),
    ('cell', coalesce(s.rank, '-') || coalesce(s.tenure, '-')), ('priority', coalesce(s.priority, '')),
    ('moved', CASE WHEN s.band_7d <> s.effective_band THEN s.band_7d || '>' || s.effective_band END)) v(dim, key)
  WHERE NOT s.churned AND v.key IS NOT NULL) d(dim, key)
WHERE s.tenant = $1 GROUP BY 1, 2, 3, 4, 5
"""


async def columns_of(owner: Any, table: str) -> list[str]:
    """The columns of a table that are written, generated ones left out."""
    return str(await owner.fetchval(_COLUMNS, table)).split(", ")


async def copied(owner: Any, table: str, tenant: int, count: int, **changed: str) -> None:
    """Every row of the tenant so many times more; `changed`: what a column is in the n-th copy, of a row `x`."""
    names = await columns_of(owner, table)
    values = ", ".join(changed.get(name, f"x.{name}") for name in names)
    sql = f"INSERT INTO {table} ({', '.join(names)}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {table} x"
    await owner.execute(f"{sql}, generate_series(1, {count}) n WHERE x.tenant = {tenant}")


async def recounted(owner: Any, tenant: int) -> None:
    """The live totals of the tenant, made to fit its rows."""
    await owner.execute("DELETE FROM scoring_state.counter WHERE tenant = $1", tenant)
    await owner.execute(_RECOUNT, tenant)


@dataclass(frozen=True)
class Plan:
    """One statement as it was executed (EXPLAIN ANALYZE)."""

    sql: str
    root: dict[str, Any]
    ms: float

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Every node, inner ones included."""
        todo = [self.root]
        while todo:
            node = todo.pop()
            yield node
            todo += node.get("Plans", ())

    def scanned(self) -> set[str]:
        """Tables that were read whole; empty ones, such as partitions of years without usage, are not counted."""
        read = [node for node in self.nodes() if node["Node Type"] == "Seq Scan"]
        return {
            node["Relation Name"]
            for node in read
            if _times(node, "Actual Rows") + _times(node, "Rows Removed by Filter") > 0
        }

    def removed(self) -> float:
        """The most rows that one node read and threw away by a filter, all its loops together."""
        return max((_times(node, "Rows Removed by Filter") for node in self.nodes()), default=0)

    def read(self) -> float:
        """The most rows that one node took out of a table or index."""
        return max((_times(node, "Actual Rows") for node in self.nodes() if "Scan" in node["Node Type"]), default=0)

    def buffers(self) -> int:
        """Blocks of 8 KB that were touched."""
        return int(self.root.get("Shared Hit Blocks", 0)) + int(self.root.get("Shared Read Blocks", 0))


@dataclass
class Explained:
    """A connection that explains each question before it answers it."""

    conn: Any
    plans: list[Plan] = field(default_factory=list)

    async def fetch(self, sql: str, *args: Any) -> Any:
        """As asyncpg's."""
        return await self._told("fetch", sql, args)

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        """As asyncpg's."""
        return await self._told("fetchrow", sql, args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """As asyncpg's."""
        return await self._told("fetchval", sql, args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.conn, name)

    async def _told(self, how: str, sql: str, args: tuple[Any, ...]) -> Any:
        if sql.lstrip().upper().startswith(("SELECT", "WITH")):
            told = await self.conn.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", *args)
            found = json.loads(told)[0]
            self.plans.append(Plan(sql, found["Plan"], found["Execution Time"]))
        return await getattr(self.conn, how)(sql, *args)


@contextmanager
def explaining() -> Iterator[list[Plan]]:
    """While it lasts every question to scoring leaves its plans in the list."""
    plans: list[Plan] = []
    plain = asof.tenant_transaction

    @asynccontextmanager
    async def explained(*args: Any, **more: Any) -> AsyncIterator[Explained]:
        async with plain(*args, **more) as conn:
            yield Explained(conn, plans)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asof, "tenant_transaction", explained)
        yield plans


def _times(node: dict[str, Any], name: str) -> float:
    return node.get(name, 0) * node.get("Actual Loops", 1)
