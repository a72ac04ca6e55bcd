"""Short words that scenarios share: facts by the handful, a door that is asked until it takes them, counts."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared import facts
from shared.bus.kafka.topics import TOPIC_BYTES
from tests.faults.ground import Ground

PARTITIONS = 12


def ago(**much: float) -> str:
    """An instant before now, as RFC 3339."""
    return (datetime.now(UTC) - timedelta(**much)).isoformat()


def used(count: int, name: str = "u", **more: Any) -> list[dict[str, Any]]:
    """Usage facts of ten people, with ids of their own."""
    base = {"type": "usage", "at": ago(minutes=5), "event": "report", "account_id": "acme", **more}
    return [{**base, "id": f"{name}-{n}", "person_id": more.get("person_id", f"p{n % 10}")} for n in range(count)]


def line(tenant: int, fact_id: str, part: int, **more: Any) -> bytes:
    """A usage fact as it lies on the log, of a person whose partition it is."""
    person = next(f"p{n}" for n in range(10_000) if facts.partition(tenant, f"p{n}", PARTITIONS) == part)
    now = int(datetime.now(UTC).timestamp() * 1e6)
    told = {"at": now, "person_id": person, "event": "report", "account_id": "acme", **more}
    return facts.encode(facts.Usage(tenant=tenant, id=fact_id, received=now, **told))


async def deliver(http: httpx2.AsyncClient, items: Sequence[Mapping[str, Any]], seconds: float = 60) -> list[int]:
    """POST /v1/events until it is answered 200; every status seen on the way, 0 for no answer at all."""
    seen: list[int] = []
    async with asyncio.timeout(seconds):
        while True:
            with suppress(httpx2.TransportError):
                answer = await http.post("/v1/events", json=list(items))
                seen.append(answer.status_code)
                if answer.status_code == 200:
                    refused = [one for one in answer.json()["results"] if one["status"] != "accepted"]
                    assert not refused, refused[:3]
                    return seen
                assert answer.status_code in (429, 503), answer.text
                assert answer.headers["retry-after"], "a refusal for now says when to come again"
                await asyncio.sleep(0.1)
                continue
            seen.append(0)
            await asyncio.sleep(0.1)


async def seen(ground: Ground, tenant: int) -> int:
    """How many ids of a tenant were ever applied."""
    return (await ground.ask("SELECT count(*) FROM scoring_state.fact_seen WHERE tenant = $1", tenant))[0][0]


async def events(ground: Ground, tenant: int) -> int:
    """The sum of a tenant's usage: what a fact applied twice would make greater."""
    found = await ground.ask(
        "SELECT coalesce(sum(events), 0)::bigint FROM scoring_state.usage WHERE tenant = $1", tenant
    )
    return found[0][0]


async def conflicts(ground: Ground, tenant: int) -> list[str]:
    """Ids that came again with another body."""
    found = await ground.ask("SELECT id FROM scoring.conflict WHERE tenant = $1 ORDER BY at, id", tenant)
    return [row["id"] for row in found]


async def set_topic(ground: Ground, topic: str, **changes: str) -> None:
    """Changes settings of a topic and puts all others to what `genki migrate` gave it."""
    made = {
        "cleanup.policy": "delete",
        "max.message.bytes": str(TOPIC_BYTES),
        "min.insync.replicas": "1",
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "producer",
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=ground.broker.bootstrap)
    await admin.start()
    try:
        wanted = made | {name.replace("_", "."): value for name, value in changes.items()}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])
    finally:
        await admin.close()
