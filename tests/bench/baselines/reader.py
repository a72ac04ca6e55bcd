"""Bare reads: FastAPI and asyncpg, one query in a transaction that sets the tenant, no key, no freshness, no rules.

Arguments: the request role's DSN, the tenant's number. The same paths as Genki's, the same rows behind them.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI, HTTPException

from tests.bench.baselines.server import serve

_HEALTH = """SELECT account_id, score, band, effective_band, confidence, health, computed_at FROM account_state
WHERE tenant = $1 AND account_id = $2"""
_LIST = """
SELECT account_id, name, status, tier, rank, tenure, acv, score, band, effective_band, change_1d, change_7d, change_28d,
active_users_28d, last_contact_at, covered, priority, csm_id, csm_name, team, renewal_on, needs_action
FROM account_state WHERE tenant = $1 AND NOT churned
  AND (priority_order, band_order, acv_order, account_id) > (-1, -1, -9223372036854775808, '')
ORDER BY priority_order, band_order, acv_order, account_id LIMIT 51"""
_COVERAGE = """
SELECT key, tier, sum(eligible)::int AS eligible, sum(covered)::int AS covered FROM counter
WHERE tenant = $1 AND dim = 'tier' GROUP BY key, tier HAVING sum(accounts) > 0"""


def reader(dsn: str, tenant: int) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        settings = {"search_path": "scoring_state"}
        app.state.pool = await asyncpg.create_pool(dsn, min_size=8, max_size=8, server_settings=settings)
        yield

    app = FastAPI(lifespan=lifespan)

    async def fetch(sql: str, *values: Any) -> list[dict[str, Any]]:
        async with app.state.pool.acquire() as conn:
            await conn.execute(f"BEGIN; SET LOCAL app.tenants = '{tenant}'")
            rows = await conn.fetch(sql, tenant, *values)
            await conn.execute("COMMIT")
        return [dict(row) for row in rows]

    @app.get("/v1/accounts/{account_id}/health")
    async def health(account_id: str) -> dict[str, Any]:
        rows = await fetch(_HEALTH, account_id)
        if not rows:
            raise HTTPException(404)
        return {**rows[0], **json.loads(rows[0].pop("health"))}

    @app.get("/v1/accounts")
    async def accounts() -> dict[str, Any]:
        rows = await fetch(_LIST)
        return {"items": [{**row, "needs_action": json.loads(row["needs_action"])} for row in rows[:50]]}

    @app.get("/v1/coverage")
    async def coverage() -> dict[str, Any]:
        groups = [{**row, "rate": row["covered"] / row["eligible"] if row["eligible"] else None}
                  for row in await fetch(_COVERAGE)]  # fmt: skip
        return {"groups": groups}

    return app


if __name__ == "__main__":
    serve(reader(sys.argv[1], int(sys.argv[2])))
