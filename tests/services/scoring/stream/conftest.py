"""A database and a place to listen from, inside one process and before another."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from services.gateway.app import open_gateway
from services.gateway.settings import GatewaySettings
from services.scoring.app import open_scoring
from services.scoring.settings import ScoringSettings
from shared.bus.postgres import PostgresBus, make_topics
from shared.clock import Clock
from shared.facts import ALL_TOPICS
from shared.postgres import Database
from shared.service import Service
from shared.tenancy import Keyring
from tests.conftest import TestDatabase
from tests.services.gateway.conftest import serving
from tests.services.scoring.stream.places import NUMBERS, Place


@pytest.fixture(params=["inside", "outside"])
async def place(request: pytest.FixtureRequest, database: TestDatabase, db: Database) -> AsyncIterator[Place]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        owner = await asyncpg.connect(database.owner_dsn)
        stack.push_async_callback(owner.close)
        await make_topics(owner, ALL_TOPICS, 3)
        keyring, bus = Keyring(db, clock), PostgresBus(db.worker, 3)
        settings = ScoringSettings(workers=False, streams_per_tenant=3)
        scoring = await stack.enter_async_context(open_scoring(settings, bus, db, keyring, clock))
        behind: Service | str = scoring
        if request.param == "outside":
            behind = await stack.enter_async_context(serving(scoring.http))
        gateway = await stack.enter_async_context(
            open_gateway(GatewaySettings(), {"scoring": behind}, db, keyring, clock)
        )
        url = await stack.enter_async_context(serving(gateway.http, public=True))
        name = f"t_stream{next(NUMBERS)}"
        tenant = await owner.fetchval(
            "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, 'Asia/Tokyo', 'JPY')"
            " RETURNING tenant",
            name,
        )
        yield Place(db, owner, scoring, gateway, url, tenant)
        scoring.closing()
