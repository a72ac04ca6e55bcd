"""What stops without ending: a frozen broker, frozen services, a zombie consumer."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.postgres import IDLE_SECONDS
from tests.faults.stage import Stage
from tests.faults.supervised import Supervised, until


async def broker(stage: Stage) -> None:
    """SIGSTOP of the broker: what was sent into it may arrive late, and counts once."""
    ground = stage.ground
    async with stage.load() as run:
        for _ in range(stage.count(2, 1)):
            ground.broker.pause()
            stage.row.faults += 1
            await asyncio.sleep(6 if stage.short else stage.pause(12, 25))
            ground.broker.resume()
            stage.back(await ground.progress())
    await stage.balance(run)
    slowest = max(one.seconds for one in run.summary.answers)
    stage.note(f"slowest answer {slowest:.1f} s")


async def everyone(stage: Stage) -> None:
    """SIGSTOP of each service in turn, shorter than a client's patience and longer."""
    ground = stage.ground
    async with stage.load() as run:
        for name in ("gateway", "ingest", "scoring", "nps")[: 4 * stage.count(1, 1)]:
            ground.services[name].signal(signal.SIGSTOP)
            stage.row.faults += 1
            await asyncio.sleep(stage.pause(2, 4) if stage.short else stage.pause(3, 14))
            ground.services[name].signal(signal.SIGCONT)
            stage.back(await ground.progress())
    await stage.balance(run)


async def zombie(stage: Stage) -> None:
    """A consumer frozen beyond its session wakes up after its partitions went to another: nothing is counted twice."""
    async with two(stage):
        async with stage.load() as run:
            for turn in range(stage.count(2, 1)):
                frozen = stage.ground.services[("scoring", "scoring-2")[turn % 2]]
                await asyncio.sleep(stage.pause(1, 3))
                frozen.signal(signal.SIGSTOP)
                await _wakes_late(stage, frozen)
        await stage.balance(run)


async def holder(stage: Stage) -> None:
    """A consumer frozen inside its transaction holds rows that another needs: the database takes them from it."""
    ground = stage.ground
    async with two(stage):
        async with stage.load() as run:
            await asyncio.to_thread(ground.cast, "scoring", f"freeze:before_commit:{stage.dice.randint(3, 9)}")
            frozen = ground.services["scoring"]
            log, starts = frozen.said(), frozen.starts
            await asyncio.to_thread(until, lambda: _still(frozen), 60, "it never froze")
            await _wakes_late(stage, frozen)
        await stage.balance(run)
        assert frozen.starts == starts, f"it ended: {frozen.tail(3)}"
        lost = frozen.told("The database does not answer", log)
        assert lost, "it kept its transaction"
        await asyncio.to_thread(ground.cast, "scoring")


def _still(service: Supervised) -> bool:
    """Whether its process is stopped (Linux: state T of /proc)."""
    if service.pid is None:
        return False
    return Path(f"/proc/{service.pid}/stat").read_text("ascii").rpartition(") ")[2].startswith("T")


@asynccontextmanager
async def two(stage: Stage) -> AsyncIterator[None]:
    """With a second consumer beside the first."""
    ground = stage.ground
    ground.service("scoring-2", "scoring")
    await asyncio.to_thread(ground.start, "scoring-2")
    try:
        yield
    finally:
        for one in (ground.services["scoring"], ground.services["scoring-2"]):
            one.signal(signal.SIGCONT)
        ground.services.pop("scoring-2").close()


async def _wakes_late(stage: Stage, frozen: Supervised) -> None:
    """It stays frozen until the other one has read on what was its own."""
    stage.row.faults += 1
    stage.back(await _all_move(stage), IDLE_SECONDS + 30)
    await asyncio.sleep(stage.pause(1, 3))
    frozen.signal(signal.SIGCONT)
    await asyncio.sleep(stage.pause(2, 5))


async def _all_move(stage: Stage) -> float:
    """Until every partition that grew has been read on, whoever had it before; how long it took."""
    ground, began = stage.ground, time.monotonic()
    goal = await ground.ends()
    while True:
        stored = await ground.positions()
        behind = {place: end for place, end in goal.items() if stored.get(place, 0) < end}
        if not behind:
            return time.monotonic() - began
        waited = time.monotonic() - began
        assert waited < 2 * IDLE_SECONDS + 30, f"after {waited:.0f} s nobody has read {behind}, stored {stored}"
        await asyncio.sleep(0.2)
