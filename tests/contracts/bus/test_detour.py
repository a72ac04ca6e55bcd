"""Kafka away: what is accepted meanwhile is durable in PostgreSQL, and on the log when the broker is back."""

import asyncio
import time

import asyncpg
import pytest

from shared.bus import BusUnavailable
from shared.bus.detour import Detour
from shared.bus.kafka import KafkaBus
from shared.bus.outbox import Relay
from tests.conftest import TestDatabase
from tests.contracts.bus.bodies import Shelf, read, reading, record
from tests.contracts.bus.test_kafka import ours
from tests.contracts.bus.test_outbox import at_work
from tests.kafka import Broker


async def back(detour: Detour) -> None:
    deadline = time.monotonic() + 30
    while detour.away:
        assert time.monotonic() < deadline, "nobody saw that Kafka is back"
        await asyncio.sleep(0.1)


async def test_over_a_killed_broker_everything_accepted_reaches_the_log(
    kafka: Broker, bus: KafkaBus, pool: asyncpg.Pool, topic: str
) -> None:
    broker, detour = ours(kafka), Detour(bus, pool)
    await detour.publish([record(topic, 0, b"before")], 5)
    await asyncio.to_thread(broker.kill)
    took: list[float] = []
    for number in range(3):
        began = time.monotonic()
        await detour.publish([record(topic, 0, b"meanwhile %d" % number)], 5)
        took.append(time.monotonic() - began)
    assert took[0] < 3.5, "the first waits two seconds, not more"
    assert max(took[1:]) < 0.5, "later ones do not wait"
    assert await pool.fetchval("SELECT count(*) FROM bus.outbox") == 3
    await asyncio.to_thread(broker.start)
    await back(detour)
    await detour.publish([record(topic, 0, b"after")], 5)
    async with at_work(Relay(bus, pool)), reading(bus, topic, Shelf()) as consumer:
        wanted = {b"before", b"after", *(b"meanwhile %d" % number for number in range(3))}
        found: set[bytes] = set()
        while found != wanted:
            found |= {one.body for one in await read(consumer, 1)}
    assert await pool.fetchval("SELECT count(*) FROM bus.outbox WHERE shipped_to IS NULL") == 0
    await detour.close()


async def test_past_its_bound_the_outbox_takes_nothing_and_nothing_is_promised(
    kafka: Broker, bus: KafkaBus, pool: asyncpg.Pool, topic: str
) -> None:
    broker, detour = ours(kafka), Detour(bus, pool, most_bytes=100)
    broker.pause()
    try:
        await detour.publish([record(topic, 0, b"x" * 60)], 5)
        with pytest.raises(BusUnavailable, match="the outbox is full"):
            await detour.publish([record(topic, 0, b"y" * 60)], 5)
        assert await pool.fetchval("SELECT array_agg(body) FROM bus.outbox WHERE shipped_to IS NULL") == [b"x" * 60]
    finally:
        broker.resume()
    await back(detour)
    async with pool.acquire() as conn:
        assert await Relay(bus, pool).step(conn) == 1
    await detour.close()


async def test_with_kafka_and_postgresql_away_nothing_is_promised(
    kafka: Broker, bus: KafkaBus, database: TestDatabase, topic: str
) -> None:
    broker = ours(kafka)
    pool = await asyncpg.create_pool(database.worker_dsn, min_size=1, max_size=1)
    await pool.close()
    detour = Detour(bus, pool)
    broker.pause()
    try:
        with pytest.raises(BusUnavailable, match="and so is the outbox"):
            await detour.publish([record(topic, 0, b"x")], 5)
    finally:
        broker.resume()
    await back(detour)
    await detour.close()
