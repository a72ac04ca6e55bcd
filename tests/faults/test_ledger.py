"""The ledger proves what is promised, through a kill in the middle; and it goes red wherever a promise is broken."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client import load, tenants
from tests.faults.ledger import audit, settings_of
from tests.journeys.running import Ground, Process

pytestmark = pytest.mark.slow


@pytest.fixture
def ground(new_database: Any, tmp_path: Path) -> Iterator[Ground]:
    """A migrated database whose log is PostgreSQL; what was started there is ended."""
    opened = Ground(new_database(), tmp_path)
    opened.command("migrate")
    yield opened
    opened.stop_all()


async def ready(process: Process) -> str:
    """Its URL; the load goes on meanwhile."""
    return await asyncio.to_thread(process.wait_ready)


async def test_all_of_genki_killed_in_the_middle_loses_nothing_and_counts_nothing_twice(ground: Ground) -> None:
    made, kept = tenants(ground, 3), ground.folder / "sent.ndjson"
    running = ground.up()
    async with load(await ready(running), made, kept, rate=400) as run:
        await asyncio.sleep(4)
        running.kill()
        run.aim(await ready(ground.up()))
        await asyncio.sleep(3)
    report = await audit(settings_of(ground), ground.kafka, kept)
    assert report.green, report.text()
    assert run.summary.items["unknown"] > 0
    assert run.summary.given_up == 0
