"""The ledger proves what is promised, through a kill in the middle; and it goes red wherever a promise is broken."""

import asyncio
import time
from collections.abc import AsyncIterator
from operator import sub
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.cli.prepare import prepare
from services.scoring.ledger.books import Report
from services.scoring.ledger.rules import Counted, miscounted
from tests.faults.client import Load, load, tenants
from tests.faults.ledger import audit, counted, settings_of, strangers
from tests.faults.mutants import PROMISED, open_policies
from tests.journeys.running import Ground, Process
from tests.kafka import Broker

pytestmark = pytest.mark.slow


@pytest.fixture
async def ground(new_database: Any, tmp_path: Path) -> AsyncIterator[Ground]:
    """A database whose log is its own; what was started there is ended."""
    opened = Ground(new_database(), tmp_path)
    await prepare(settings_of(opened), None)
    yield opened
    opened.stop_all()


@pytest.fixture
async def distributed(new_database: Any, tmp_path: Path, own_kafka: Broker) -> AsyncIterator[Ground]:
    """The same with Kafka as its log."""
    opened = Ground(new_database(), tmp_path, own_kafka.bootstrap)
    await prepare(settings_of(opened), opened.kafka)
    yield opened
    opened.stop_all()


async def ready(process: Process) -> str:
    """Its URL; the load goes on meanwhile."""
    return await asyncio.to_thread(process.wait_ready)


async def folding(ground: Ground, seconds: float = 60) -> None:
    """Returns when something has been applied."""
    owner = await asyncpg.connect(ground.database.owner_dsn)
    try:
        deadline = time.monotonic() + seconds
        while not await owner.fetchval("SELECT EXISTS (SELECT 1 FROM scoring.archive)"):
            assert time.monotonic() < deadline, "nothing was applied"
            await asyncio.sleep(0.1)
    finally:
        await owner.close()


async def promised(process: Process, seconds: float = 30) -> None:
    """Returns when a mutant has just promised what it has not kept."""
    before, deadline = process.output.read_text().count(PROMISED), time.monotonic() + seconds
    while process.output.read_text().count(PROMISED) == before:
        assert time.monotonic() < deadline, "nothing was promised"
        await asyncio.sleep(0.02)


async def killed_in_the_middle(ground: Ground, between: bool = False) -> tuple[Report, Load, str]:
    """Three tenants' load on one process that is killed and started again: the report after the drain, and the door.
    `between`: it is a mutant, killed between a promise and its keeping."""
    made, kept = await tenants(settings_of(ground), 3), ground.folder / "sent.ndjson"
    running = ground.up()
    async with load(await ready(running), made, kept, rate=400) as run:
        await folding(ground)
        await asyncio.sleep(1.5)
        if between:
            await promised(running)
        running.kill()
        url = await ready(ground.up())
        run.aim(url)
        await asyncio.sleep(1.5)
    return await audit(settings_of(ground), ground.kafka, kept, 60), run, url


async def test_all_of_genki_killed_in_the_middle_loses_nothing_counts_nothing_twice_and_counts_itself(
    ground: Ground,
) -> None:
    report, run, url = await killed_in_the_middle(ground)
    assert report.green, report.text()
    assert run.summary.items["unknown"] > 0
    assert run.summary.given_up == 0
    for totals in report.totals.values():
        assert totals["duplicate"] > 0
        assert totals["acked"] == totals["applied"] > 100
    before, kept = await counted(url), ground.folder / "more.ndjson"
    async with load(url, await tenants(settings_of(ground), 1), kept, rate=400, seconds=2) as more:
        pass
    after = await audit(settings_of(ground), None, kept, rebuilt=True)
    assert [one.state for one in after.findings] == ["ok"] * 7, after.text()
    delta = Counted(*map(sub, await counted(url), before))
    answered = (more.summary.items["acked"], more.summary.items["rejected"])
    assert answered[1] > 0
    assert list(miscounted(delta, answered, consumed(after) - consumed(report))) == []


def consumed(report: Report) -> int:
    """Lines of the log below the stored positions."""
    return sum(totals["consumed"] for totals in report.totals.values())


async def test_a_position_taken_before_its_facts_are_applied_turns_it_red(ground: Ground) -> None:
    ground.program = ("tests.faults.mutants", "lazy")
    report, _, _ = await killed_in_the_middle(ground, between=True)
    assert {1, 7} <= set(report.broken()), report.text()
    assert "the consumer skipped it" in report.text()


async def test_autocommit_turns_it_red(distributed: Ground) -> None:
    distributed.program = ("tests.faults.mutants", "autocommit")
    report, _, _ = await killed_in_the_middle(distributed, between=True)
    assert {1, 7} <= set(report.broken()), report.text()
    assert "the consumer skipped it" in report.text()


async def test_an_answer_before_the_log_has_it_turns_it_red(ground: Ground) -> None:
    ground.program = ("tests.faults.mutants", "answer-first")
    report, _, _ = await killed_in_the_middle(ground)
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


async def test_without_row_level_security_requests_see_strangers_and_genki_refuses_to_start(ground: Ground) -> None:
    settings = settings_of(ground)
    await tenants(settings, 2)  # their keys and the audit of their making are the canaries
    assert await strangers(ground.database.app_dsn, 1) == {}
    await open_policies(settings.url)
    seen = await strangers(ground.database.app_dsn, 1)
    assert {"access.key": 3, "access.audit": 4}.items() <= seen.items()
    refused = ground.up()
    assert await asyncio.to_thread(refused.handle.wait, 60) == 1
    assert "NotIsolated: outside the tenant policy" in refused.output.read_text()
