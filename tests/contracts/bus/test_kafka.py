"""What only a Kafka can do to us: brokers that die or freeze, sequences that break, groups that rebalance."""

import asyncio
import os
import random
import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from shared.bus import BusBroken, BusUnavailable, Consumer, Record
from shared.bus.kafka import BATCH_BYTES, KafkaBus, create_topics, open_kafka
from tests.contracts.bus.bodies import PARTITIONS, Shelf, read, reading, record
from tests.kafka import Broker


def ours(kafka: Broker) -> Broker:
    if not kafka.controllable:
        pytest.skip("this broker is not ours to stop")
    return kafka


async def set_limit(kafka: Broker, topic: str, limit: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    limits = {"max.message.bytes": str(limit)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limits)])
    await admin.close()


async def test_the_id_of_the_bus_is_the_clusters_own(kafka: Broker, bus: KafkaBus) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    cluster = await admin.describe_cluster()
    await admin.close()
    assert (bus.id, bus.partitions) == (cluster["cluster_id"], PARTITIONS)
    assert len(bus.id) > 10


async def test_topics_are_made_once_and_never_with_another_count(kafka: Broker, topic: str) -> None:
    await create_topics(kafka.bootstrap, [topic], PARTITIONS)
    with pytest.raises(BusBroken, match="not 4"):
        await create_topics(kafka.bootstrap, [topic], 4)
    with pytest.raises(BusBroken, match="run genki migrate"):
        await open_kafka(kafka.bootstrap, [topic, "test.nobody-made-this"])


async def test_a_topic_that_takes_too_small_batches_is_refused_at_the_start(kafka: Broker, topic: str) -> None:
    await set_limit(kafka, topic, 500_000)
    with pytest.raises(BusBroken, match="takes batches of 500000 bytes"):
        await open_kafka(kafka.bootstrap, [topic])


async def test_a_record_over_the_limit_is_refused_before_it_can_break_the_sequence(bus: KafkaBus, topic: str) -> None:
    with pytest.raises(ValueError, match="cut too late"):
        await bus.publish([record(topic, 0, b"x" * BATCH_BYTES)], 5)
    await bus.publish([record(topic, 0, b"fits")], 5)


async def test_after_a_record_the_broker_refuses_the_partition_takes_others_again(
    kafka: Broker, bus: KafkaBus, topic: str
) -> None:
    await bus.publish([record(topic, 0, b"first")], 5)
    await set_limit(kafka, topic, 10_000)
    with pytest.raises(BusUnavailable, match="MessageSizeTooLarge"):
        await bus.publish([record(topic, 0, random.Random(3).randbytes(100_000))], 5)
    sent = [b"%d" % index for index in range(50)]
    for line in sent:
        await bus.publish([record(topic, 0, line)], 5)
    async with reading(bus, topic, Shelf()) as consumer:
        assert [one.body for one in await read(consumer, 51)] == [b"first", *sent]


class Senders:
    """Senders that go on whatever happens, and a ledger of what they were told."""

    def __init__(self, bus: KafkaBus, topic: str) -> None:
        self._bus, self._topic = bus, topic
        self.acknowledged: list[bytes] = []
        self.unknown: list[bytes] = []
        self.over = asyncio.Event()

    async def send(self, name: str) -> None:
        count = 0
        while not self.over.is_set():
            line = f"{name}-{count}".encode()
            count += 1
            try:
                await self._bus.publish([record(self._topic, count % PARTITIONS, line)], 1)
                self.acknowledged.append(line)
            except BusUnavailable:
                self.unknown.append(line)
            await asyncio.sleep(0.01)

    async def further(self, count: int, seconds: float) -> None:
        goal, deadline = len(self.acknowledged) + count, time.monotonic() + seconds
        while len(self.acknowledged) < goal:
            assert time.monotonic() < deadline, "sending did not go on"
            await asyncio.sleep(0.1)


async def test_a_killed_broker_loses_nothing_acknowledged_and_sending_goes_on_by_itself(
    kafka: Broker, bus: KafkaBus, topic: str
) -> None:
    broker = ours(kafka)
    senders = Senders(bus, topic)
    work = [asyncio.create_task(senders.send(name)) for name in "abcd"]
    await senders.further(100, 10)
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(2)
    await asyncio.to_thread(broker.start)
    await senders.further(100, 30)
    senders.over.set()
    await asyncio.gather(*work)
    async with reading(bus, topic, Shelf()) as consumer:
        stored = [one.body for one in await read(consumer, sum((await bus.ends([topic])).values()))]
    assert len(senders.unknown) >= 4
    assert len(stored) == len(set(stored)), "stored twice"
    assert set(senders.acknowledged) <= set(stored), "acknowledged and lost"
    assert set(stored) <= set(senders.acknowledged) | set(senders.unknown), "stored and never sent"


async def test_what_timed_out_on_a_frozen_broker_can_arrive_later(kafka: Broker, bus: KafkaBus, topic: str) -> None:
    broker = ours(kafka)
    await bus.publish([record(topic, 0, b"before")], 5)
    broker.pause()
    try:
        for index in range(3):
            with pytest.raises(BusUnavailable):
                await bus.publish([record(topic, 0, b"late %d" % index)], 0.3)
    finally:
        broker.resume()
    async with reading(bus, topic, Shelf()) as consumer:
        bodies = [one.body for one in await read(consumer, 2)]
    assert bodies[:2] == [b"before", b"late 0"]


async def test_closing_before_a_frozen_broker_takes_bounded_time(kafka: Broker, topic: str) -> None:
    broker = ours(kafka)
    bus = await open_kafka(kafka.bootstrap, [topic])
    try:
        await bus.publish([record(topic, 0, b"before")], 5)
        broker.pause()
        for _ in range(3):
            with pytest.raises(BusUnavailable):
                await bus.publish([record(topic, 0, b"stuck")], 0.2)
    finally:
        began = time.monotonic()
        await bus.close()
        broker.resume()
    assert time.monotonic() - began < 14


async def test_a_frozen_broker_does_not_answer_the_ping_and_does_again(kafka: Broker, bus: KafkaBus) -> None:
    broker = ours(kafka)
    broker.pause()
    try:
        with pytest.raises(BusUnavailable):
            await bus.ping()
    finally:
        broker.resume()
    deadline = time.monotonic() + 20
    while True:
        try:
            return await bus.ping()
        except BusUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


async def test_no_broker_is_unavailable_not_a_hang() -> None:
    began = time.monotonic()
    with pytest.raises(BusUnavailable):
        await open_kafka("127.0.0.1:19", ["test.none"])
    assert time.monotonic() - began < 10


async def test_records_that_retention_took_stop_the_consumer_loudly(kafka: Broker, bus: KafkaBus, topic: str) -> None:
    await bus.publish([record(topic, 0, b"%d" % index) for index in range(10)], 5)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=5)})
    await admin.close()
    shelf = Shelf()
    shelf.next = {(topic, 0): 2}
    async with reading(bus, topic, shelf) as consumer:
        with pytest.raises(BusBroken, match="OffsetOutOfRange"):
            await read(consumer, 1)


async def test_a_strangers_record_is_delivered_as_it_is(kafka: Broker, bus: KafkaBus, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    before = time.time_ns() // 1_000_000
    await producer.send_and_wait(topic, b"\xff\x00 not json", partition=1)
    await producer.send_and_wait(topic, None, key=b"k", partition=1, headers=[("received", b"soon")])
    await producer.stop()
    async with reading(bus, topic, Shelf()) as consumer:
        found = await read(consumer, 2)
    assert [one.body for one in found] == [b"\xff\x00 not json", b""]
    assert all(before - 1000 <= one.received // 1000 <= before + 60_000 for one in found)


class Group:
    """Members that apply under the fence: a record is applied where its offset is the stored next one, else sought."""

    def __init__(self, bus: KafkaBus, topic: str) -> None:
        self._bus, self._topic, self._name = bus, topic, os.urandom(4).hex()
        self._shelf = Shelf()
        self.applied: list[Record] = []
        self.over = asyncio.Event()

    async def member(self, seconds: float) -> None:
        async with reading(self._bus, self._topic, self._shelf, self._name) as consumer:
            until = time.monotonic() + seconds
            while time.monotonic() < until and not self.over.is_set():
                for one in await consumer.fetch(50, 0.1):
                    self._apply(consumer, one)

    async def guests(self) -> None:
        for _ in range(3):
            await self.member(1.5)

    async def send(self, count: int) -> None:
        for index in range(count):
            await self._bus.publish([record(self._topic, index % PARTITIONS, b"%d" % index)], 5)
            await asyncio.sleep(0.01)

    def _apply(self, consumer: Consumer, one: Record) -> None:
        place = (one.topic, one.part)
        stored = self._shelf.next.get(place, 0)
        assert one.offset <= stored, "a record was left out"
        if one.offset < stored:
            consumer.seek(place, stored)
            return
        self._shelf.next[place] = one.offset + 1
        self.applied.append(one)


async def test_members_that_come_and_go_deliver_every_record_and_never_leave_one_out(bus: KafkaBus, topic: str) -> None:
    group = Group(bus, topic)
    work = [asyncio.create_task(todo) for todo in (group.send(400), group.member(60), group.guests())]
    deadline = time.monotonic() + 40
    while len(group.applied) < 400:
        assert time.monotonic() < deadline, f"{len(group.applied)} of 400"
        await asyncio.sleep(0.1)
        for task in work:
            if task.done():
                task.result()
    group.over.set()
    await asyncio.gather(*work)
    assert sorted(int(one.body) for one in group.applied) == list(range(400))


async def test_a_consumer_that_could_not_start_may_start_again(kafka: Broker, bus: KafkaBus, topic: str) -> None:
    broker = ours(kafka)
    await bus.publish([record(topic, 0, b"waiting")], 5)
    consumer = bus.consumer(os.urandom(4).hex(), [topic], Shelf())
    consumer.seek((topic, 0), 0)
    assert consumer.assignment() == set()
    await asyncio.to_thread(broker.kill)
    with pytest.raises(BusUnavailable):
        await consumer.start()
    with pytest.raises(BusUnavailable):
        await consumer.fetch(10, 0.1)
    await asyncio.to_thread(broker.start)
    await consumer.start()
    assert [one.body for one in await read(consumer, 1)] == [b"waiting"]
    await consumer.close()
