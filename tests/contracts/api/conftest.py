"""All four services in this process around the real database, asked without a socket; one tenant filled through it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2
import pytest

from services.cli.compose import SERVICES, open_parts, open_services
from services.cli.prepare import prepare
from shared.clock import Clock
from shared.postgres import DatabaseSettings
from shared.service import Service
from shared.tenancy import new_key
from tests.conftest import TestDatabase
from tests.journeys.filled import Tenant, fill

HOLDERS = {"admin": ("api", "admin"), "csm": ("api", "csm"), "server": ("server", None)}


@dataclass
class Whole:
    """Genki's public door, its description, a filled tenant, and a client for each holder of a key."""

    document: dict[str, Any]
    tenant: Tenant
    clients: dict[str, httpx2.AsyncClient]


@pytest.fixture(scope="module")
async def whole(database: TestDatabase) -> AsyncIterator[Whole]:
    settings = DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password)
    await prepare(settings, None)
    async with AsyncExitStack() as stack:
        services = await open_services(stack, SERVICES, await open_parts(stack, settings, None, Clock()))
        working = [asyncio.ensure_future(work()) for one in services.values() for work in one.workers]
        keys = await _keys(database.owner_dsn)
        door = {name: await stack.enter_async_context(_client(services["gateway"], key)) for name, key in keys.items()}
        tenant = Tenant("zqword", "described", keys, door["server"], door["admin"])
        await fill(tenant, 2)
        yield Whole((await door["admin"].get("/openapi.json")).json(), tenant, door)
        for task in working:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _client(gateway: Service, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=gateway.http, client=("192.0.2.7", 5)),
        base_url="http://genki.test",
        headers={"authorization": f"Bearer {key}"},
        timeout=30,
    )


async def _keys(owner_dsn: str) -> dict[str, str]:
    owner = await asyncpg.connect(owner_dsn)
    tenant = await owner.fetchval(
        "INSERT INTO access.tenant (tenant_id, name, time_zone, currency)"
        " VALUES ('described', 'Described', 'Asia/Tokyo', 'JPY') RETURNING tenant"
    )
    found: dict[str, str] = {}
    for holder, (kind, role) in HOLDERS.items():
        key = new_key(kind)
        found[holder] = key.text
        await owner.execute(
            "INSERT INTO access.key (key_id, tenant, kind, role, csm_id, secret_hash) VALUES ($1, $2, $3, $4, $5, $6)",
            key.key_id, tenant, kind, role, "csm-1" if role == "csm" else None, key.secret_hash,
        )  # fmt: skip
    await owner.close()
    return found
