"""The four services as the four processes of docker-compose.yml, over Kafka and PostgreSQL: the journeys of one process
again, and what only processes apart can go through."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import asyncpg
import httpx2
import pytest

from tests.conftest import TestDatabase
from tests.journeys.apart import Apart
from tests.journeys.running import client, fresh, send
from tests.journeys.test_isolation import *  # noqa: F403 every test of it
from tests.journeys.test_nova_door import *  # noqa: F403
from tests.journeys.test_rights import *  # noqa: F403
from tests.kafka import Broker

pytestmark = pytest.mark.slow
PERSONS = [f"p{number}" for number in range(40)]


@pytest.fixture(scope="module")
def ground(database: TestDatabase, tmp_path_factory: pytest.TempPathFactory, own_kafka: Broker) -> Iterator[Apart]:
    """Four processes for every journey of this file; the last of them moves their clocks."""
    opened = Apart(database, tmp_path_factory.mktemp("apart"), own_kafka.bootstrap)
    opened.command("migrate")
    opened.restart()
    yield opened
    opened.stop_all()


async def test_answers_given_while_nps_is_killed_are_on_the_log_exactly_if_they_are_stored(ground: Apart) -> None:
    keys = json.loads(ground.command("tenant", "create", "Apart Ltd", "--json"))["keys"]
    now = datetime.now(UTC).isoformat()
    async with client(ground.door, keys["server"]) as door, client(ground.door, keys["admin"]) as asker:
        told = [{"type": "person", "person_id": one, "email": f"{one}@x.example"} for one in PERSONS]
        await send(door, [{**one, "account_id": "acme", "at": now} for one in told])
        await fresh(asker, datetime.now(UTC))
        survey = (await asker.post("/v1/surveys", json={"name": "Autumn"})).json()
        path = f"/v1/surveys/{survey['survey_id']}/invitations"
        items = (await asker.post(path, json={"person_ids": PERSONS})).json()["items"]
        links = [item["link"] for item in items]
        assert all(link.startswith(f"{ground.door}/s/") for link in links)
        answering = asyncio.create_task(_answer(links))
        await asyncio.sleep(0.4)
        ground.running["nps"].kill()
        await asyncio.to_thread(ground.launch("nps").wait_ready)
        assert await answering == len(links)
        await _emptied(ground.database.owner_dsn)
        await fresh(asker, datetime.now(UTC))
        figures = (await asker.get("/v1/nps")).json()
        assert (figures["n"], figures["sent"], figures["response_rate"]) == (40, 40, 1)
        listed = (await asker.get("/v1/responses", params={"limit": 500})).json()["items"]
        assert sorted((one["score"], one["comment"]) for one in listed) == sorted(
            (number % 11, f"c{number}") for number in range(len(links))
        )


async def _answer(links: list[str]) -> int:
    """Answers each link until it is taken, a few at a time; how many were."""
    turns = asyncio.Semaphore(4)

    async def one(number: int, link: str) -> int:
        async with turns:
            for _ in range(300):
                with suppress(httpx2.TransportError):
                    answer = await http.post(link, data={"score": str(number % 11), "comment": f"c{number}"})
                    if answer.status_code == 303:
                        return 1
                    assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.1)
        return 0

    async with httpx2.AsyncClient(timeout=10) as http:
        return sum(await asyncio.gather(*(one(number, link) for number, link in enumerate(links))))


async def _emptied(dsn: str) -> None:
    """Waits until nothing waits for the relay."""
    owner = await asyncpg.connect(dsn)
    try:
        for _ in range(300):
            if not await owner.fetchval("SELECT count(*) FROM bus.outbox WHERE shipped_to IS NULL"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the outbox was never emptied")
    finally:
        await owner.close()


from tests.journeys.test_coverage_time import (  # noqa: E402 it leaves the clocks ahead, so it comes last
    test_forty_of_fifty_are_covered_and_one_falls_out_at_midnight_live_and_across_a_restart as test_forty_of_fifty,  # noqa: F401
)
