"""What more than one test of the log needs: a topic of its own on the real broker, the bus on it, the workers' pool."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from shared.bus.kafka import KafkaBus, open_kafka
from tests.conftest import TestDatabase
from tests.contracts.bus.bodies import KafkaBody
from tests.kafka import Broker


@pytest_asyncio.fixture
async def pool(database: TestDatabase) -> AsyncIterator[asyncpg.Pool]:
    """The workers' connections."""
    async with asyncpg.create_pool(database.worker_dsn, min_size=1, max_size=4) as opened:
        yield opened


@pytest_asyncio.fixture
async def topic(kafka: Broker) -> str:
    return await KafkaBody(kafka).topic()


@pytest_asyncio.fixture
async def bus(kafka: Broker, topic: str) -> AsyncIterator[KafkaBus]:
    opened = await open_kafka(kafka.bootstrap, [topic])
    yield opened
    await opened.close()
