"""ingest as it runs: its application over the real log and database, two tenants with a key of each kind."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx2
import pytest

from services.ingest.app import open_ingest
from services.ingest.settings import IngestSettings
from shared.bus import Bus
from shared.bus.postgres import PostgresBus, make_topics
from shared.clock import Clock
from shared.facts import ALL_TOPICS, CONSUMED_TOPICS, AnyFact, decode
from shared.postgres import Database, DatabaseSettings, open_database
from shared.service import Service
from shared.tenancy import Keyring, new_key
from tests.conftest import TestDatabase

PARTITIONS = 4


@dataclass
class House:
    """A running ingest: a client at its door, its parts, the keys of its tenants by kind or role."""

    client: httpx2.AsyncClient
    service: Service
    database: Database
    bus: Bus
    keyring: Keyring
    owner: asyncpg.Connection
    tenants: list[int] = field(default_factory=list)
    keys: list[dict[str, str]] = field(default_factory=list)
    seen: dict[tuple[str, int], int] = field(default_factory=dict)

    async def add_tenant(self, name: str) -> None:
        tenant = await self.owner.fetchval(
            "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, 'Asia/Tokyo', 'JPY')"
            " RETURNING tenant",
            name,
        )
        keys: dict[str, str] = {}
        for kind, role in (("write", None), ("server", None), ("api", "viewer"), ("api", "admin")):
            key = new_key(kind)
            keys[role or kind] = key.text
            await self.owner.execute(
                "INSERT INTO access.key (key_id, tenant, kind, role, secret_hash) VALUES ($1, $2, $3, $4, $5)",
                key.key_id, tenant, kind, role, key.secret_hash,
            )  # fmt: skip
        assert isinstance(tenant, int)
        self.tenants.append(tenant)
        self.keys.append(keys)

    def key(self, kind: str, tenant: int = 0) -> dict[str, str]:
        """The header of a key."""
        return {"authorization": f"Bearer {self.keys[tenant][kind]}"}

    async def new_facts(self) -> list[AnyFact]:
        """The facts that came onto the log since the last call."""
        bus = self.bus
        assert isinstance(bus, PostgresBus)
        ends = await bus.ends(CONSUMED_TOPICS)
        waiting = {place: self.seen.get(place, 0) for place, end in ends.items() if end > self.seen.get(place, 0)}
        records = await bus.read(waiting)
        self.seen.update(ends)
        return [decode(line) for record in records for line in record.body.split(b"\n")]

    async def flush(self) -> None:
        """Waits until every refusal noted so far is written."""
        rejections: Any = self.service.parts["rejections"]
        while await rejections.flush():
            pass


@asynccontextmanager
async def opened(database: TestDatabase, settings: IngestSettings, bus: Bus | None = None) -> AsyncIterator[House]:
    """A house over a test database, with one tenant more than it had."""
    async with AsyncExitStack() as stack:
        owner = await asyncpg.connect(database.owner_dsn)
        stack.push_async_callback(owner.close)
        await make_topics(owner, ALL_TOPICS, PARTITIONS)
        pools = await open_database(
            DatabaseSettings(
                database.owner_dsn,
                database.app_password,
                database.worker_password,
                app_connections=3,
                worker_connections=3,
            )
        )
        stack.push_async_callback(pools.close)
        log = bus or PostgresBus(pools.worker, PARTITIONS)
        clock = Clock()
        keyring = Keyring(pools, clock)
        service = await stack.enter_async_context(open_ingest(settings, log, pools, keyring, clock))
        transport = httpx2.ASGITransport(app=service.http, client=("192.0.2.1", 5))
        client = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://genki.test"))
        yield House(client, service, pools, log, keyring, owner)


@pytest.fixture(scope="module")
async def house(database: TestDatabase) -> AsyncIterator[House]:
    """ingest with two tenants."""
    async with opened(database, IngestSettings()) as house:
        await house.add_tenant("first")
        await house.add_tenant("second")
        yield house
