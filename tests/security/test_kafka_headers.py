"""Whose a record is stands in its body alone: not in its headers, its key, or the partition that it lies on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import pytest
from aiokafka import AIOKafkaProducer

from services.scoring.consumer import NAME, FoldLoop
from services.scoring.positions import StoredPositions
from shared import facts
from shared.bus.kafka import create_topics, open_kafka
from shared.facts import ALL_TOPICS, CONSUMED_TOPICS, partition
from tests.conftest import TestDatabase
from tests.kafka import Broker
from tests.services.scoring.dump import dump
from tests.services.scoring.harness import PARTITIONS, House, TestTenant, open_house

pytestmark = pytest.mark.slow
NAMES: Final = (
    "tenant", "tenant_id", "tenant-id", "x-tenant", "x-tenant-id", "genki-tenant", "ce_tenant", "ce_source", "key",
)  # fmt: skip
NOBODY: Final = 999_999


@dataclass
class Line:
    """A company on the real log: one tenant that is to be harmed, one that is told of, and a producer of our own."""

    house: House
    fold: FoldLoop
    producer: AIOKafkaProducer
    victim: TestTenant
    other: TestTenant

    async def spoof(self, fact: facts.AnyFact) -> None:
        """The fact in a record that says in every way but its body that it is the victim's."""
        topic = facts.place(fact, PARTITIONS)[0]
        part = partition(self.victim.number, "acme", PARTITIONS)
        claims = [(name, said) for name in NAMES for said in (b"%d" % self.victim.number, self.victim.name.encode())]
        key = b"%d|acme" % self.victim.number
        headers = [("content-type", b"application/x-ndjson"), ("received", b"-1"), *claims]
        await self.producer.send_and_wait(topic, facts.encode(fact), partition=part, key=key, headers=headers)

    async def applied(self) -> None:
        """Folds until nothing waits, and assesses."""
        quiet = 0
        while quiet < 3:
            quiet = 0 if await self.fold.step(1) else quiet + 1
        await self.house.settle()

    async def names(self, tenant: TestTenant) -> list[str]:
        """The tenant's accounts as it is told of them."""
        return [one["account_id"] for one in (await tenant.get("/v1/accounts"))["items"]]


@pytest.fixture
async def line(database: TestDatabase, own_kafka: Broker) -> AsyncIterator[Line]:
    await create_topics(own_kafka.bootstrap, ALL_TOPICS, PARTITIONS)
    bus = await open_kafka(own_kafka.bootstrap, ALL_TOPICS)
    async with open_house(database) as house, AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap) as producer:
        positions = StoredPositions(house.database.worker, bus.id, NAME)
        consumer = bus.consumer(NAME, CONSUMED_TOPICS, positions)
        await consumer.start()
        fold = FoldLoop(bus, consumer, house.database, positions, house.clock)
        yield Line(house, fold, producer, await house.tenant(), await house.tenant())
        await consumer.close()
    await bus.close()


async def test_a_record_whose_headers_and_key_name_another_tenant_is_its_bodys(line: Line) -> None:
    await line.victim.tell(line.victim.account("acme", name="Acme"), line.victim.usage("p", line.house.clock.now()))
    before = await dump(line.house.owner, line.victim.number)
    await line.spoof(line.other.account("acme", name="taken over"))
    await line.spoof(line.other.usage("p", line.house.clock.now(), "acme"))
    await line.spoof(line.other.contact("acme", line.house.clock.now()))
    await line.applied()
    assert await line.names(line.other) == ["acme"]
    assert (await line.other.get("/v1/accounts/acme"))["name"] == "taken over"
    assert (await line.victim.get("/v1/accounts/acme"))["name"] == "Acme"
    assert await dump(line.house.owner, line.victim.number) == before

    stray = line.other.account("stray", name="of nobody")
    stray.tenant = NOBODY
    await line.spoof(stray)
    await line.applied()
    assert await dump(line.house.owner, line.victim.number) == before
    assert "stray" not in [*await line.names(line.victim), *await line.names(line.other)]
