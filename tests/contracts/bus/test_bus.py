"""What every body of the log promises. The same sentences for PostgreSQL and for a real Kafka."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator

import pytest

from shared.bus import RECORD_BYTES, Bus, BusBroken, BusUnavailable, Record
from tests.contracts.bus.bodies import PARTITIONS, Body, KafkaBody, PostgresBody, Shelf, read, reading, record


@pytest.fixture(params=["postgres", "kafka"])
async def body(request: pytest.FixtureRequest) -> AsyncIterator[Body]:
    made: Body
    if request.param == "postgres":
        made = PostgresBody(request.getfixturevalue("database"))
    else:
        made = KafkaBody(request.getfixturevalue("kafka"))
    yield made
    await made.close()


@pytest.fixture
async def topic(body: Body) -> str:
    return await body.topic()


@pytest.fixture
async def bus(body: Body, topic: str) -> AsyncIterator[Bus]:
    opened = await body.open(topic)
    yield opened
    await opened.close()


def of_part(records: list[Record], part: int) -> list[Record]:
    return [found for found in records if found.part == part]


async def test_a_record_comes_back_as_it_was_sent(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 1, b'{"a":1}', '{"b":"日本"}'.encode(), received=1_799_999_999_999_999)], 5)
    async with reading(bus, topic, Shelf()) as consumer:
        found = await read(consumer, 1)
    body = b'{"a":1}\n' + '{"b":"日本"}'.encode()
    assert found == [Record(topic, 1, 0, body, 1_799_999_999_999_999, 2)]


async def test_records_of_a_partition_come_in_the_order_sent_with_offsets_without_gaps(bus: Bus, topic: str) -> None:
    sent = [(index % PARTITIONS, b"%d" % index) for index in range(300)]
    for start in range(0, 300, 30):
        await bus.publish([record(topic, part, line) for part, line in sent[start : start + 30]], 5)
    async with reading(bus, topic, Shelf()) as consumer:
        found = await read(consumer, 300)
    for part in range(PARTITIONS):
        mine = of_part(found, part)
        assert [one.body for one in mine] == [line for where, line in sent if where == part]
        assert [one.offset for one in mine] == list(range(100))


async def test_several_records_of_one_partition_in_one_publish_keep_their_order(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 0, b"%d" % index) for index in range(20)], 5)
    async with reading(bus, topic, Shelf()) as consumer:
        found = await read(consumer, 20)
    assert [(one.offset, one.body) for one in found] == [(index, b"%d" % index) for index in range(20)]


async def test_two_publishers_interleave_without_loss_gap_or_repeat(body: Body, bus: Bus, topic: str) -> None:
    other = await body.open(topic)

    async def send(through: Bus, name: str) -> None:
        for index in range(60):
            lines = [record(topic, part, f"{name}{index}".encode()) for part in range(PARTITIONS)]
            await through.publish(lines, 10)

    await asyncio.gather(send(bus, "a"), send(other, "b"), send(bus, "c"))
    async with reading(bus, topic, Shelf()) as consumer:
        found = await read(consumer, 180 * PARTITIONS)
    await other.close()
    for part in range(PARTITIONS):
        mine = of_part(found, part)
        assert [one.offset for one in mine] == list(range(180))
        for name in "abc":
            bodies = [one.body.decode() for one in mine if one.body.startswith(name.encode())]
            assert bodies == [f"{name}{index}" for index in range(60)]


async def test_a_consumer_begins_at_its_stored_positions(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, part, b"%d" % index) for index in range(10) for part in range(PARTITIONS)], 5)
    shelf = Shelf()
    shelf.next = {(topic, 0): 4, (topic, 1): 10, (topic, 2): 0}
    async with reading(bus, topic, shelf) as consumer:
        found = await read(consumer, 16)
        assert await consumer.fetch(100, 0.3) == []
    assert [one.offset for one in of_part(found, 0)] == list(range(4, 10))
    assert of_part(found, 1) == []
    assert [one.offset for one in of_part(found, 2)] == list(range(10))


async def test_the_next_consumer_of_a_name_believes_the_stored_positions_not_the_committed_ones(
    bus: Bus, topic: str
) -> None:
    await bus.publish([record(topic, 0, b"%d" % index) for index in range(10)], 5)
    shelf = Shelf()
    async with reading(bus, topic, shelf, "same") as consumer:
        await read(consumer, 10)
        await consumer.committed({(topic, 0): 10})
    shelf.next[(topic, 0)] = 7
    async with reading(bus, topic, shelf, "same") as consumer:
        assert [one.offset for one in await read(consumer, 3)] == [7, 8, 9]


async def test_seek_goes_back_and_forward(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 2, b"%d" % index) for index in range(10)], 5)
    async with reading(bus, topic, Shelf()) as consumer:
        assert [one.offset for one in await read(consumer, 10)] == list(range(10))
        consumer.seek((topic, 2), 3)
        assert [one.offset for one in await read(consumer, 7)] == list(range(3, 10))
        consumer.seek((topic, 2), 9)
        assert [one.offset for one in await read(consumer, 1)] == [9]


async def test_a_fetch_is_bounded_by_facts_and_a_seek_drops_what_was_read_ahead(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 0, *[b"x"] * 10) for _ in range(20)], 5)
    async with reading(bus, topic, Shelf()) as consumer:
        first: list[Record] = []
        while not first:
            first = await consumer.fetch(35, 1)
        assert [one.offset for one in first] == [0, 1, 2]
        assert [one.offset for one in await consumer.fetch(35, 5)] == [3, 4, 5]
        consumer.seek((topic, 0), 1)
        assert [one.offset for one in await consumer.fetch(1, 5)] == [1]


async def test_ends_are_the_next_offsets(bus: Bus, topic: str) -> None:
    assert await bus.ends([topic]) == {(topic, part): 0 for part in range(PARTITIONS)}
    await bus.publish([record(topic, 1, b"x"), record(topic, 1, b"y"), record(topic, 2, b"z")], 5)
    assert await bus.ends([topic]) == {(topic, 0): 0, (topic, 1): 2, (topic, 2): 1}


async def test_an_empty_fetch_waits_and_a_record_ends_the_wait(bus: Bus, topic: str) -> None:
    async with reading(bus, topic, Shelf()) as consumer:
        while len(consumer.assignment()) < PARTITIONS:
            await consumer.fetch(10, 0.1)
        began = time.monotonic()
        assert await consumer.fetch(10, 0.5) == []
        assert 0.45 <= time.monotonic() - began < 1.5
        waiting = asyncio.create_task(consumer.fetch(10, 10))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await bus.publish([record(topic, 0, b"now")], 5)
        assert [one.body for one in await waiting] == [b"now"]
        assert time.monotonic() - began < 1


async def test_a_record_at_the_cut_that_does_not_compress_passes_whole(bus: Bus, topic: str) -> None:
    line = random.Random(7).randbytes(RECORD_BYTES).replace(b"\n", b" ")
    await bus.publish([record(topic, 0, line), record(topic, 0, line[::-1]), record(topic, 1, line)], 10)
    async with reading(bus, topic, Shelf()) as consumer:
        found = await read(consumer, 3)
    assert [one.body for one in of_part(found, 0)] == [line, line[::-1]]
    assert [one.body for one in of_part(found, 1)] == [line]


async def test_a_log_that_does_not_confirm_is_unavailable_within_the_timeout_and_works_on_afterwards(
    body: Body, bus: Bus, topic: str
) -> None:
    await bus.publish([record(topic, 0, b"before")], 5)
    async with body.frozen():
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(BusUnavailable):
                await bus.publish([record(topic, 0, b"unknown")], 1)
            assert time.monotonic() - began < 2
    await _until_published(bus, topic, b"after")
    async with reading(bus, topic, Shelf()) as consumer:
        bodies = [one.body for one in await read(consumer, (await bus.ends([topic]))[(topic, 0)])]
    assert bodies[0] == b"before"
    assert bodies[-1] == b"after"
    assert set(bodies[1:-1]) <= {b"unknown"}, "what timed out is stored or not: both are allowed, nothing else is"
    assert len(bodies) <= 4


async def _until_published(bus: Bus, topic: str, line: bytes) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return await bus.publish([record(topic, 0, line)], 10)
        except BusUnavailable:
            assert time.monotonic() < deadline, "the log did not come back"


async def test_a_log_that_ends_before_the_stored_position_stops_the_consumer(bus: Bus, topic: str) -> None:
    await bus.publish([record(topic, 0, b"only one")], 5)
    shelf = Shelf()
    shelf.next = {(topic, 0): 5}
    async with reading(bus, topic, shelf) as consumer:
        with pytest.raises(BusBroken):
            await read(consumer, 1)


async def test_a_cancelled_fetch_loses_nothing(bus: Bus, topic: str) -> None:
    chance = random.Random(11)
    found: list[Record] = []
    async with reading(bus, topic, Shelf()) as consumer:
        sender = asyncio.create_task(_trickle(bus, topic, 200))
        deadline = time.monotonic() + 30
        while len(found) < 200:
            assert time.monotonic() < deadline, f"{len(found)} of 200"
            fetching = asyncio.create_task(consumer.fetch(10, 0.5))
            done, _ = await asyncio.wait([fetching], timeout=chance.choice([0.001, 0.01, 1]))
            if done:
                found += fetching.result()
            else:
                fetching.cancel()
                await asyncio.wait([fetching])
        await sender
    assert [one.offset for one in found] == list(range(200))


async def _trickle(bus: Bus, topic: str, count: int) -> None:
    for _ in range(count):
        await bus.publish([record(topic, 0, os.urandom(8).hex().encode())], 5)
        await asyncio.sleep(0.005)


async def test_ping_answers_and_publishing_nothing_is_no_work(bus: Bus, topic: str) -> None:
    await bus.ping()
    await bus.publish([], 1)
    assert sum((await bus.ends([topic])).values()) == 0
