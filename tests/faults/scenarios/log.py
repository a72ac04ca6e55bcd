"""What only the log and its consumer can do to each other: refused records, slow folds, deaf tasks, lost offsets."""

import asyncio
import random
import signal
import string
import time
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shared import facts
from shared.bus.outbox import AGAIN_EVERY
from tests.faults.ground import Ground
from tests.faults.scenarios.silence import two
from tests.faults.scenarios.words import ago, deliver, events, line, seen, set_topic, used
from tests.faults.stage import Stage

FOLLOWERS: Final = 1_000
AT_ONCE: Final = 20
PART: Final = 5


def _noted(fact_id: str, letters: int, dice: random.Random) -> dict[str, Any]:
    """A contact of one account with a note that no compression makes small."""
    note = "".join(dice.choices(string.ascii_letters + string.digits, k=letters))
    return {"type": "contact", "id": fact_id, "at": ago(hours=1), "account_id": "acme", "channel": "phone",
            "outcome": "reached", "note": note}  # fmt: skip


async def oversize(stage: Stage) -> None:
    """The broker refuses one record for its size: no later one of that partition may suffer for it."""
    ground, tenant = stage.ground, await stage.ground.tenant("Oversize")
    log = ground.services["ingest"].said()
    async with stage.client(tenant) as door:
        await deliver(door, [_noted("before", 100, stage.dice)])
        await set_topic(ground, facts.FACTS_TOPIC, max_message_bytes="5000")
        stage.row.faults += 1
        await deliver(door, [_noted(f"large-{n}", 1_900, stage.dice) for n in range(5)])
        assert ground.services["ingest"].told("MessageSizeTooLarge", log), "the broker took it"
        await set_topic(ground, facts.FACTS_TOPIC)
        await asyncio.sleep(10)
        turns = asyncio.Semaphore(AT_ONCE)
        statuses = await asyncio.gather(*(_one(door, turns, n, stage.dice) for n in range(FOLLOWERS)))
    assert set(statuses) == {200}, f"after ten seconds: {sorted(set(statuses))}"
    # What went another way and was refused there too is tried again once a minute.
    stage.back(await ground.drained(AGAIN_EVERY + 30), AGAIN_EVERY + 15)
    stage.row.acked, stage.row.applied = FOLLOWERS + 6, await seen(ground, tenant.tenant)
    assert stage.row.applied == stage.row.acked


async def _one(door: Any, turns: asyncio.Semaphore, number: int, dice: random.Random) -> int:
    async with turns:
        return (await door.post("/v1/events", json=[_noted(f"after-{number}", 50, dice)])).status_code


async def slow(stage: Stage) -> None:
    """Folds that take longer than the group allows between two polls: the consumer loses its place to the other one,
    not its way."""
    ground, tenant = stage.ground, await stage.ground.tenant("Slow")
    folds, waves, service = stage.count(3), 10, ground.services["scoring"]
    async with two(stage):
        await asyncio.to_thread(ground.cast, "scoring", f"slow:8:{folds}", "polls:2000")
        log = service.said()
        await asyncio.to_thread(ground.wait_ready, "scoring")
        async with stage.client(tenant) as door:
            for wave in range(waves):
                await deliver(door, used(100, f"w{wave}"))
                await asyncio.sleep(1.5)
        stage.back(await ground.drained(120), 60)
        again = len(service.told("fold_fenced", log))
        stage.row.faults, stage.row.acked, stage.row.applied = folds, 100 * waves, await seen(ground, tenant.tenant)
        assert await events(ground, tenant.tenant) == 100 * waves
        assert again, "it kept its place"
        assert again <= folds + 2, f"{again} batches were given again"
        stage.note(f"{again} batches fenced")
        await asyncio.to_thread(ground.cast, "scoring")


async def deaf(stage: Stage) -> None:
    """A task of the consumer ends and tells nobody: work goes on, or the process ends and is started again."""
    ground, service = stage.ground, stage.ground.services["scoring"]
    for part in ("fetcher", "coordinator")[: 2 * stage.count(1)]:
        tenant = await ground.tenant("Deaf")
        await asyncio.to_thread(ground.cast, "scoring", f"deaf:{part}")
        await asyncio.to_thread(ground.wait_ready, "scoring")
        await ground.drained()
        await asyncio.sleep(3)  # it has joined its group
        ended, log = len(service.exits), service.said()
        service.signal(signal.SIGUSR1)
        stage.row.faults += 1
        async with stage.client(tenant) as door:
            await asyncio.sleep(1)
            await deliver(door, used(100))
            began = time.monotonic()
            while await seen(ground, tenant.tenant) < 100:
                assert time.monotonic() - began < 90, f"deaf in its {part} it neither works nor ends"
                await asyncio.sleep(0.2)
        stage.back(time.monotonic() - began, 60)
        bitten, codes = bool(service.told("no_progress", log)), service.exits[ended:]
        assert codes in ([1],) if bitten else codes in ([], [1]), f"ended with {codes}"
        how = "ended by the watchdog" if bitten else f"ended with {codes[0]}" if codes else "goes on"
        stage.note(f"{part}: {how}, {time.monotonic() - began:.0f} s")
    await asyncio.to_thread(ground.cast, "scoring")


async def out_of_range(stage: Stage) -> None:
    """Retention took what nobody had read: the consumer stops, says so, and skips nothing by itself."""
    ground, tenant = stage.ground, await stage.ground.tenant("Retention")
    scoring, place = ground.services["scoring"], (facts.USAGE_TOPIC, PART)
    await ground.drained()
    await asyncio.to_thread(scoring.end)
    before, log = (await ground.positions()).get(place, 0), scoring.said()
    await ground.put(*place, [line(tenant.tenant, f"lost-{n}", PART) for n in range(10)])
    await _delete_before(ground, place[1], before + 5)
    ended = len(scoring.exits)
    scoring.start()
    began = time.monotonic()
    while len(scoring.exits) < ended + 2:
        assert time.monotonic() - began < 90, "it does not stop"
        await asyncio.sleep(0.1)
    assert set(scoring.exits[ended:]) == {1}
    said = scoring.told("gave up", log)
    assert said, "nobody is told"
    assert "BusBroken" in said[0]
    assert (await ground.positions())[place] == before, "it jumped"
    assert await seen(ground, tenant.tenant) == 0
    stage.note(f"stops {time.monotonic() - began:.0f} s after its start, twice")
    await ground.ask("UPDATE bus.position SET next = $1 WHERE topic = $2 AND part = $3", before + 5, *place)
    stage.row.faults = 1
    stage.back(await ground.drained())  # an operator has decided: what is gone is gone, the rest is applied
    assert await seen(ground, tenant.tenant) == 5


async def _delete_before(ground: Ground, part: int, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=ground.broker.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(facts.USAGE_TOPIC, part): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def storm(stage: Stage) -> None:
    """Consumers join and leave every three seconds: partitions wander, positions never go back."""
    ground, guests = stage.ground, stage.count(8, 2)
    ground.service("scoring-2", "scoring")
    watch = asyncio.create_task(_never_back(ground))
    try:
        async with stage.load() as run:
            for turn in range(guests):
                guest = ground.services["scoring-2"]
                guest.start()
                await asyncio.to_thread(ground.wait_ready, "scoring-2")
                await asyncio.sleep(3)
                code, _ = await asyncio.to_thread(guest.end) if turn % 2 else (0, guest.kill())
                assert code == 0, f"a consumer that was asked to leave ended with {code}"
                await asyncio.to_thread(guest.end)
                stage.row.faults += 2
            stage.back(await ground.progress())
        await stage.balance(run)
    finally:
        ground.services.pop("scoring-2").close()
        watch.cancel()
    if watch.done() and not watch.cancelled():
        watch.result()


async def _never_back(ground: Ground) -> None:
    last: dict[tuple[str, int], int] = {}
    while True:
        now = await ground.positions()
        back = {place for place, offset in last.items() if now[place] < offset}
        assert not back, f"positions went back: {back}"
        last = now
        await asyncio.sleep(0.1)
