"""Processes that die and come back: gateway, ingest, nps, scoring at any moment and at its named points, the broker."""

import asyncio
import time
from typing import Final

from tests.faults.bewitched import POINTS
from tests.faults.stage import Stage

BROKER_AWAY: Final = (3.0, 12.0)  # seconds


async def door(stage: Stage) -> None:
    """`kill -9` of what stands between a client and the log."""
    async with stage.load() as run:
        for turn in range(stage.count(10, 2)):
            name = ("gateway", "ingest")[turn % 2]
            await asyncio.sleep(stage.pause(0.3, 2))
            stage.row.faults += stage.ground.services[name].kill()
            acked = run.summary.items["acked"]
            began = time.monotonic()
            await asyncio.to_thread(stage.ground.wait_ready, "gateway", "ingest")
            while run.summary.items["acked"] == acked:
                assert time.monotonic() - began < 60, "nothing is acknowledged any more"
                await asyncio.sleep(0.05)
            stage.back(time.monotonic() - began)
    await stage.balance(run)


async def scoring(stage: Stage) -> None:
    """`kill -9` of the consumer at random moments, also while it starts."""
    async with stage.load() as run:
        for turn in range(stage.count(6, 1)):
            stage.row.faults += stage.ground.services["scoring"].kill()
            if turn % 3 == 2:  # strike again before it is ready
                await asyncio.sleep(stage.pause(0.5, 3))
                stage.row.faults += stage.ground.services["scoring"].kill()
            stage.back(await stage.ground.progress())
            await asyncio.sleep(stage.pause(0.2, 2))
    await stage.balance(run)


async def points(stage: Stage) -> None:
    """The consumer kills itself at each named point: after the fetch, before and after the commit, and between fold and
    assessment."""
    ground, service = stage.ground, stage.ground.services["scoring"]
    async with stage.load() as run:
        for point in POINTS[2:3] if stage.short else POINTS * stage.count(1):
            spell = f"die:{point}:{stage.dice.randint(1, 6)}"
            died, began = len(service.exits), time.monotonic()
            await asyncio.to_thread(ground.cast, "scoring", spell)
            while len(service.exits) == died:
                assert time.monotonic() - began < 90, f"it never passed {point}"
                await asyncio.sleep(0.05)
            assert service.exits[died] == -9, f"it ended with {service.exits[died]}"
            stage.row.faults += 1
            service.words = ground.words("scoring")  # what is started next is itself again
            service.kill()
            stage.back(await ground.progress())
    await stage.balance(run)


async def nps(stage: Stage) -> None:
    """nps may die as it likes: facts do not pass through it."""
    async with stage.load() as run:
        for _ in range(stage.count(3)):
            await asyncio.sleep(stage.pause(0.3, 1))
            stage.row.faults += stage.ground.services["nps"].kill()
            await asyncio.to_thread(stage.ground.wait_ready, "nps")
    assert set(run.summary.statuses) == {200}
    await stage.balance(run)


async def broker(stage: Stage) -> None:
    """`kill -9` of the broker, back after some seconds: facts go on being taken, nobody restarts a service by hand."""
    ground = stage.ground
    before = ground.starts()
    async with stage.load() as run:
        for _ in range(stage.count(3, 1)):
            began = len(run.summary.answers)
            ground.broker.kill()
            stage.row.faults += 1
            await asyncio.sleep(stage.pause(*BROKER_AWAY) if not stage.short else 4)
            await asyncio.to_thread(ground.broker.start)
            stage.back(await ground.progress())
            slowest = max(one.seconds for one in run.summary.answers[began:])
            stage.within(slowest, 5.5, "answered")
            stage.note(f"slowest answer {slowest:.1f} s")
    assert ground.starts() == before, "a service was started again"
    await stage.balance(run)
