"""Facts told in a transaction: with its rows on the log or with neither, whatever body the log has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest_asyncio

from shared import facts
from shared.bus import Bus, BusUnavailable
from shared.bus.kafka import create_topics, open_kafka
from shared.bus.outbox import Relay, announce
from shared.bus.postgres import PostgresBus, make_topics
from shared.facts import RESPONSES_TOPIC
from tests.conftest import TestDatabase
from tests.contracts.bus.bodies import PARTITIONS, Shelf, read, reading
from tests.kafka import Broker
from tests.shared.silence import nothing, silent

NOW = 1_700_000_000_000_001


def sent(number: int) -> facts.InvitationSent:
    """One invitation of a person of its own."""
    name = f"i{number}"
    return facts.InvitationSent(
        tenant=1, id=name, received=NOW, invitation_id=name, survey_id="s", at=NOW, person_id=f"p{number}"
    )


@pytest_asyncio.fixture
async def broker_bus(kafka: Broker) -> AsyncIterator[Bus]:
    """The log on the real broker."""
    with suppress(Exception):  # made by an earlier test of the session
        await create_topics(kafka.bootstrap, [RESPONSES_TOPIC], PARTITIONS)
    bus = await open_kafka(kafka.bootstrap, [RESPONSES_TOPIC])
    yield bus
    await bus.close()


@asynccontextmanager
async def at_work(relay: Relay) -> AsyncIterator[None]:
    """The relay running beside the block."""
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def tell(pool: asyncpg.Pool, bus: Bus, *numbers: int, fail: bool = False) -> None:
    """A transaction that tells facts, and is undone when it fails."""
    with suppress(ZeroDivisionError):
        async with pool.acquire() as conn, conn.transaction():
            await announce(conn, bus, [sent(number) for number in numbers], NOW)
            if fail:
                raise ZeroDivisionError


async def waiting(pool: asyncpg.Pool) -> int:
    """How many records of the outbox are not on the log yet."""
    return await pool.fetchval("SELECT count(*) FROM bus.outbox WHERE shipped_to IS NULL")


async def gone(pool: asyncpg.Pool, seconds: float = 20) -> None:
    """Waits until the outbox is empty."""
    for _ in range(int(seconds / 0.05)):
        if not await waiting(pool):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the outbox was never emptied")


async def ids_on(bus: Bus, count: int) -> list[str]:
    """The ids of the newest `count` records' facts."""
    ends = await bus.ends([RESPONSES_TOPIC])
    async with reading(bus, RESPONSES_TOPIC, Shelf()) as consumer:
        records = await read(consumer, sum(ends.values()))
    lines = [line for record in records for line in record.body.split(b"\n")]
    return sorted(facts.decode(line).id for line in lines)[-count:]


async def test_on_postgresql_the_facts_are_on_the_log_when_the_transaction_is_done(
    database: TestDatabase, pool: asyncpg.Pool
) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await make_topics(owner, [RESPONSES_TOPIC], PARTITIONS)
    await owner.close()
    bus = PostgresBus(pool, PARTITIONS)
    await tell(pool, bus, 1, 2)
    await tell(pool, bus, 3, fail=True)
    await tell(pool, bus)
    assert await ids_on(bus, 9) == ["i1", "i2"]
    assert await waiting(pool) == 0


async def test_on_kafka_they_wait_for_the_relay_which_ships_each_and_keeps_none(
    pool: asyncpg.Pool, broker_bus: Bus
) -> None:
    await tell(pool, broker_bus, *range(10, 20))
    await tell(pool, broker_bus, 20, fail=True)
    assert 0 < await waiting(pool) <= PARTITIONS
    async with at_work(Relay(broker_bus, pool)), at_work(Relay(broker_bus, pool)):
        await gone(pool)
        await tell(pool, broker_bus, 21)
        await gone(pool)
    assert await ids_on(broker_bus, 99) == [f"i{number}" for number in [*range(10, 20), 21]]


async def test_what_the_log_does_not_confirm_stays_and_is_shipped_when_it_answers_again(
    pool: asyncpg.Pool, broker_bus: Bus, kafka: Broker
) -> None:
    await tell(pool, broker_bus, 30)
    kafka.pause()
    try:
        relay = Relay(broker_bus, pool, timeout=0.5)
        async with pool.acquire() as conn:
            with suppress(BusUnavailable):
                await relay.step(conn)
        assert await waiting(pool) == 1
    finally:
        kafka.resume()
    async with at_work(Relay(broker_bus, pool)):
        await gone(pool)
    assert "i30" in await ids_on(broker_bus, 99)


async def test_a_relay_that_dies_leaves_its_turn_to_the_next(pool: asyncpg.Pool, broker_bus: Bus) -> None:
    async with at_work(Relay(broker_bus, pool)):
        await asyncio.sleep(0.2)
    await tell(pool, broker_bus, 40)
    async with at_work(Relay(broker_bus, pool)):
        await gone(pool)
    assert "i40" in await ids_on(broker_bus, 99)


async def test_what_was_shipped_is_remembered_without_its_body_until_every_consumer_has_passed_it(
    pool: asyncpg.Pool, broker_bus: Bus
) -> None:
    await tell(pool, broker_bus, 50)
    relay = Relay(broker_bus, pool)
    async with pool.acquire() as conn:
        await conn.execute("DELETE FROM bus.outbox WHERE shipped_to IS NOT NULL")
        await relay.step(conn)
        row = await conn.fetchrow("SELECT topic, part, body, shipped_to FROM bus.outbox")
        place, until = (row["topic"], row["part"]), row["shipped_to"]
        assert (row["body"], until) == (b"", (await broker_bus.ends([RESPONSES_TOPIC]))[place])
        left = []
        for consumer, reached in (("one", until), ("two", until - 1), ("two", until)):
            await conn.execute(
                "INSERT INTO bus.position (bus, consumer, topic, part, next) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (bus, consumer, topic, part) DO UPDATE SET next = excluded.next",
                broker_bus.id, consumer, *place, reached,
            )  # fmt: skip
            if consumer == "two":
                await Relay(broker_bus, pool).tidy(conn)
                left.append(await conn.fetchval("SELECT count(*) FROM bus.outbox"))
    assert left == [1, 0]


class Deaf(asyncpg.Connection):
    """A connection that loses the answer to its question for the lock."""

    async def fetchval(self, query: str, *args: Any, **more: Any) -> Any:
        """The server has done what was asked, and nobody hears of it."""
        found = await super().fetchval(query, *args, **more)
        if "lock" in query:
            assert found is True
            raise TimeoutError
        return found


async def test_a_relay_that_does_not_know_whether_it_has_the_lock_keeps_no_connection_with_it(
    database: TestDatabase, pool: asyncpg.Pool
) -> None:
    bus = PostgresBus(pool, PARTITIONS)
    taken = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7300020"
    async with asyncpg.create_pool(
        database.worker_dsn, min_size=1, max_size=1, connection_class=Deaf, reset=nothing
    ) as deaf:
        async with at_work(Relay(bus, deaf)):
            await asyncio.sleep(0.3)
        deadline = asyncio.get_running_loop().time() + 5
        while await pool.fetchval(taken):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.05)


async def test_a_relay_is_ended_soon_though_its_server_has_fallen_silent(
    database: TestDatabase, pool: asyncpg.Pool
) -> None:
    async with asyncpg.create_pool(database.worker_dsn, min_size=1, max_size=1, reset=nothing) as own:
        backend = await own.fetchval("SELECT pg_backend_pid()")
        relay = asyncio.create_task(Relay(PostgresBus(pool, PARTITIONS), own).run())
        await asyncio.sleep(0.5)
        with silent(backend):
            await asyncio.sleep(0.5)  # its next question is under way
            relay.cancel()
            await asyncio.wait([relay], timeout=5)
            assert relay.cancelled()
