"""Dead letters on either log: poison put straight on a topic, told with its reason, and applied once when it can be."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from services.__main__ import build
from shared import facts
from shared.bus import Bus, Outgoing
from shared.bus.kafka import open_kafka
from shared.bus.postgres import PostgresBus
from shared.clock import to_micros
from tests.journeys.running import Ground

pytestmark = pytest.mark.slow
WHEN = datetime.now(UTC).replace(microsecond=123_456) - timedelta(days=3)
STRANGER = 2  # the number of the tenant that is made only after its facts died


def usage(tenant: int, name: str, **more: Any) -> bytes:
    given = {"at": to_micros(WHEN), "person_id": "ada", "event": "login", "account_id": "acme", "count": 3, **more}
    return facts.encode(facts.Usage(tenant=tenant, id=name, received=to_micros(WHEN) + 5, hash=7, **given))


POISON = (
    b"\xff\xfe{\x00}\x00",
    usage(1, "nul", event="a\0b"),
    usage(1, "nan").replace(b'"count":3', b'"count":NaN'),
    usage(1, "huge", count=2**63 - 1),
    b"[" * 10_000 + b"]" * 10_000,
    usage(STRANGER, "one"),
    usage(STRANGER, "two", count=4),
)


@pytest.fixture(params=["postgres", "kafka"])
def placed(request: pytest.FixtureRequest, ground: Ground) -> Ground:
    """A ground on which Genki runs, on either log, with one tenant."""
    if request.param == "kafka":
        ground.kafka = request.getfixturevalue("own_kafka").bootstrap
        ground.command("migrate")
    ground.command("tenant", "create", "first")
    ground.up().wait_ready()
    return ground


@asynccontextmanager
async def log_of(ground: Ground) -> AsyncIterator[Bus]:
    if ground.kafka is not None:
        bus = await open_kafka(ground.kafka, facts.ALL_TOPICS)
        yield bus
        await bus.close()
        return
    async with asyncpg.create_pool(ground.database.worker_dsn, min_size=1, max_size=2) as pool:
        yield PostgresBus(pool, 12)


async def test_what_died_is_told_and_comes_back_once_with_its_own_time(placed: Ground) -> None:
    part = facts.partition(STRANGER, "ada", 12)
    async with log_of(placed) as bus:
        lines = [*POISON[:5], usage(1, "good"), *POISON[5:]]
        await bus.publish([Outgoing(facts.USAGE_TOPIC, part, lines, to_micros(datetime.now(UTC)))], 30)
        await until(placed, "SELECT count(*) FROM scoring_state.fact_seen", 1)
    listed = dead(placed, "list")
    assert [item["state"] for item in listed["items"]] == ["unreadable"] * 7
    assert (listed["total"], listed["next"]) == (7, None)
    assert [item["line"] for item in listed["items"]] == [0, 1, 2, 3, 4, 6, 7]
    assert [item["reason"] for item in listed["items"]][-2:] == ["no such tenant"] * 2
    assert [item["reason"] for item in listed["items"]][1] == "a string holds NUL"
    assert listed["items"][1]["tenant"].startswith("first-")
    first, last = listed["items"][0]["letter"], listed["items"][-1]["letter"]
    assert dead(placed, "show", first)["raw"] == "\\xff\\xfe{\\x00}\\x00"
    assert json.loads(dead(placed, "show", last)["raw"])["count"] == 4
    page = dead(placed, "list", "--limit", "2")
    assert [item["letter"] for item in dead(placed, "list", "--limit", "2", "--after", page["next"])["items"]] == [
        item["letter"] for item in listed["items"][2:4]
    ]
    assert dead(placed, "list", "--reason", "no such tenant")["total"] == 2
    assert json.loads(placed.command("dead", "replay", "--json")) == {"published": 0, "left": 7}

    placed.command("tenant", "create", "second")
    states = [item["state"] for item in dead(placed, "list")["items"]]
    assert states == ["unreadable"] * 5 + ["readable"] * 2
    assert dead(placed, "replay") == {"published": 2, "left": 5}
    assert await until(placed, "SELECT count(*) FROM scoring_state.fact_seen", 3) == 3
    assert [item["state"] for item in dead(placed, "list", "--reason", "no such tenant")["items"]] == ["applied"] * 2
    told = await stored(placed)
    assert told == [(WHEN.date(), 7, WHEN)]

    assert dead(placed, "replay") == {"published": 0, "left": 7}
    assert dead(placed, "replay", "--all") == {"published": 7, "left": 0}
    await until(placed, None, 12)
    assert await stored(placed) == told
    await asyncio.sleep(0.5)
    assert await stored(placed) == told


def dead(ground: Ground, *words: str) -> Any:
    """What `genki dead … --json` says, run in this process: starting one more takes seconds."""
    said = io.StringIO()

    def run() -> None:
        with redirect_stdout(said):
            build()(["dead", *words, "--json"], result_action="return_value")

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        for name, value in ground._env().items():
            patch.setenv(name, value)
        thread.submit(run).result()
    return json.loads(said.getvalue())


async def stored(ground: Ground) -> list[tuple[Any, ...]]:
    """Day, events and last instant of the stranger's usage, in UTC."""
    conn = await asyncpg.connect(ground.database.owner_dsn)
    rows = await conn.fetch("SELECT day, events, last_at FROM scoring_state.usage WHERE tenant = $1", STRANGER)
    await conn.close()
    return [(row["last_at"].date(), row["events"], row["last_at"]) for row in rows]


async def until(ground: Ground, sql: str | None, count: int) -> int:
    """Waits until the query, or else the number of dead letters, is at least that."""
    conn = await asyncpg.connect(ground.database.owner_dsn)
    deadline, found = time.monotonic() + 60, -1
    while found < count:
        assert time.monotonic() < deadline, (sql, found)
        found = dead(ground, "list")["total"] if sql is None else await conn.fetchval(sql)
        await asyncio.sleep(0.1)
    await conn.close()
    return found
