"""The two bodies of the log behind one face, so that one suite of sentences holds both to the same promise."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import asyncpg

from shared.bus import Bus, BusUnavailable, Consumer, Outgoing, Place, Record
from shared.bus.kafka import create_topics, open_kafka
from shared.bus.postgres import PostgresBus, make_topics
from tests.conftest import TestDatabase
from tests.kafka import Broker

PARTITIONS = 3


class Body(Protocol):
    """One body: it makes topics, opens buses on them, and can be frozen."""

    async def topic(self) -> str: ...
    async def open(self, topic: str) -> Bus: ...
    def frozen(self) -> AbstractAsyncContextManager[None]: ...
    async def close(self) -> None: ...


class PostgresBody:
    """The log in the module's own database. Frozen = another transaction holds every head."""

    def __init__(self, database: TestDatabase) -> None:
        self._database = database
        self._pools: list[asyncpg.Pool] = []

    async def topic(self) -> str:
        name = f"test.{os.urandom(4).hex()}"
        owner = await asyncpg.connect(self._database.owner_dsn)
        await make_topics(owner, [name], PARTITIONS)
        await owner.close()
        return name

    async def open(self, topic: str) -> Bus:
        pool = await asyncpg.create_pool(self._database.worker_dsn, min_size=1, max_size=4)
        self._pools.append(pool)
        return PostgresBus(pool, PARTITIONS)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        owner = await asyncpg.connect(self._database.owner_dsn)
        async with owner.transaction():
            await owner.execute("LOCK TABLE bus.head IN ACCESS EXCLUSIVE MODE")
            yield
        await owner.close()

    async def close(self) -> None:
        for pool in self._pools:
            await pool.close()


class KafkaBody:
    """The log on the session's real broker. Frozen = the broker is stopped with SIGSTOP."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def topic(self) -> str:
        name, deadline = f"test.{os.urandom(4).hex()}", time.monotonic() + 30
        while True:  # a broker that was frozen before comes back to its own cluster a little later
            try:
                await create_topics(self.broker.bootstrap, [name], PARTITIONS)
            except BusUnavailable:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
            else:
                return name

    async def open(self, topic: str) -> Bus:
        return await open_kafka(self.broker.bootstrap, [topic])

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        self.broker.pause()
        try:
            yield
        finally:
            self.broker.resume()

    async def close(self) -> None:
        """Nothing: the broker is the session's."""


class Shelf:
    """Stored positions, as PostgreSQL would hold them: what a consumer is given when it begins."""

    def __init__(self) -> None:
        self.next: dict[Place, int] = {}

    async def __call__(self, places: Iterable[Place]) -> dict[Place, int]:
        return {place: self.next.get(place, 0) for place in places}


def record(topic: str, part: int, *lines: bytes, received: int = 1_700_000_000_000_001) -> Outgoing:
    """An outgoing record with a receipt that has microseconds."""
    return Outgoing(topic, part, list(lines), received)


async def read(consumer: Consumer, count: int, seconds: float = 20) -> list[Record]:
    """Fetches until `count` records have come. Fails when they do not come in time."""
    found: list[Record] = []
    deadline = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records came in {seconds} s"
        found += await consumer.fetch(10_000, 0.2)
    return found


@asynccontextmanager
async def reading(bus: Bus, topic: str, shelf: Shelf, name: str | None = None) -> AsyncIterator[Consumer]:
    """A started consumer, closed after the block."""
    consumer = bus.consumer(name or os.urandom(4).hex(), [topic], shelf)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.close()
