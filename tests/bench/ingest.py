"""Row `ingest`: facts durable through POST /v1/events, beside a bare producer of the same records and a naive route."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.cli.prepare import PARTITIONS
from shared.bus.kafka import create_topics
from shared.facts import USAGE_TOPIC
from tests.bench.baselines.collector import TOPIC as NAIVE_TOPIC
from tests.bench.house import House, Worker
from tests.bench.table import Row, Sample, compared, say

CONNECTIONS = 32
SINGLE_CONNECTIONS = 256
BATCH = 100


def ingest(house: House, rounds: int, seconds: float) -> list[Row]:
    """Requests of 100 facts, and of one, `seconds` a round and contestant."""
    base = house.base(kafka=True)
    boot = house.kafka.bootstrap
    asyncio.run(create_topics(boot, [NAIVE_TOPIC], PARTITIONS))
    ours = house.genki(base, "ingest", kafka=True)
    naive = house.spawn("tests.bench.baselines.collector", boot)
    bare = house.spawn("tests.bench.baselines.producer", boot)
    door = Door(house, base.tenant.keys["server"])
    for worker in (ours, naive):
        door.round(worker, BATCH, CONNECTIONS, 1.0)
    batches, packed, gathered = _batches(house, door, ours, bare, naive, rounds, seconds)
    single: list[Sample] = []
    single_naive: list[Sample] = []
    for number in range(rounds):
        say(f"ingest: single facts, round {number + 1} of {rounds}")
        single.append(door.round(ours, 1, SINGLE_CONNECTIONS, seconds))
        single_naive.append(door.round(naive, 1, SINGLE_CONNECTIONS, seconds))
    return [
        compared("ingest 100 ÷ bare producer", batches, packed, door.told(BATCH)),
        compared("ingest 100 ÷ naive route", batches, gathered, "naive: FastAPI, pydantic, send_and_wait a fact"),
        compared("ingest single ÷ naive route", single, single_naive, door.told(1)),
    ]


def _batches(
    house: House, door: "Door", ours: Worker, bare: Worker, naive: Worker, rounds: int, seconds: float
) -> tuple[list[Sample], list[Sample], list[Sample]]:
    batches: list[Sample] = []
    packed: list[Sample] = []
    gathered: list[Sample] = []
    for number in range(rounds):
        say(f"ingest: 100 a request, round {number + 1} of {rounds}")
        before = asyncio.run(_ends(house.kafka.bootstrap))
        batches.append(door.round(ours, BATCH, CONNECTIONS, seconds))
        file = house.folder / "records"
        count = asyncio.run(_capture(house.kafka.bootstrap, before, file))
        door.records.append(batches[-1].items / max(count, 1))
        told = bare.talk({"file": str(file)})
        packed.append(Sample(told["facts"], told["cpu"], told["seconds"], 0, told["peak_mb"]))
        gathered.append(door.round(naive, BATCH, CONNECTIONS, seconds))
    return batches, packed, gathered


class Door:
    """Sends facts to one contestant at a time, every id new."""

    def __init__(self, house: House, token: str) -> None:
        self._house, self._token = house, token
        self._seed = 0
        self.records: list[float] = []  # facts a record, by round
        self._p99: dict[int, float] = {}
        self._refused: dict[str, int] = {}

    def round(self, worker: Worker, facts: int, connections: int, seconds: float) -> Sample:
        """One round; the CPU is the worker's between the first request and the last answer."""
        self._seed += 1
        spec = {
            "kind": "events", "url": worker.url, "token": self._token, "connections": connections, "seconds": seconds,
            "facts": facts, "seed": self._seed,
        }  # fmt: skip
        cpu, postgres = worker.meter.cpu(), self._house.postgres.cpu()
        told = self._house.load(spec)
        spent = worker.meter.cpu() - cpu
        self._count(facts, told)
        return Sample(
            told["requests"] * facts, spent, told["seconds"], self._house.postgres.cpu() - postgres,
            worker.meter.peak_mb(),
        )  # fmt: skip

    def _count(self, facts: int, told: dict[str, Any]) -> None:
        self._p99[facts] = told["p99"] or 0
        for status, count in told["refused"].items():
            self._refused[status] = self._refused.get(status, 0) + count

    def told(self, facts: int) -> str:
        """What the reader of the row should know."""
        connections = CONNECTIONS if facts == BATCH else SINGLE_CONNECTIONS
        some = f"{sum(self.records) / max(len(self.records), 1):.0f} facts a record; " if facts == BATCH else ""
        return f"{connections} connections; {some}refused: {self._refused or 'none'}"


async def _ends(boot: str) -> dict[int, int]:
    return await _with_consumer(boot, _end_offsets)


async def _end_offsets(consumer: AIOKafkaConsumer) -> dict[int, int]:
    found = await consumer.end_offsets([TopicPartition(USAGE_TOPIC, part) for part in range(PARTITIONS)])
    return {place.partition: end for place, end in found.items()}


async def _capture(boot: str, before: dict[int, int], file: Path) -> int:
    """Writes the records that came since `before` to a file; how many they are."""

    async def read(consumer: AIOKafkaConsumer) -> int:
        ends = await _end_offsets(consumer)
        places = [TopicPartition(USAGE_TOPIC, part) for part in ends]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, before[place.partition])
        packed: list[tuple[str, int, int, bytes]] = []
        left = sum(ends[part] - before[part] for part in ends)
        while len(packed) < left:
            for place, some in (await consumer.getmany(timeout_ms=2000)).items():
                bodies = [one.value for one in some if one.value is not None]
                packed += [(place.topic, place.partition, body.count(b"\n") + 1, body) for body in bodies]
        await asyncio.to_thread(file.write_bytes, msgspec.msgpack.encode(packed))
        return len(packed)

    return await _with_consumer(boot, read)


async def _with_consumer(boot: str, work: Callable[[AIOKafkaConsumer], Any]) -> Any:
    consumer = AIOKafkaConsumer(bootstrap_servers=boot, enable_auto_commit=False)
    await consumer.start()
    try:
        return await work(consumer)
    finally:
        await consumer.stop()
