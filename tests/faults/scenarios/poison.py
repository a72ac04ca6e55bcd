"""Bytes that no table can hold, at the door and straight on the log; and dead letters that cannot be delivered."""

import asyncio
import time
from typing import Any, Final

import msgspec

from shared.facts import DEAD_TOPIC, USAGE_TOPIC
from tests.faults.scenarios.words import ago, deliver, events, line, set_topic, used
from tests.faults.stage import Stage

PART: Final = 3
DEEP: Final = 10_000
_ITEM: Final = '{"type":"usage","id":"%s","at":"%s","person_id":"p","event":%s,"count":%s}'
# What is sent, by name: event, count, instant (None: five minutes ago), and the code of the refusal.
DOOR: Final[dict[str, tuple[str, str, str | None, str]]] = {
    "NUL": ('"a\\u0000b"', "1", None, "invalid_event"),
    "lone surrogate": ('"a\\ud800"', "1", None, "invalid_event"),
    "NaN": ('"e"', "NaN", None, "not_json"),
    "1e999": ('"e"', "1e999", None, "invalid_count"),
    "2^63": ('"e"', str(2**63), None, "invalid_count"),
    "year 9999": ('"e"', "1", "9999-12-31T23:59:59Z", "in_future"),
    "year 10000": ('"e"', "1", "10000-01-01T00:00:00Z", "invalid_at"),
    "10,000 deep": ("[" * DEEP + "]" * DEEP, "1", None, "too_deep"),
}
# The same on the log: what replaces what in a sound line.
LOG: Final[dict[str, tuple[bytes, bytes]]] = {
    "NUL": (b'"report"', b'"a\\u0000b"'),
    "lone surrogate": (b'"report"', b'"a\\ud800"'),
    "NaN": (b'"count":2', b'"count":NaN'),
    "1e999": (b'"count":2', b'"count":1e999'),
    "2^63": (b'"count":2', b'"count":9223372036854775808'),
    "year 10000": (b'"count":2', b'"count":2,"at":253402300800000000'),
    "10,000 deep": (b'"report"', b"[" * DEEP + b"]" * DEEP),
}


async def poison(stage: Stage) -> None:
    """Refused with a reason at the door; from the log into the dead letters, and the partition moves on within 1 s."""
    tenant = await stage.ground.tenant("Poison")
    async with stage.client(tenant) as door:
        for name, (event, count, at, code) in DOOR.items():
            item = _ITEM % (name, at or ago(minutes=5), event, count)
            assert await _refusal(door, item.encode()) == code, name
        sixteen = (_ITEM % ("utf-16", ago(minutes=5), '"e"', "1")).encode("utf-16")
        assert (await door.post("/v1/events", content=sixteen)).status_code == 400
    await _on_the_log(stage, tenant.tenant)


async def _refusal(door: Any, item: bytes) -> str:
    answer = await door.post("/v1/events", content=b"[" + item + b"]", headers={"content-type": "application/json"})
    if answer.status_code == 200:
        [result] = answer.json()["results"]
        assert result["status"] == "rejected"
        assert result["message"]
        return result["code"]
    assert answer.status_code == 400, answer.text
    return answer.json()["code"]


async def _on_the_log(stage: Stage, tenant: int) -> None:
    ground = stage.ground
    sound = line(tenant, "poisoned", PART, count=2)
    bad = {name: sound.replace(*swap, 1) for name, swap in LOG.items()} | {"utf-16": sound.decode().encode("utf-16")}
    assert all(body != sound for body in bad.values())
    await ground.drained()
    before = len(await ground.letters())
    await ground.put(USAGE_TOPIC, PART, [*bad.values(), line(tenant, "after", PART)])
    began = time.monotonic()
    while not await events(ground, tenant):
        assert time.monotonic() - began < 30, "the partition stands still behind poison"
        await asyncio.sleep(0.02)
    took = time.monotonic() - began
    stage.within(took, 1.0, "the partition moved on")
    letters = [msgspec.json.decode(one) for one in (await ground.letters())[before:]]
    assert len(letters) == len(bad), [one["reason"] for one in letters]
    assert all(one["reason"] and (one["topic"], one["partition"]) == (USAGE_TOPIC, PART) for one in letters)
    stage.row.dead, stage.row.applied = len(letters), await events(ground, tenant)
    stage.note(f"moved on after {took:.2f} s")


async def unreachable(stage: Stage) -> None:
    """While the dead-letter topic confirms nothing, the source does not move on; afterwards nothing is missing."""
    ground, tenant = stage.ground, await stage.ground.tenant("Unreachable")
    await ground.drained()
    scoring, before = ground.service("scoring"), await ground.positions()
    log, letters = scoring.said(), len(await ground.letters())
    await set_topic(ground, DEAD_TOPIC, max_message_bytes="50")  # it takes nothing any more
    try:
        await ground.put(USAGE_TOPIC, PART, [b"poison", line(tenant.tenant, "after", PART)])
        await asyncio.sleep(14)
        stood = await ground.positions()
        assert stood[USAGE_TOPIC, PART] == before[USAGE_TOPIC, PART], "it moved on without its dead letter"
        assert scoring.told("fold_waits", log), "nothing in the log says that it waits"
    finally:
        await set_topic(ground, DEAD_TOPIC)
    stage.back(await ground.drained())
    found = (await ground.letters())[letters:]
    wanted = {"partition": PART, "offset": before[USAGE_TOPIC, PART], "raw": "poison"}
    assert found, "the letter is lost"
    assert all(wanted.items() <= msgspec.json.decode(one).items() for one in found)
    async with stage.client(tenant) as door:
        await deliver(door, used(100))
    await ground.drained()
    assert await events(ground, tenant.tenant) == 101
    stage.row.faults, stage.row.applied, stage.row.dead = 1, 101, 1
    stage.note(f"the letter arrived {len(found)} times")
