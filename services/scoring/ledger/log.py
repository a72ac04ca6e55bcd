"""The log read from its beginning to its end, by offset, beside every consumer: the third source."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cramjam
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus import BusUnavailable, Place
from shared.bus.kafka.topics import TOPIC_BYTES, inspect_cluster
from shared.facts import ALL_TOPICS
from shared.postgres import Connection

SILENCE: Final = 20.0  # seconds without a record after which Kafka counts as away
_HEADS: Final = "SELECT topic, part, next FROM bus.head"
_BEGINS: Final = "SELECT topic, part, min(off) AS first FROM bus.log GROUP BY topic, part"
_LOG: Final = "SELECT topic, part, off, body FROM bus.log WHERE topic = ANY($1::text[]) ORDER BY topic, part, off"


@dataclass(frozen=True)
class Log:
    """What a log still holds: `id` as in the stored positions, offsets [begins, ends) of each partition."""

    id: str
    begins: Mapping[Place, int]
    ends: Mapping[Place, int]


Body = tuple[str, int, int, bytes]
"""(topic, partition, offset, NDJSON)."""


async def look(conn: Connection, kafka: str | None) -> Log:
    """How far the log reaches. Raises BusUnavailable, BusBroken."""
    if kafka is not None:
        return await _look_at_kafka(kafka)
    ends = {(row["topic"], row["part"]): row["next"] for row in await conn.fetch(_HEADS)}
    begins = {(row["topic"], row["part"]): row["first"] for row in await conn.fetch(_BEGINS)}
    return Log("pg", {**ends, **begins}, ends)


async def bodies(conn: Connection, kafka: str | None, log: Log, topics: Sequence[str]) -> AsyncIterator[Body]:
    """Every record of these topics, up to the ends that were seen. On PostgreSQL inside the caller's transaction."""
    if kafka is not None:
        async for body in _from_kafka(kafka, log, topics):
            yield body
        return
    async for row in conn.cursor(_LOG, list(topics), prefetch=50):
        yield row["topic"], row["part"], row["off"], bytes(cramjam.zstd.decompress(row["body"]))


async def _look_at_kafka(bootstrap: str) -> Log:
    cluster = await inspect_cluster(bootstrap, ALL_TOPICS)
    reader = await _reader(bootstrap)
    try:
        places = [TopicPartition(topic, part) for topic in ALL_TOPICS for part in range(cluster.partitions)]
        begins = await reader.beginning_offsets(places)
        ends = await reader.end_offsets(places)
    except KafkaError as problem:
        raise BusUnavailable(f"Kafka does not tell how far its log reaches: {problem!r}") from problem
    finally:
        await reader.stop()
    return Log(cluster.id, _by_place(begins), _by_place(ends))


def _by_place(offsets: Mapping[TopicPartition, int]) -> dict[Place, int]:
    return {(place.topic, place.partition): offset for place, offset in offsets.items()}


async def _from_kafka(bootstrap: str, log: Log, topics: Iterable[str]) -> AsyncIterator[Body]:
    asked = set(topics)
    left = {place: end for place, end in log.ends.items() if place[0] in asked and log.begins[place] < end}
    if not left:
        return
    reader = await _reader(bootstrap)
    try:
        reader.assign([TopicPartition(*place) for place in left])
        for place in left:
            reader.seek(TopicPartition(*place), log.begins[place])
        while left:
            for place, found in (await _some(reader)).items():
                for message in found:
                    if message.offset < log.ends[place]:
                        yield (*place, message.offset, message.value or b"")
            for place in list(left):
                if await reader.position(TopicPartition(*place)) >= left[place]:
                    del left[place]
    finally:
        await reader.stop()


async def _some(reader: AIOKafkaConsumer) -> dict[Place, list]:
    try:
        async with asyncio.timeout(SILENCE):
            while True:
                found = await reader.getmany(timeout_ms=1000, max_records=200)
                if found:
                    return {(place.topic, place.partition): messages for place, messages in found.items()}
    except (TimeoutError, KafkaError) as problem:
        raise BusUnavailable(f"Kafka does not give its log: {problem!r}") from problem


async def _reader(bootstrap: str) -> AIOKafkaConsumer:
    reader = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, client_id="genki-ledger", enable_auto_commit=False, auto_offset_reset="none",
        max_partition_fetch_bytes=2 * TOPIC_BYTES, request_timeout_ms=10_000,
    )  # fmt: skip
    try:
        await asyncio.wait_for(reader.start(), SILENCE)
    except BaseException as problem:
        await reader.stop()
        if isinstance(problem, (TimeoutError, KafkaError, OSError)):
            raise BusUnavailable(f"Kafka at {bootstrap} does not answer: {problem!r}") from problem
        raise
    return reader
