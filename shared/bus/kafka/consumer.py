"""A group member whose truth lies in PostgreSQL: it seeks to stored positions and delivers without gap or repeat."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from shared.bus import BusBroken, BusUnavailable, Place, Positions, Record
from shared.bus.kafka.topics import TOPIC_BYTES

RECORDS: Final = 64  # asked of aiokafka at a time; what is not needed stays in its buffer
START_SECONDS: Final = 15.0
_FATAL: Final = (OffsetOutOfRangeError, RecordTooLargeError, CorruptRecordException)


class KafkaConsumer(ConsumerRebalanceListener):
    """One member of the group `genki-<name>`. Nothing is committed on its own, nothing is reset on its own.

    `_next` holds, for each partition of the present assignment, the offset to deliver next. A partition without an
    entry delivers nothing until its stored position has been read and sought: aiokafka hands over records fetched
    before a rebalance, and it does not wait for a rebalance callback.
    """

    def __init__(self, bootstrap: str, name: str, topics: Sequence[str], positions: Positions) -> None:
        self._bootstrap, self._name = bootstrap, name
        self._topics, self._positions = list(topics), positions
        self._next: dict[Place, int] = {}
        self._jumped: set[Place] = set()
        self._ready: deque[Record] = deque()
        self._full = False  # the last look found as much as it may: more lies behind it
        self._started: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Joins the group. Raises BusUnavailable, and may then be called again."""
        consumer = self._member()
        consumer.subscribe(self._topics, listener=self)
        try:
            await asyncio.wait_for(consumer.start(), START_SECONDS)
        except BaseException as problem:
            await _leave(consumer)
            if isinstance(problem, (TimeoutError, KafkaError, OSError)):
                raise BusUnavailable(f"Kafka does not take the consumer: {problem!r}") from problem
            raise
        self._started = consumer

    # aiokafka calls either a plain method or a coroutine here; plain is enough, and what its stubs say.
    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Forget where we were: whoever has the partition next reads the stored position."""
        self._forget({(place.topic, place.partition) for place in revoked})

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing is known of a new assignment until `fetch` has read the stored positions."""
        self._forget({(place.topic, place.partition) for place in assigned})

    async def fetch(self, max_facts: int, wait: float) -> list[Record]:
        """Records in offset order per partition, at least one if any waits, at most about `max_facts` facts.
        [] after `wait` seconds of none. Raises BusUnavailable (try again) and BusBroken (stop)."""
        deadline = asyncio.get_running_loop().time() + wait
        while not self._ready:
            await self._place()
            left = deadline - asyncio.get_running_loop().time()
            self._take(await self._poll(max(0.0, left)))
            if left <= 0:
                break
        while self._full and sum(record.facts for record in self._ready) < max_facts:  # small records come by many
            await self._place()
            self._take(await self._poll(0))
        return self._hand_out(max_facts)

    def seek(self, place: Place, offset: int) -> None:
        """The next fetch of this partition begins at `offset`; a partition that is not ours is left alone."""
        self._ready = deque(record for record in self._ready if (record.topic, record.part) != place)
        if self._started is None:
            return
        with suppress(IllegalStateError):
            self._started.seek(TopicPartition(*place), offset)
            self._next[place] = offset

    def assignment(self) -> set[Place]:
        """The partitions this member reads at present."""
        if self._started is None:
            return set()
        return {(place.topic, place.partition) for place in self._started.assignment()}

    async def committed(self, positions: Mapping[Place, int]) -> None:
        """Tells Kafka's lag tools how far we are; a failure is theirs to miss."""
        offsets = {TopicPartition(*place): OffsetAndMetadata(offset, "") for place, offset in positions.items()}
        with suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(self._consumer.commit(offsets), 5)

    async def close(self) -> None:
        """Leaves the group, within 5 s."""
        if self._started is not None:
            await _leave(self._started)
            self._started = None

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        if self._started is None:
            raise BusUnavailable("the consumer has not joined its group")
        return self._started

    def _member(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=f"genki-{self._name}",
            group_id=f"genki-{self._name}",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=2 * TOPIC_BYTES,
            fetch_max_wait_ms=250,
            request_timeout_ms=10_000,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=300_000,
        )

    async def _place(self) -> None:
        """Seek every newly assigned partition to its stored position."""
        unplaced = self.assignment() - self._next.keys()
        if not unplaced:
            return
        stored = await self._positions(unplaced)
        for place in unplaced & self.assignment():
            self.seek(place, stored[place])

    async def _poll(self, wait: float) -> dict[TopicPartition, list[ConsumerRecord]]:
        slice_ = min(wait, 1.0)  # a rebalance in between is looked after within a second
        try:
            return await self._consumer.getmany(timeout_ms=int(slice_ * 1000), max_records=RECORDS)
        except NoOffsetForPartitionError:  # aiokafka asked the group before we sought
            for place, offset in list(self._next.items()):
                self.seek(place, offset)
            return {}
        except _FATAL as problem:
            raise BusBroken(f"Kafka cannot give what the stored positions ask for: {problem!r}") from problem
        except KafkaError as problem:
            raise BusUnavailable(f"Kafka: {problem!r}") from problem

    def _take(self, batch: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        self._full = sum(map(len, batch.values())) >= RECORDS
        for partition, messages in batch.items():
            place = (partition.topic, partition.partition)
            expected = self._next.get(place)
            if expected is None:  # assigned in between: not placed yet
                continue
            fresh = [message for message in messages if message.offset >= expected]
            if fresh and fresh[0].offset == expected:
                self._jumped.discard(place)
                self._next[place] = fresh[-1].offset + 1
                self._ready.extend(_record(message) for message in fresh)
            elif fresh:
                self._jump(place, expected, fresh[0].offset)

    def _jump(self, place: Place, expected: int, found: int) -> None:
        """Records were left out: seek once, and if they are still missing they are gone."""
        if place in self._jumped:
            raise BusBroken(f"{place[0]}/{place[1]}: offset {expected} is next, but the log goes on at {found}")
        self._jumped.add(place)
        self.seek(place, expected)

    def _hand_out(self, max_facts: int) -> list[Record]:
        out: list[Record] = []
        facts = 0
        while self._ready and (not out or facts + self._ready[0].facts <= max_facts):
            record = self._ready.popleft()
            facts += record.facts
            out.append(record)
        return out

    def _forget(self, places: set[Place]) -> None:
        for place in places:
            self._next.pop(place, None)
            self._jumped.discard(place)
        self._ready = deque(record for record in self._ready if (record.topic, record.part) not in places)


async def _leave(consumer: AIOKafkaConsumer) -> None:
    with suppress(TimeoutError, KafkaError):
        await asyncio.wait_for(consumer.stop(), 5)


def _record(message: ConsumerRecord) -> Record:
    body = message.value or b""
    headers = dict(message.headers)
    stamp = headers.get("received", b"")
    received = int(stamp) if stamp.isdigit() else message.timestamp * 1000
    return Record(message.topic, message.partition, message.offset, body, received, body.count(b"\n") + 1)
