"""`kill -9` of scoring, in mid-stream and between the fold's commit and the assessment: the same state as without."""

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.journeys.running import Ground, client, fresh, send
from tests.kafka import Broker
from tests.services.scoring.dump import dump

pytestmark = pytest.mark.slow
NOW = datetime.now(UTC)


def facts(count: int) -> list[dict[str, Any]]:
    """The same facts whenever asked: usage of 40 accounts over 100 days, owners, contacts, a few group calls."""
    dice = random.Random(3)

    def when(days: float) -> str:
        return (NOW - timedelta(days=days)).isoformat()

    told: list[dict[str, Any]] = []
    for index in range(count):
        person, account = f"p{dice.randrange(120)}", f"a{dice.randrange(40)}"
        fact = {"type": "usage", "id": f"u{index}", "at": when(dice.uniform(0, 100)), "person_id": person, "event": "e"}
        told.append(fact | ({"account_id": account} if dice.random() < 0.6 else {}))
    told += [
        {"type": "person", "id": f"m{n}", "at": when(120), "person_id": f"p{n}", "account_id": f"a{n % 40}"}
        for n in range(100)
    ]
    told += [
        {"type": "account", "id": f"x{n}", "at": when(200), "account_id": f"a{n}", "acv": str(n * 1000), "seats": 9}
        for n in range(40)
    ]
    told += [
        {
            "type": "contact",
            "id": f"c{n}",
            "at": when(n),
            "account_id": f"a{n}",
            "channel": "phone",
            "outcome": "reached",
        }
        for n in range(40)
    ]
    dice.shuffle(told)
    return told


async def documents(ground: Ground, tenant_id: str) -> dict[str, Any]:
    owner = await asyncpg.connect(ground.database.owner_dsn)
    try:
        tenant = await owner.fetchval("SELECT tenant FROM access.tenant WHERE tenant_id = $1", tenant_id)
        return await dump(owner, tenant)
    finally:
        await owner.close()


async def undisturbed(ground: Ground, told: list[dict[str, Any]]) -> dict[str, Any]:
    made = json.loads(ground.command("tenant", "create", "Undisturbed", "--json"))
    process = ground.up()
    url = process.wait_ready()
    async with client(url, made["keys"]["server"]) as door, client(url, made["keys"]["admin"]) as asker:
        await send(door, told)
        await fresh(asker, datetime.now(UTC))
    assert process.end() == 0
    return await documents(ground, made["tenant_id"])


@pytest.fixture
def distributed(new_database: Any, tmp_path: Path, own_kafka: Broker) -> Iterator[Ground]:
    """The same ground with Kafka as its log."""
    opened = Ground(new_database(), tmp_path, own_kafka.bootstrap)
    opened.command("migrate")
    yield opened
    opened.stop_all()


async def test_scoring_killed_in_mid_stream_ends_in_the_state_of_an_undisturbed_run(ground: Ground) -> None:
    await killed_in_mid_stream(ground)


async def test_killed_in_mid_stream_over_kafka_it_ends_in_the_same_state_too(distributed: Ground) -> None:
    await killed_in_mid_stream(distributed)


async def killed_in_mid_stream(ground: Ground) -> None:
    told = facts(4000)
    expected = await undisturbed(ground, told)
    made = json.loads(ground.command("tenant", "create", "Killed", "--json"))
    ingest, scoring = ground.up("--only", "ingest"), ground.up("--only", "scoring")
    async with client(ingest.wait_ready(), made["keys"]["server"]) as door:
        sending = asyncio.create_task(send(door, told, 100))
        for _ in range(5):
            await asyncio.sleep(0.6)
            scoring.kill()
            scoring = ground.up("--only", "scoring")
        await sending
        accepted = datetime.now(UTC)
    async with client(scoring.wait_ready(), made["keys"]["admin"]) as asker:
        await fresh(asker, accepted)
    assert await documents(ground, made["tenant_id"]) == expected


async def test_killed_between_the_folds_commit_and_the_assessment_health_comes_without_a_further_fact(
    ground: Ground,
) -> None:
    told = facts(1500)
    expected = await undisturbed(ground, told)
    made = json.loads(ground.command("tenant", "create", "Killed", "--json"))
    ingest = ground.up("--only", "ingest")
    async with client(ingest.wait_ready(), made["keys"]["server"]) as door:
        await send(door, told)
    folding = ground.script("tests.journeys.fold_only")
    assert folding.stdout is not None
    assert await asyncio.to_thread(folding.stdout.readline) == b"folded\n"
    folding.kill()
    folding.communicate(timeout=10)
    between = await documents(ground, made["tenant_id"])
    assert between["usage"] == expected["usage"]
    assert between["account_state"] == []
    scoring = ground.up("--only", "scoring")
    async with client(scoring.wait_ready(), made["keys"]["admin"]) as asker:
        await fresh(asker, datetime.now(UTC))
    assert await documents(ground, made["tenant_id"]) == expected
