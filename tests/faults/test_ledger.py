"""The ledger proves what is promised, through a kill in the middle; and it goes red wherever a promise is broken."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.cli.prepare import prepare
from services.scoring.ledger.books import Report
from tests.faults.client import Load, load, tenants
from tests.faults.ledger import audit, settings_of
from tests.journeys.running import Ground, Process

pytestmark = pytest.mark.slow


@pytest.fixture
async def ground(new_database: Any, tmp_path: Path) -> AsyncIterator[Ground]:
    """A database whose log is its own; what was started there is ended."""
    opened = Ground(new_database(), tmp_path)
    await prepare(settings_of(opened), None)
    yield opened
    opened.stop_all()


async def ready(process: Process) -> str:
    """Its URL; the load goes on meanwhile."""
    return await asyncio.to_thread(process.wait_ready)


async def killed_in_the_middle(ground: Ground, before: float = 3, after: float = 2) -> tuple[Report, Load]:
    """Three tenants' load on one process that is killed and started again; the report after the drain."""
    made, kept = await tenants(settings_of(ground), 3), ground.folder / "sent.ndjson"
    running = ground.up()
    async with load(await ready(running), made, kept, rate=400) as run:
        await asyncio.sleep(before)
        running.kill()
        run.aim(await ready(ground.up()))
        await asyncio.sleep(after)
    return await audit(settings_of(ground), ground.kafka, kept, 60), run


async def test_all_of_genki_killed_in_the_middle_loses_nothing_and_counts_nothing_twice(ground: Ground) -> None:
    report, run = await killed_in_the_middle(ground)
    assert report.green, report.text()
    assert run.summary.items["unknown"] > 0
    assert run.summary.given_up == 0
    for totals in report.totals.values():
        assert totals["duplicate"] > 0
        assert totals["acked"] == totals["applied"] > 100


async def test_a_position_taken_before_its_facts_are_applied_turns_it_red(ground: Ground) -> None:
    ground.program = ("tests.faults.mutants", "lazy")
    report, _ = await killed_in_the_middle(ground)
    assert {1, 7} <= set(report.broken()), report.text()
    assert "the consumer skipped it" in report.text()


async def test_an_answer_before_the_log_has_it_turns_it_red(ground: Ground) -> None:
    ground.program = ("tests.faults.mutants", "answer-first")
    report, _ = await killed_in_the_middle(ground)
    assert 1 in report.broken(), report.text()
    assert "the door answered before it was there" in report.text()
    assert 7 not in report.broken()


async def test_what_is_applied_twice_turns_it_red(ground: Ground) -> None:
    ground.program = ("tests.faults.mutants", "no-dedupe")
    made, kept = await tenants(settings_of(ground), 2), ground.folder / "sent.ndjson"
    async with load(await ready(ground.up()), made, kept, rate=400, seconds=3):
        pass
    report = await audit(settings_of(ground), None, kept, 60)
    assert 2 in report.broken(), report.text()
    assert "applied 2 times" in report.text()
    assert 1 not in report.broken()
