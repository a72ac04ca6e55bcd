"""All of Genki in this process around the real database, asked without a socket, with as many tenants as wanted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
import httpx2

from services.cli.compose import SERVICES, Parts, open_parts, open_services
from services.cli.prepare import prepare
from services.cli.tenants import create_tenant
from shared.clock import Clock
from shared.postgres import DatabaseSettings
from shared.service import Service
from tests.conftest import TestDatabase
from tests.journeys.filled import Tenant


@dataclass
class Inside:
    """The opened services, their parts, and clients for them."""

    made: TestDatabase
    settings: DatabaseSettings
    services: dict[str, Service]
    parts: Parts
    stack: AsyncExitStack

    async def tenant(self, word: str) -> Tenant:
        """One tenant more, with its keys and a client for facts and one for questions."""
        new = await create_tenant(self.settings, f"{word} Ltd", "Asia/Tokyo", "JPY", Clock().now())
        door, asker = [await self.client(new.keys[name]) for name in ("server", "admin")]
        return Tenant(word, new.tenant_id, dict(new.keys), door, asker)

    async def client(self, key: str, service: str = "gateway") -> httpx2.AsyncClient:
        """A client of a service that shows this key."""
        transport = httpx2.ASGITransport(app=self.services[service].http, client=("192.0.2.7", 5))
        headers = {"authorization": f"Bearer {key}"}
        opened = httpx2.AsyncClient(transport=transport, base_url="http://genki.test", headers=headers, timeout=30)
        return await self.stack.enter_async_context(opened)

    async def number(self, tenant: Tenant) -> int:
        """What the tenant is called in tables."""
        [row] = await self.owner("SELECT tenant FROM access.tenant WHERE tenant_id = $1", tenant.tenant_id)
        return row[0]

    async def owner(self, question: str, *values: object) -> list[asyncpg.Record]:
        """Rows as the owner sees them, whom no policy binds."""
        conn = await asyncpg.connect(self.made.owner_dsn)
        try:
            return await conn.fetch(question, *values)
        finally:
            await conn.close()


@asynccontextmanager
async def inside(made: TestDatabase, *, app_connections: int = 8) -> AsyncIterator[Inside]:
    """Genki, opened on a migrated database, its workers at work."""
    settings = DatabaseSettings(
        made.owner_dsn, made.app_password, made.worker_password, app_connections=app_connections
    )
    await prepare(settings, None)
    async with AsyncExitStack() as stack:
        parts = await open_parts(stack, settings, None, Clock())
        services = await open_services(stack, SERVICES, parts)
        working = [asyncio.ensure_future(work()) for one in services.values() for work in one.workers]
        async with AsyncExitStack() as clients:
            yield Inside(made, settings, services, parts, clients)
        for task in working:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
