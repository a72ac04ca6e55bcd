"""The log in Apache Kafka: idempotent producer, acks=all, zstd; a timed-out send is unknown, a broken one rebuilds."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerClosed, RecordListTooLargeError

from shared.bus import BusUnavailable, Outgoing, Place, Positions, RecordRefused
from shared.bus.kafka.closed import tell_closed
from shared.bus.kafka.consumer import KafkaConsumer
from shared.bus.kafka.quiet import quieten
from shared.bus.kafka.topics import BATCH_BYTES, Cluster, create_topics, inspect_cluster

__all__ = ["BATCH_BYTES", "KafkaBus", "KafkaConsumer", "create_topics", "open_kafka"]

START_SECONDS: Final = 8.0
STUCK_SECONDS: Final = 30.0  # a producer that confirmed nothing for so long is built anew
REQUEST_MS: Final = 10_000
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
CONTENT_TYPE: Final = ("content-type", b"application/x-ndjson")


async def open_kafka(bootstrap: str, topics: Sequence[str]) -> "KafkaBus":
    """Connects to the cluster and checks its topics. Raises BusUnavailable, or BusBroken when a topic is missing,
    has another partition count than the others, or takes smaller batches than the producer may send."""
    quieten()
    tell_closed()
    cluster = await inspect_cluster(bootstrap, topics)
    bus = KafkaBus(bootstrap, cluster)
    try:
        await bus.start()
    except BaseException:
        await bus.close()
        raise
    return bus


class KafkaBus:
    """The log's Kafka body. `id` is the cluster's id: positions of another cluster are not mistaken for ours."""

    def __init__(self, bootstrap: str, cluster: Cluster) -> None:
        self.id = cluster.id
        self.partitions = cluster.partitions
        self._topics = cluster.topics
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None
        self._building: asyncio.Task[AIOKafkaProducer] | None = None
        self._watcher: AIOKafkaConsumer | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._confirmed = time.monotonic()

    async def start(self) -> None:
        """Builds the producer, and the reader of log ends. Raises BusUnavailable."""
        await self._ready_producer()
        await self._ready_watcher()

    async def publish(self, records: Sequence[Outgoing], timeout: float) -> None:
        """Durable at return (acks=all). Raises BusUnavailable; the records may then still arrive, late. RecordRefused:
        the broker takes no batch of this size, so none of the records that were in it."""
        if not records:
            return
        bodies = [b"\n".join(record.lines) for record in records]
        _refuse_too_large(bodies)
        producer = self._producer
        try:
            async with asyncio.timeout(timeout):
                producer = await self._ready_producer()
                confirmations = [
                    await self._send(producer, record, body) for record, body in zip(records, bodies, strict=True)
                ]
                await asyncio.gather(*confirmations)
        except TimeoutError as problem:
            if time.monotonic() - self._confirmed > STUCK_SECONDS:
                self._discard(producer)
            raise BusUnavailable("Kafka did not confirm in time") from problem
        except KafkaError as problem:
            if not problem.retriable:
                self._discard(producer)
            refused = RecordRefused if isinstance(problem, _TOO_LARGE) else BusUnavailable
            raise refused(f"Kafka: {problem!r}") from problem
        self._confirmed = time.monotonic()

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """The next offset of each partition. Raises BusUnavailable."""
        places = [TopicPartition(topic, part) for topic in topics for part in range(self.partitions)]
        try:
            async with asyncio.timeout(5):
                watcher = await self._ready_watcher()
                found = await watcher.end_offsets(places)
        except (TimeoutError, KafkaError) as problem:
            raise BusUnavailable(f"Kafka does not tell its log ends: {problem!r}") from problem
        return {(place.topic, place.partition): offset for place, offset in found.items()}

    def consumer(self, name: str, topics: Sequence[str], positions: Positions) -> KafkaConsumer:
        """A member of the group `genki-<name>`: partitions are shared among all members, each begins at `positions`."""
        return KafkaConsumer(self._bootstrap, name, topics, positions)

    async def ping(self) -> None:
        """Asks the leaders of one topic for their log ends. Raises BusUnavailable after 2 s."""
        try:
            async with asyncio.timeout(2):
                await self.ends(self._topics[:1])
        except TimeoutError as problem:
            raise BusUnavailable("Kafka does not answer") from problem

    async def close(self) -> None:
        """Flushes for at most 5 s and closes; what is then unconfirmed stays unknown to its sender."""
        if self._building is not None:
            self._building.cancel()
            await asyncio.wait([self._building])
        self._discard(self._producer)
        if self._retiring:
            await asyncio.wait(set(self._retiring))
        if self._watcher is not None:
            with suppress(TimeoutError, KafkaError):
                await asyncio.wait_for(self._watcher.stop(), 3)

    async def _send(self, producer: AIOKafkaProducer, record: Outgoing, body: bytes) -> "asyncio.Future[object]":
        headers = [CONTENT_TYPE, ("received", str(record.received).encode())]
        confirmation = await producer.send(record.topic, body, partition=record.part, headers=headers)
        confirmation.add_done_callback(_look_away)
        return confirmation

    async def _ready_producer(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        if self._building is None:
            self._building = asyncio.create_task(self._build())
            self._building.add_done_callback(self._built)
        return await asyncio.shield(self._building)

    async def _build(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id="genki",
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",
            max_batch_size=BATCH_BYTES,
            max_request_size=BATCH_BYTES,
            request_timeout_ms=REQUEST_MS,
        )
        try:
            await asyncio.wait_for(producer.start(), START_SECONDS)
        except BaseException as problem:
            await _stop(producer)
            if isinstance(problem, (TimeoutError, KafkaError, OSError)):
                raise BusUnavailable(f"Kafka at {self._bootstrap} does not answer") from problem
            raise
        return producer

    def _built(self, task: "asyncio.Task[AIOKafkaProducer]") -> None:
        self._building = None
        if not task.cancelled() and task.exception() is None:
            self._producer = task.result()
            self._confirmed = time.monotonic()

    def _discard(self, producer: AIOKafkaProducer | None) -> None:
        """Lets go of a producer and closes it aside; the next publish builds another."""
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        task = asyncio.create_task(_retire(producer))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _ready_watcher(self) -> AIOKafkaConsumer:
        if self._watcher is None:
            watcher = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap, client_id="genki-ends", enable_auto_commit=False,
                request_timeout_ms=REQUEST_MS,
            )  # fmt: skip
            try:
                await asyncio.wait_for(watcher.start(), START_SECONDS)
            except BaseException as problem:
                await watcher.stop()
                if isinstance(problem, (TimeoutError, KafkaError)):
                    raise BusUnavailable(f"Kafka at {self._bootstrap} does not answer") from problem
                raise
            self._watcher = watcher
        return self._watcher


def _refuse_too_large(bodies: Sequence[bytes]) -> None:
    largest = max(len(body) for body in bodies)
    if largest > BATCH_BYTES - 1024:
        raise ValueError(f"a record of {largest} bytes exceeds {BATCH_BYTES - 1024}: whoever cut it cut too late")


def _look_away(confirmation: "asyncio.Future[object]") -> None:
    """A failure after the sender stopped waiting is nobody's news."""
    if not confirmation.cancelled():
        confirmation.exception()


async def _retire(producer: AIOKafkaProducer) -> None:
    """Flush for 5 s, then give up what is left: an idempotent producer would retry it for ever."""
    with suppress(TimeoutError, KafkaError):
        await asyncio.wait_for(producer.flush(), 5)
    producer._message_accumulator.fail_all(ProducerClosed())
    await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    with suppress(TimeoutError, KafkaError):
        await asyncio.wait_for(producer.stop(), 3)
    with suppress(TimeoutError, KafkaError):
        await asyncio.wait_for(producer.client.close(), 2)
