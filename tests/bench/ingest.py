"""Row `ingest`: facts durable through POST /v1/events, beside a bare producer of the same records,
a route that only splits, and a naive one."""

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
from tests.bench.baselines.splitter import TOPIC as SPLIT_TOPIC
from tests.bench.door import BATCH, Door
from tests.bench.house import House, Worker
from tests.bench.table import Row, Sample, compared, say


def ingest(house: House, rounds: int, seconds: float) -> list[Row]:
    """Requests of 100 facts, and of one, `seconds` a round and contestant."""
    base = house.base(kafka=True)
    boot = house.kafka.bootstrap
    asyncio.run(create_topics(boot, [NAIVE_TOPIC, SPLIT_TOPIC], PARTITIONS))
    ours = house.genki(base, "ingest", kafka=True)
    naive = house.spawn("tests.bench.baselines.collector", boot)
    split = house.spawn("tests.bench.baselines.splitter", boot, str(PARTITIONS))
    bare = Bare(house, house.spawn("tests.bench.baselines.producer", boot))
    door = Door(house, "events", base.tenant.keys["server"])
    for worker in (ours, naive, split):
        door.round(worker, BATCH, 1.0, quiet=True)
    batches: list[list[Sample]] = [[], [], [], []]
    for number in range(rounds):
        say(f"events: {BATCH} a request, round {number + 1} of {rounds}")
        before = asyncio.run(_ends(boot))
        batches[0].append(door.round(ours, BATCH, seconds))
        batches[1].append(bare.round(before, batches[0][-1].items))
        batches[2].append(door.round(split, BATCH, seconds))
        batches[3].append(door.round(naive, BATCH, seconds))
    single = door.rounds([ours, naive], 1, rounds, seconds)
    mine = batches[0]
    return [
        compared("ingest 100 ÷ bare producer", mine, batches[1], f"{door.told(BATCH)}; {bare.told()}"),
        compared("ingest 100 ÷ split only", mine, batches[2], "split: raw ASGI, msgspec.Raw, packed; nothing checked"),
        compared("ingest 100 ÷ naive route", mine, batches[3], "naive: FastAPI, pydantic, send_and_wait a fact"),
        compared("ingest single ÷ naive route", single[0], single[1], door.told(1)),
    ]


class Bare:
    """The bare producer, given the very records that ingest made."""

    def __init__(self, house: House, worker: Worker) -> None:
        self._house, self._worker = house, worker
        self._records: list[float] = []  # facts a record, by round

    def round(self, before: dict[int, int], facts: float) -> Sample:
        """Sends the records that came since `before` once more; they hold so many facts."""
        file = self._house.folder / "records"
        count = asyncio.run(_capture(self._house.kafka.bootstrap, before, file))
        self._records.append(facts / max(count, 1))
        told = self._worker.talk({"file": str(file)})
        return Sample(told["facts"], told["cpu"], told["seconds"], 0, told["peak_mb"])

    def told(self) -> str:
        """How packed the records were."""
        return f"{sum(self._records) / max(len(self._records), 1):.0f} facts a record"


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
