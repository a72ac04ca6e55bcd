"""A real history through the public door: what comes out is what DuckDB counts in the same file, and adds up."""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import Ground, client, fresh, send
from tests.oracle.nova import EVENTS, Nova

pytestmark = pytest.mark.slow
ROWS = 3_000
DAYS = (date(2012, 2, 29), date(2012, 5, 31))


@pytest.fixture(scope="module")
def ground(database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One `genki up`, all services in it."""
    opened = Ground(database, tmp_path_factory.mktemp("nova"))
    opened.restart()
    yield opened
    opened.stop_all()


@pytest.fixture(scope="module")
def slice_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's first rows as a file of their own."""
    part = tmp_path_factory.mktemp("slice") / "nova.csv"
    with gzip.open(EVENTS, "rt", encoding="utf-8") as whole, part.open("w", encoding="utf-8") as file:
        file.writelines(islice(whole, ROWS + 1))
    return part


async def test_a_real_history_sent_twice_and_backwards_gives_duckdbs_figures_and_health_that_adds_up(
    ground: Ground, slice_: Path
) -> None:
    keys = json.loads(ground.command("tenant", "create", "Nova", "--time-zone", "UTC", "--json"))["keys"]
    with slice_.open(encoding="utf-8") as file:
        told = [_fact(row) for row in csv.DictReader(file)]
    async with client(ground.door, keys["server"]) as door, client(ground.door, keys["admin"]) as asker:
        await send(door, told, 1000)
        await send(door, told[::-1], 1000)
        await fresh(asker, datetime.now(UTC))
        nova = Nova(slice_)
        for day in DAYS:
            for days in (1, 7, 30, 90):
                answer = (await asker.get("/v1/usage", params={"days": days, "as_of": str(day)})).json()
                counted = (answer["events"], answer["active_users"], answer["active_accounts"])
                assert counted == nova.usage(day, days), (day, days)
        accounts = sorted({fact["account_id"] for fact in told})
        listed = (await asker.get("/v1/accounts", params={"limit": 500})).json()
        assert sorted(one["account_id"] for one in listed["items"]) == accounts
        for account in accounts[:5]:
            health = (await asker.get(f"/v1/accounts/{account}/health", params={"as_of": str(DAYS[1])})).json()
            parts = [one["contribution"] for one in health["dimensions"] if one["contribution"] is not None]
            assert abs(sum(parts) - (health["score"] or 0)) < 1e-9, account


def _fact(row: dict[str, str]) -> dict[str, Any]:
    at = datetime.fromtimestamp(int(row["ts"]), UTC).isoformat()
    who = {"person_id": row["user_id"], "account_id": row["account"], "event": row["event"]}
    return {"type": "usage", "id": row["event_id"], "at": at, **who}
