"""Kafka's topics: made by `genki migrate`, checked at every start, never made by a typing error."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from shared.bus import BusBroken, BusUnavailable

TOPIC_BYTES: Final = 1_048_588  # the largest batch a topic takes, as compressed
BATCH_BYTES: Final = 900_000  # the largest batch the producer makes, before compression: always below the topic's limit
RETENTION_DAYS: Final = 7
_DAY_MS: Final = 86_400_000
_SECONDS: Final = 15.0
_TOPIC_EXISTS: Final = 36


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a bus needs to know of its cluster."""

    id: str
    topics: tuple[str, ...]
    partitions: int


async def create_topics(bootstrap: str, topics: Sequence[str], partitions: int) -> None:
    """Makes the topics that are missing: `partitions` each, three replicas where the cluster has three brokers.

    Raises BusBroken when one that exists has another number of partitions, BusUnavailable when Kafka does not answer.
    """
    async with _admin(bootstrap) as admin:
        brokers = await _brokers(admin)
        answer: Any = await admin.create_topics([_topic(name, partitions, brokers) for name in topics])
        for name, code, *rest in answer.topic_errors:
            if code not in (0, _TOPIC_EXISTS):
                raise BusBroken(f"topic {name} cannot be made: error {code} {rest}")
        await _settle(admin, topics, partitions)


async def inspect_cluster(bootstrap: str, topics: Sequence[str]) -> Cluster:
    """The cluster's id and the topics' one number of partitions. Raises BusBroken where they are not right."""
    async with _admin(bootstrap) as admin:
        identity = (await admin.describe_cluster())["cluster_id"]
        counts = await _partitions(admin, topics)
        missing = sorted(set(topics) - counts.keys())
        if missing:
            raise BusBroken(f"Kafka has no topic {', '.join(missing)}: run genki migrate")
        if len(set(counts.values())) != 1:
            raise BusBroken(f"the topics differ in their number of partitions: {counts}")
        await _check_sizes(admin, topics)
    return Cluster(identity, tuple(topics), next(iter(counts.values())))


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000, client_id="genki-admin")
    try:
        async with asyncio.timeout(_SECONDS):
            await admin.start()
            yield admin
    except (TimeoutError, KafkaError, OSError) as problem:
        raise BusUnavailable(f"Kafka at {bootstrap} does not answer: {problem!r}") from problem
    finally:
        with suppress(TimeoutError, KafkaError):
            await asyncio.wait_for(admin.close(), 3)


async def _brokers(admin: AIOKafkaAdminClient) -> int:
    """How many brokers there are, at least one: a broker that has only just come back answers before it is listed."""
    while True:
        listed = len((await admin.describe_cluster())["brokers"])
        if listed:
            return listed
        await asyncio.sleep(0.1)


def _topic(name: str, partitions: int, brokers: int) -> NewTopic:
    settings = {
        "cleanup.policy": "delete",
        "retention.ms": str(RETENTION_DAYS * _DAY_MS),
        "max.message.bytes": str(TOPIC_BYTES),
        "min.insync.replicas": "2" if brokers >= 3 else "1",
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "producer",
    }
    return NewTopic(name, partitions, min(3, brokers), topic_configs=settings)


async def _settle(admin: AIOKafkaAdminClient, topics: Sequence[str], partitions: int) -> None:
    """Waits until every topic is known, and with the right number of partitions."""
    while True:
        counts = await _partitions(admin, topics)
        wrong = {name: count for name, count in counts.items() if count != partitions}
        if wrong:
            raise BusBroken(f"{wrong} partitions exist, not {partitions}; changing it needs a drained log")
        if len(counts) == len(set(topics)):
            return
        await asyncio.sleep(0.1)


async def _partitions(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, int]:
    found = await admin.describe_topics(list(topics))
    return {topic["topic"]: len(topic["partitions"]) for topic in found if topic["error_code"] == 0}


async def _check_sizes(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> None:
    """A batch over the topic's limit would break the sequence of its whole partition: refuse to start instead."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": None}) for name in topics]
    answers: list[Any] = await admin.describe_configs(asked)
    for answer in answers:
        for _, _, _, name, entries in answer.resources:
            limit = _value(entries, "max.message.bytes")
            if limit is not None and int(limit) < BATCH_BYTES + 10_000:
                raise BusBroken(f"topic {name} takes batches of {limit} bytes, Genki makes them up to {BATCH_BYTES}")


def _value(entries: Sequence[Sequence[Any]], name: str) -> str | None:
    return next((entry[1] for entry in entries if entry[0] == name), None)
