"""Bare reads: FastAPI and asyncpg, Genki's own statements in a transaction that sets the tenant; no key, no freshness.

Arguments: the request role's DSN, the tenant's number. The same paths as Genki's, the same rows behind them.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from fastapi import FastAPI, HTTPException

from services.scoring.accounts import listing, store
from services.scoring.accounts.asked import Asked
from services.scoring.accounts.chosen import ORDERS, Chosen
from services.scoring.accounts.walk import Span, backward, forward
from services.scoring.coverage import store as coverage_store
from services.scoring.coverage import worklist
from services.scoring.joins.sql import joined
from services.scoring.matrix import store as matrix_store
from tests.bench.baselines.server import serve

_SIZE = 51
_ATTEMPTS = joined(worklist._ATTEMPTS, accounts=False, persons=False)


def listed(sort: str) -> tuple[str, list[Any]]:
    """Genki's statement of the first page in that order, and what follows the tenant."""
    if not sort:
        return listing._WHOLE, [*store.FIRST, _SIZE]
    order, descending = ORDERS[sort.removeprefix("-")], sort.startswith("-")
    upward = descending == order.reversed
    lanes = Chosen(Asked(sort=sort.removeprefix("-"), descending=descending), None, None, "whole").ordered(order)
    start = [(listing._LEAST if upward else listing._MOST)[order.kind], ""]
    span = Span([(order.column, order.kind)], [start] * len(lanes.turns))
    if upward:
        return forward(lanes, span, _SIZE, store.MATCHES)
    return backward(lanes, span, _SIZE, store.MATCHES, inside=False)


class Reader:
    """The rows of one tenant."""

    def __init__(self, tenant: int) -> None:
        """`pool` is set when the application begins."""
        self.tenant = tenant
        self.pool: asyncpg.Pool

    @asynccontextmanager
    async def conn(self) -> AsyncIterator[Any]:
        """A transaction of the tenant."""
        async with self.pool.acquire() as conn:
            await conn.execute(f"BEGIN; SET LOCAL app.tenants = '{self.tenant}'")
            yield conn
            await conn.execute("COMMIT")

    async def fetch(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of one statement."""
        async with self.conn() as conn:
            return [dict(row) for row in await conn.fetch(sql, self.tenant, *values)]


def reader(dsn: str, tenant: int) -> FastAPI:
    """The application."""
    rows = Reader(tenant)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        settings = {"search_path": "scoring_state"}
        rows.pool = await asyncpg.create_pool(dsn, min_size=8, max_size=8, server_settings=settings)
        yield

    app = FastAPI(lifespan=lifespan)
    _accounts(app, rows)
    _figures(app, rows)
    return app


def _accounts(app: FastAPI, rows: Reader) -> None:
    @app.get("/v1/accounts/{account_id}/health")
    async def health(account_id: str) -> dict[str, Any]:
        found = await rows.fetch(store._HEALTH, account_id)
        if not found:
            raise HTTPException(404)
        return {**found[0], **json.loads(found[0].pop("health"))}

    @app.get("/v1/accounts")
    async def accounts(sort: str = "", limit: int = 50) -> dict[str, Any]:
        sql, values = listed(sort)
        found = await rows.fetch(sql, *values)
        return {"items": [{**row, "needs_action": json.loads(row["needs_action"])} for row in found[:limit]]}

    @app.get("/v1/coverage/worklist")
    async def work() -> dict[str, Any]:
        async with rows.conn() as conn:
            end = datetime.now(UTC) + timedelta(days=15)
            found = await conn.fetch(worklist._PAGE, rows.tenant, end, *worklist.FIRST, _SIZE)
            keys, since = [row["account"] for row in found], [row["last_contact_at"] for row in found]
            tried = await conn.fetch(_ATTEMPTS, rows.tenant, keys, keys, since, datetime.now(UTC))
        counts = {row["account"]: row["attempts"] for row in tried}
        return {"items": [{**dict(row), "attempts": counts.get(row["account"], 0)} for row in found[:50]]}


def _figures(app: FastAPI, rows: Reader) -> None:
    @app.get("/v1/coverage")
    async def coverage(by: str = "tenant") -> dict[str, Any]:
        groups = [{**row, "rate": row["covered"] / row["eligible"] if row["eligible"] else None}
                  for row in await rows.fetch(coverage_store._COUNTS, by)]  # fmt: skip
        return {"groups": groups}

    @app.get("/v1/matrix")
    async def matrix() -> dict[str, Any]:
        return {"cells": [{**row, "mean_health": row["score"] / row["scored"] if row["scored"] else None}
                          for row in await rows.fetch(matrix_store._CELLS)]}  # fmt: skip


if __name__ == "__main__":
    serve(reader(sys.argv[1], int(sys.argv[2])))
