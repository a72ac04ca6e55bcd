"""A server that falls silent in the middle of a question: whoever is ended meanwhile ends, and soon."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import asyncpg
import pytest
import pytest_asyncio

from shared.errors import Unavailable
from shared.postgres import connection, tenant_transaction
from tests.conftest import TestDatabase
from tests.shared.silence import nothing, silent

SOON = 9.0  # seconds: a try to roll back takes two, a try to give the connection back five
Pool = asyncpg.Pool


@pytest_asyncio.fixture
async def pool(database: TestDatabase) -> AsyncIterator[Pool]:
    """One connection."""
    opened = await asyncpg.create_pool(database.worker_dsn, min_size=1, max_size=1, reset=nothing)
    yield opened
    opened.terminate()


async def in_transaction(pool: Pool) -> None:
    """A worker's loop as the services have it: what is lost is tried again."""
    while True:
        with suppress(Unavailable):
            async with tenant_transaction(pool, 1) as conn:
                await conn.fetchval("SELECT pg_sleep(0.05)")


async def on_connection(pool: Pool) -> None:
    """The same outside a transaction."""
    while True:
        with suppress(Unavailable):
            async with connection(pool) as conn:
                await conn.fetchval("SELECT pg_sleep(0.05)")


@pytest.mark.parametrize("work", [in_transaction, on_connection])
async def test_a_worker_that_is_cancelled_while_its_server_is_silent_ends(
    pool: Pool, work: Callable[[Pool], Awaitable[None]]
) -> None:
    backend = await pool.fetchval("SELECT pg_backend_pid()")
    worker = asyncio.ensure_future(work(pool))
    await asyncio.sleep(0.3)
    with silent(backend):
        await asyncio.sleep(0.3)
        worker.cancel()
        await asyncio.wait([worker], timeout=SOON)
        assert worker.cancelled()
