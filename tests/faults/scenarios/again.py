"""The same fact again: soon, late, after a restart, within one request, with another body, from another tenant."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import cramjam
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.faults.ground import Ground
from tests.faults.scenarios.words import ago, conflicts, deliver, events, seen, used
from tests.faults.stage import Stage
from tests.services.scoring.dump import dump

COUNT: Final = 60
LOG_APPEND_TIME: Final = 1


async def duplicates(stage: Stage) -> None:
    """Each is applied once; of two bodies the first stays and the other is listed."""
    ground, tenant = stage.ground, await stage.ground.tenant("Again")
    told = used(COUNT)
    other = [{**one, "event": "something else"} for one in told[:7]]
    async with stage.client(tenant) as door:
        await deliver(door, [*told, *told[:20]])
        await asyncio.sleep(1)
        await deliver(door, told)
        await deliver(door, other)
        await asyncio.to_thread(ground.services["scoring"].end)
        await deliver(door, told)
        await asyncio.to_thread(ground.start, "scoring")
        await deliver(door, told)
    await _moved_on(ground, "25h")
    async with stage.client(tenant) as door:
        await deliver(door, told)
        await deliver(door, other)
    await ground.drained()
    assert (await seen(ground, tenant.tenant), await events(ground, tenant.tenant)) == (COUNT, COUNT)
    assert sorted(await conflicts(ground, tenant.tenant)) == sorted(2 * [one["id"] for one in other])
    kept = await ground.ask(
        "SELECT DISTINCT event FROM scoring_state.usage JOIN scoring.feature_key USING (tenant, feature) "
        "WHERE tenant = $1", tenant.tenant,
    )  # fmt: skip
    assert [row["event"] for row in kept] == ["report"], "the first body was not kept"
    stage.row.acked, stage.row.applied, stage.row.duplicate = COUNT, COUNT, 20 + 4 * COUNT + 2 * len(other)
    stage.note("after 1 s, in one request, while scoring is down, after its restart, after 25 h")


async def _moved_on(ground: Ground, offset: str) -> None:
    for name in ("scoring", "ingest", "nps", "gateway"):
        await asyncio.to_thread(ground.as_told, name, "--clock-offset", offset)
    await asyncio.to_thread(ground.wait_ready)


async def two_tenants(stage: Stage) -> None:
    """The same ids from two tenants at once are facts of each, and end in the same state."""
    ground = stage.ground
    one, two = await ground.tenant("One"), await ground.tenant("Two")
    told = [*used(COUNT), {"type": "account", "id": "a", "at": ago(days=9), "account_id": "acme", "acv": "1000"}]
    async with stage.client(one) as first, stage.client(two) as second:
        await asyncio.gather(deliver(first, told), deliver(second, told))
    await ground.drained()
    assert [await seen(ground, tenant.tenant) for tenant in (one, two)] == [COUNT + 1, COUNT + 1]
    assert await _state(ground, one.tenant) == await _state(ground, two.tenant)
    stage.row.acked = stage.row.applied = 2 * (COUNT + 1)


async def _state(ground: Ground, tenant: int) -> dict[str, list[tuple[Any, ...]]]:
    owner = await asyncpg.connect(ground.settings.url)
    try:
        return await dump(owner, tenant)
    finally:
        await owner.close()


async def topic_again(stage: Stage) -> None:
    """The whole topic read again over the live database: everything is known, nothing changes."""
    ground, tenant = stage.ground, await stage.ground.tenant("Twice")
    async with stage.client(tenant) as door:
        await deliver(door, used(COUNT))
        await deliver(door, [{"type": "contact", "id": "c", "at": ago(days=1), "account_id": "acme",
                              "channel": "phone", "outcome": "reached"}])  # fmt: skip
    await ground.drained()
    before = await _state(ground, tenant.tenant)
    last = (await ground.ask("SELECT max(seq) AS seq FROM scoring.archive"))[0]["seq"]
    await asyncio.to_thread(ground.services["scoring"].end)
    read = sum((await ground.positions()).values())
    await ground.ask("UPDATE bus.position SET next = 0 WHERE consumer = 'scoring'")
    await asyncio.to_thread(ground.start, "scoring")
    stage.back(await ground.drained(), 60)
    assert await _state(ground, tenant.tenant) == before
    more = await ground.ask("SELECT topic, part, first_offset, body FROM scoring.archive WHERE seq > $1", last)
    assert not more, f"applied again: {[(*row[:3], bytes(cramjam.zstd.decompress(row['body']))[:400]) for row in more]}"
    stage.row.applied, stage.row.duplicate = 0, read
    stage.note(f"{read} records read again")


async def times(stage: Stage) -> None:
    """Late is taken, future is refused or clamped, a wrong `sentAt` is put right; the log keeps the server's time."""
    ground, tenant = stage.ground, await stage.ground.tenant("Times")
    lates = {"1h": timedelta(hours=1), "3d": timedelta(days=3), "2y": timedelta(days=730)}
    items = [{**used(1, name)[0], "at": (datetime.now(UTC) - late).isoformat()} for name, late in lates.items()]
    ahead = {"4min": (4, None), "6min": (6, "in_future"), "1y": (525_600, "in_future")}
    items += [{**used(1, name)[0], "at": ago(minutes=-minutes)} for name, (minutes, _) in ahead.items()]
    items.append({"type": "contact", "id": "soon", "at": ago(minutes=-4), "account_id": "acme", "channel": "phone",
                  "outcome": "reached"})  # fmt: skip
    async with stage.client(tenant) as door:
        results = (await door.post("/v1/events", json=items)).json()["results"]
        await _track(door, minutes_wrong=120)
    assert [one.get("code") for one in results] == [None, None, None, None, "in_future", "in_future", None]
    await ground.drained()
    await _judged(stage, tenant, lates)
    await _stamped_by_the_broker(ground)


async def _track(door: Any, minutes_wrong: int) -> None:
    """A client whose clock is wrong, and one that sends from the future."""
    off = timedelta(minutes=minutes_wrong)
    now = datetime.now(UTC)
    calls = [
        {"type": "track", "messageId": "wrong", "userId": "w", "event": "wrong clock",
         "originalTimestamp": (now + off - timedelta(hours=1)).isoformat(), "sentAt": (now + off).isoformat()},
        {"type": "track", "messageId": "future", "userId": "f", "event": "future",
         "timestamp": (now + timedelta(days=365)).isoformat()},
    ]  # fmt: skip
    answer = await door.post("/v1/batch", json={"batch": calls})
    assert answer.json() == {"success": True, "accepted": 2, "rejected": []}, answer.text


async def _judged(stage: Stage, tenant: Any, lates: dict[str, timedelta]) -> None:
    rows = await stage.ground.ask(
        "SELECT event, min(last_at) AS first, max(last_at) AS last FROM scoring_state.usage "
        "JOIN scoring.feature_key USING (tenant, feature) WHERE tenant = $1 GROUP BY event", tenant.tenant,
    )  # fmt: skip
    now = datetime.now(UTC)
    found = {row["event"]: (now - row["first"], now - row["last"]) for row in rows}
    assert abs(found["report"][0] - max(lates.values())) < timedelta(minutes=5), "the latest of all was not taken"
    assert timedelta(minutes=-4) <= found["report"][1] <= timedelta(minutes=1)
    wrong, future = found["wrong clock"][0], found["future"][0]
    assert abs(wrong - timedelta(hours=1)) < timedelta(seconds=10), f"put right to {wrong}"
    assert timedelta(0) <= future < timedelta(minutes=5), f"clamped to {future}"
    async with stage.client(tenant, "admin") as asker:
        account = (await asker.get("/v1/accounts/acme")).json()
    assert account["last_contact_at"] is None, "a contact of the future counts already"
    stage.row.acked = stage.row.applied = await seen(stage.ground, tenant.tenant)


async def _stamped_by_the_broker(ground: Ground) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=ground.broker.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        ends = {TopicPartition(*place): end for place, end in (await ground.ends()).items() if end}
        consumer.assign(list(ends))
        for place, end in ends.items():
            consumer.seek(place, end - 1)
        found = [one for some in (await consumer.getmany(timeout_ms=3000)).values() for one in some]
    finally:
        await consumer.stop()
    assert found
    now = datetime.now(UTC).timestamp() * 1000
    assert all(one.timestamp_type == LOG_APPEND_TIME and one.timestamp <= now for one in found)
