"""What is not there for a while: the broker, PostgreSQL, both; and services that are asked to end just then."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import asyncpg
import httpx2
import psutil

from shared.postgres import REQUEST_SECONDS
from tests.faults.client import Load
from tests.faults.ground import Ground
from tests.faults.scenarios.words import deliver, used
from tests.faults.stage import Stage

DETOUR_SECONDS: Final = 3.5  # two of waiting, and what a request takes
READERS: Final = 40  # at once; a service has eight connections for them
GROWTH: Final = 96 * 1024**2  # bytes that a service may grow by while the broker is away


async def broker(stage: Stage) -> None:
    """The broker down for long at full load: facts are taken at most two seconds late, memory is bounded, the doors say
    what is the matter; after its return the outbox empties and answers are as quick as before."""
    ground, seconds = stage.ground, 6 if stage.short else 40 * stage.times
    async with stage.load() as run:
        await asyncio.sleep(3)
        normal, memory = _slowest(run, 0), _memory(ground)
        ground.broker.kill()
        stage.row.faults += 1
        away = len(run.summary.answers)
        await asyncio.sleep(seconds)
        refused = [one for one in run.summary.answers[away:] if one.status != 200]
        assert not refused, f"not taken: {refused[:5]}"
        stage.within(_slowest(run, away), DETOUR_SECONDS, "taken")
        _doors_say(ground, "Kafka is away")
        grown = {name: size - memory[name] for name, size in _memory(ground).items()}
        assert max(grown.values()) < GROWTH, f"grown by {grown}"
        await asyncio.to_thread(ground.broker.start)
        stage.back(await ground.progress())
        await asyncio.sleep(5)
        back = len(run.summary.answers)
        await asyncio.sleep(3)
        quick = _slowest(run, back)
        stage.within(quick, max(1.0, 4 * normal), "answered when all was back")
    await stage.balance(run)
    stage.note(f"{seconds:.0f} s; slowest answer {_slowest(run, away):.1f} s; grown {max(grown.values()) >> 20} MB")


def _slowest(run: Load, since: int) -> float:
    return max((one.seconds for one in run.summary.answers[since:]), default=0.0)


def _memory(ground: Ground) -> dict[str, int]:
    return {name: psutil.Process(one.pid).memory_info().rss for name, one in ground.services.items()}


def _doors_say(ground: Ground, words: str) -> None:
    for name in ("gateway", "ingest", "scoring"):
        assert ground.services[name].asked("/healthz")[0] == 200, name
        status, told = ground.services[name].asked("/readyz")
        assert (status, words in told) == (200, True), f"{name}: {status} {told}"


async def postgres(stage: Stage) -> None:
    """PostgreSQL started again, crashed, stopped for a while, and frozen: consumers pause, doors say 503 and not 500,
    nothing becomes a dead letter and no service has to be started again."""
    ground, letters = stage.ground, await stage.ground.dead()
    before = ground.starts()
    async with stage.load() as run:
        for stop, start in _troubles(ground)[: 4 if not stage.short else 2]:
            await asyncio.to_thread(stop)
            stage.row.faults += 1
            await asyncio.sleep(stage.pause(1, 3) if stage.short else stage.pause(4, 15) * stage.times)
            await asyncio.to_thread(start)
            stage.back(await ground.progress())
    assert ground.starts() == before, _ends(ground)
    await stage.balance(run)
    assert await ground.dead() == letters, "dead letters of facts that were sound"


async def pool(stage: Stage) -> None:
    """A stranger's lock keeps every connection of the pools waiting: who asks is told 503 and when to come again, facts
    are taken all the same, and once the lock is gone work goes on as if nothing had been."""
    ground, other, letters = stage.ground, await stage.ground.tenant("Pool"), await stage.ground.dead()
    before = ground.starts()
    async with stage.client(other, "admin") as door, stage.load() as run:
        stranger = await asyncpg.connect(ground.settings.url)
        try:
            await stranger.execute(f"BEGIN; LOCK TABLE {ground.settings.state}.account_state")
            stage.row.faults += 1
            asked = await asyncio.gather(*(door.get("/v1/accounts", timeout=40) for _ in range(READERS)))
        finally:
            await stranger.close()
        stage.back(await ground.progress())
        assert (await door.get("/v1/accounts")).status_code == 200
    assert {answer.status_code for answer in asked} == {503}, sorted({answer.status_code for answer in asked})
    assert all(answer.headers.get("retry-after") for answer in asked), "a refusal that does not say when to come again"
    slowest = max(answer.elapsed.total_seconds() for answer in asked)
    stage.within(slowest, REQUEST_SECONDS + 8.0, "refused")
    assert set(run.summary.statuses) == {200}, f"facts were answered {dict(run.summary.statuses)}"
    assert ground.starts() == before, _ends(ground)
    await stage.balance(run)
    assert await ground.dead() == letters, "dead letters of facts that were sound"
    stage.note(f"{READERS} refused, slowest {slowest:.1f} s")


def _troubles(ground: Ground) -> list[tuple[Callable[[], object], Callable[[], object]]]:
    one = ground.postgres
    return [
        (lambda: one.stop("immediate"), one.start),
        (one.pause, one.resume),
        (lambda: one.stop("fast"), one.start),
        (lambda: (one.stop("fast"), one.start()), lambda: None),
    ]


def _ends(ground: Ground) -> str:
    return "; ".join(
        f"{name} ended with {one.exits}: {one.tail(2)}" for name, one in ground.services.items() if one.exits
    )


async def both(stage: Stage) -> None:
    """Broker and PostgreSQL away: nothing is promised. Every answer is a refusal and says when to come again."""
    ground, other = stage.ground, await stage.ground.tenant("Probe")  # what it sends may be stored after all
    async with stage.client(other) as door, stage.load() as run:
        await deliver(door, used(1))
        ground.broker.pause()
        await asyncio.to_thread(ground.postgres.stop, "immediate")
        stage.row.faults += 2
        asked = await _probe(door, 6 if stage.short else 15)
        await asyncio.to_thread(ground.postgres.start)
        ground.broker.resume()
        stage.back(await ground.progress())
    assert {status for status, _, _ in asked} == {503}, sorted({status for status, _, _ in asked})
    assert all(after for _, after, _ in asked), "a refusal that does not say when to come again"
    slowest = max(took for _, _, took in asked)
    stage.within(slowest, 8.0, "refused")
    stage.note(f"{len(asked)} refusals, slowest {slowest:.1f} s")
    await stage.balance(run)


async def _probe(door: httpx2.AsyncClient, seconds: float) -> list[tuple[int, str, float]]:
    """(status, Retry-After, seconds) of requests at the door while nothing is there."""
    seen: list[tuple[int, str, float]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        answer = await door.post("/v1/events", json=used(1, f"probe-{len(seen)}"))
        seen.append((answer.status_code, answer.headers.get("retry-after", ""), time.monotonic() - began))
        await asyncio.sleep(0.1)
    return seen


async def rolling(stage: Stage) -> None:
    """SIGTERM under load, one service after the other, again and again: each ends well and within its grace."""
    ground, slowest = stage.ground, 0.0
    async with stage.load() as run:
        for _ in range(stage.count(5, 1)):
            for name in stage.dice.sample(("gateway", "ingest", "scoring", "nps"), 4):
                code, took = await asyncio.to_thread(ground.services[name].end)
                assert code == 0, f"{name} ended with {code} after {took:.1f} s: {ground.services[name].tail(3)}"
                slowest = max(slowest, took)
                await asyncio.to_thread(ground.start, name)
                stage.row.faults += 1
        stage.back(await ground.progress())
    await stage.balance(run)
    stage.note(f"slowest end {slowest:.1f} s")


async def end_while_away(stage: Stage) -> None:
    """Asked to end while the broker is frozen, then while PostgreSQL is: every service does, within its grace."""
    ground, slowest = stage.ground, (0.0, "")
    async with stage.load() as run:
        for what, one in (("broker", ground.broker), ("PostgreSQL", ground.postgres)):
            await asyncio.to_thread(one.pause)
            stage.row.faults += 1
            await asyncio.sleep(4)
            ends = await asyncio.gather(*(asyncio.to_thread(each.end) for each in ground.services.values()))
            await asyncio.to_thread(one.resume)
            for name, (code, took) in zip(ground.services, ends, strict=True):
                slowest = max(slowest, (took, f"{name} without {what}"))
                assert code != -9, f"{name} had to be killed while {what} was frozen: {ground.services[name].tail(3)}"
            await asyncio.to_thread(ground.start)
            stage.back(await ground.progress())
    await stage.balance(run)
    stage.note(f"slowest end {slowest[0]:.1f} s: {slowest[1]}")
