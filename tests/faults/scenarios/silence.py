"""What stops without ending: a frozen broker, frozen services, a zombie consumer."""

import asyncio
import signal
import time

from tests.faults.stage import Stage


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
    ground = stage.ground
    ground.service("scoring-2", "scoring")
    await asyncio.to_thread(ground.start, "scoring-2")
    try:
        async with stage.load() as run:
            for turn in range(stage.count(2, 1)):
                frozen = ground.services[("scoring", "scoring-2")[turn % 2]]
                await asyncio.sleep(stage.pause(1, 3))
                frozen.signal(signal.SIGSTOP)
                stage.row.faults += 1
                stage.back(await _all_move(stage))
                await asyncio.sleep(stage.pause(1, 3))
                frozen.signal(signal.SIGCONT)
                await asyncio.sleep(stage.pause(2, 5))
        await stage.balance(run)
    finally:
        for one in (ground.services["scoring"], ground.services["scoring-2"]):
            one.signal(signal.SIGCONT)
        ground.services.pop("scoring-2").close()


async def _all_move(stage: Stage) -> float:
    """Until every partition that grew has been read on, whoever had it before; how long it took."""
    ground, began = stage.ground, time.monotonic()
    goal = await ground.ends()
    while True:
        stored = await ground.positions()
        if all(stored.get(place, 0) >= end for place, end in goal.items()):
            return time.monotonic() - began
        assert time.monotonic() - began < 60, "the frozen consumer's partitions found no reader"
        await asyncio.sleep(0.2)
