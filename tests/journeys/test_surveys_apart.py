"""Surveys with each service in a process of its own, over Kafka and PostgreSQL; nps killed while answers come in."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.journeys.running import Ground, Process, client, fresh, send
from tests.kafka import Broker, running_broker

pytestmark = pytest.mark.slow
PERSONS = [f"p{number}" for number in range(40)]


@pytest.fixture
def ground(new_database: Any, tmp_path: Path, kafka: Broker) -> Iterator[Ground]:
    """A database and a broker of its own: a log belongs to one database."""
    assert kafka.bootstrap
    with running_broker() as broker:
        opened = Ground(new_database(), tmp_path, broker.bootstrap)
        opened.command("migrate")
        yield opened
        opened.stop_all()


def started(ground: Ground, name: str, *found: Process) -> Process:
    """One service, told where the others are."""
    urls = dict(zip(("GENKI_SCORING_URL", "GENKI_INGEST_URL", "GENKI_NPS_URL"), (p.url for p in found), strict=False))
    process = ground.up("--only", name, env={**urls, "GENKI_PUBLIC_URL": "https://survey.example/"})
    process.wait_ready()
    return process


async def test_answers_given_while_nps_is_killed_are_on_the_log_exactly_if_they_are_stored(ground: Ground) -> None:
    scoring, ingest = started(ground, "scoring"), started(ground, "ingest")
    nps = started(ground, "nps", scoring)
    gateway = started(ground, "gateway", scoring, ingest, nps)
    keys = json.loads(ground.command("tenant", "create", "Apart Ltd", "--json"))["keys"]
    now = datetime.now(UTC).isoformat()
    async with client(gateway.url, keys["server"]) as door, client(gateway.url, keys["admin"]) as asker:
        told = [{"type": "person", "person_id": one, "email": f"{one}@x.example"} for one in PERSONS]
        await send(door, [{**one, "account_id": "acme", "at": now} for one in told])
        await fresh(asker, datetime.now(UTC))
        survey = (await asker.post("/v1/surveys", json={"name": "Autumn"})).json()
        path = f"/v1/surveys/{survey['survey_id']}/invitations"
        items = (await asker.post(path, json={"person_ids": PERSONS})).json()["items"]
        links = [item["link"].removeprefix("https://survey.example") for item in items]
        assert all(link.startswith("/s/") for link in links)
        doors = [gateway.url]
        answering = asyncio.create_task(_answer(doors, links))
        await asyncio.sleep(0.4)
        nps.kill()
        doors.append(started(ground, "gateway", scoring, ingest, started(ground, "nps", scoring)).url)
        assert await answering == len(links)
        await _emptied(ground.database.owner_dsn)
        await fresh(asker, datetime.now(UTC))
        figures = (await asker.get("/v1/nps")).json()
        assert (figures["n"], figures["sent"], figures["response_rate"]) == (40, 40, 1)
        listed = (await asker.get("/v1/responses", params={"limit": 500})).json()["items"]
        assert sorted((one["score"], one["comment"]) for one in listed) == sorted(
            (number % 11, f"c{number}") for number in range(len(links))
        )


async def _answer(doors: list[str], links: list[str]) -> int:
    """Answers each link at the newest door until it is taken, a few at a time; how many were."""
    turns = asyncio.Semaphore(4)

    async def one(number: int, link: str) -> int:
        async with turns:
            for _ in range(300):
                with suppress(httpx2.TransportError):
                    answer = await http.post(
                        doors[-1] + link, data={"score": str(number % 11), "comment": f"c{number}"}
                    )
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
            if not await owner.fetchval("SELECT count(*) FROM bus.outbox"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the outbox was never emptied")
    finally:
        await owner.close()
