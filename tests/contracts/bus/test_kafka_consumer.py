"""How the consumer takes what lies ready, and what a connection that fell does to it."""

import asyncio
import os

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from shared.bus.kafka import KafkaBus
from shared.bus.kafka.closed import tell_closed
from shared.bus.kafka.consumer import RECORDS
from tests.contracts.bus.bodies import Shelf, record
from tests.kafka import Broker

SMALL = 10 * RECORDS


async def test_small_records_come_by_as_many_facts_as_are_asked_for(bus: KafkaBus, topic: str) -> None:
    await bus.publish([record(topic, 0, b"%d" % number) for number in range(SMALL)], 10)
    consumer = bus.consumer(os.urandom(4).hex(), [topic], Shelf())
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            taken = await consumer.fetch(SMALL // 2, 5)
            while len(taken) < SMALL:
                more = await consumer.fetch(SMALL // 2, 5)
                assert len(more) <= SMALL // 2
                assert len(more) > RECORDS or len(taken) + len(more) == SMALL
                taken += more
    finally:
        await consumer.close()
    assert [int(one.body) for one in taken] == list(range(SMALL))


def test_a_write_to_a_connection_that_fell_is_a_lost_connection(kafka: Broker) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(KafkaConnectionError):
        runner.run(_write_to_a_closed_one(kafka))


async def _write_to_a_closed_one(kafka: Broker) -> None:
    tell_closed()
    host, _, port = kafka.bootstrap.rpartition(":")
    connection: AIOKafkaConnection = await create_conn(host, int(port), client_id="test")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    await writer.wait_closed()
    whole, connection._writer = connection._writer, writer  # as it is between the fall and its being read
    assert whole is not None
    try:
        await connection.send(MetadataRequest([]))
    finally:
        whole.close()
        assert not connection.connected()
