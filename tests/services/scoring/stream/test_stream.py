"""The stream through the gateway, in the same process as scoring or before another: nothing lost, nothing twice."""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from itertools import count

import pytest

from services.scoring.stream import listener, store
from shared.postgres import tenant_transaction
from tests.services.scoring.stream.places import NOW, NUMBERS, Event, Place, take


async def test_a_change_reaches_who_listens_within_a_second_in_the_contracts_shape(place: Place) -> None:
    async with place.open(await place.key()) as (answer, events):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert answer.headers["cache-control"] == "no-store"
        began = await anext(events)
        assert began.kind == "place"
        sent = time.monotonic()
        await place.move(1, 50.0)
        [first] = await take(events, 1)
        assert time.monotonic() - sent < 1
        await place.move(1, 40.5)
        [second] = await take(events, 1)
    assert (first.kind, first.data["account_id"], first.data["was_score"]) == ("health", "a1", None)
    assert second.data == {
        "account_id": "a1", "score": 40.5, "band": "yellow", "effective_band": "yellow", "was_score": 50.0,
        "was_band": "yellow", "was_effective_band": "yellow", "at": NOW.isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    assert began.id < first.id < second.id


async def test_who_comes_back_reads_exactly_what_it_missed(place: Place) -> None:
    key = await place.key()
    async with place.open(key) as (_, events):
        await place.move(1, 50.0)
        [seen] = await take(events, 1)
    for score in (60.0, 70.0, 80.0):
        await place.move(1, score)
    async with place.open(key, seen.id) as (_, events):
        missed = await take(events, 3)
        await place.move(1, 90.0)
        [after] = await take(events, 1)
    assert [one.data["score"] for one in (*missed, after)] == [60.0, 70.0, 80.0, 90.0]
    async with place.open(key, after.id) as (_, events):
        await place.move(2, 10.0)
        assert [one.data["account_id"] for one in await take(events, 1)] == ["a2"]


async def test_a_listener_that_falls_off_again_and_again_loses_and_repeats_nothing(place: Place) -> None:
    key, wanted = await place.key(), 400
    read: list[Event] = []

    async def write() -> None:
        for number in range(wanted):
            await place.move(number % 7, 50.0 + 2 * (number % 20) + number % 3)

    async with place.open(key) as (_, events):
        last = (await anext(events)).id
    writing = asyncio.create_task(write())
    pages = (1, 3, 10, 50, 120)
    for turn in count():
        async with place.open(key, read[-1].id if read else last) as (_, events):
            quiet = writing.done()
            with suppress(TimeoutError):
                await take(events, pages[turn % len(pages)], 0.7, read)
                continue
            if quiet:
                break
    await writing
    async with tenant_transaction(place.db.app, place.tenant) as conn:
        rows = await conn.fetch("SELECT seq, body FROM stream WHERE tenant = $1 ORDER BY seq", place.tenant)
    assert len(rows) > 300
    assert [one.id for one in read] == [row["seq"] for row in rows]


async def test_who_was_away_for_longer_than_a_day_is_told_to_read_the_lists_again(place: Place) -> None:
    key = await place.key()
    await place.move(1, 50.0, NOW - timedelta(hours=30))
    async with place.open(key) as (_, events):
        old = (await anext(events)).id
    await place.move(1, 60.0, NOW - timedelta(hours=25))
    await place.move(1, 70.0)
    async with tenant_transaction(place.db.worker, place.tenant) as conn:
        assert await store.forget(conn, place.tenant, NOW - timedelta(hours=24)) == 2
    async with place.open(key, old) as (_, events):
        [reset] = await take(events, 1)
        await place.move(1, 80.0)
        [after] = await take(events, 1)
    assert (reset.kind, reset.data) == ("reset", {"from": reset.id})
    assert (after.kind, after.data["score"]) == ("health", 80.0)


@pytest.mark.parametrize("last", ["nonsense", "-1", "1", str(2**60), "9" * 30, "１２"])
async def test_an_id_that_is_none_of_this_stream_is_answered_by_a_reset(place: Place, last: str) -> None:
    await place.move(1, 50.0)
    async with place.open(await place.key(), last.encode() if not last.isascii() else last) as (answer, events):  # type: ignore[arg-type]
        assert answer.status_code == 200
        assert [one.kind for one in await take(events, 1)] == ["reset"]


async def test_no_tenant_hears_of_another(place: Place) -> None:
    other = await place.owner.fetchval(
        "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, 'UTC', 'JPY')"
        " RETURNING tenant",
        f"t_stream{next(NUMBERS)}",
    )
    assert other is not None
    theirs = Place(place.db, place.owner, place.scoring, place.gateway, place.url, other)
    async with place.open(await place.key()) as (_, ours), theirs.open(await theirs.key()) as (_, events):
        await anext(ours)
        await theirs.move(1, 20.0)
        await place.move(5, 50.0)
        assert [one.data["score"] for one in await take(ours, 1)] == [50.0]
        assert [one.data["score"] for one in await take(events, 1)] == [20.0]
        await place.move(5, 60.0)
        assert [one.data["account_id"] for one in await take(ours, 1)] == ["a5"]


async def test_a_csm_may_ask_for_its_own_accounts(place: Place) -> None:
    key = await place.key("api", "csm", "csm-1")
    async with (
        place.open(key, query="?csm=me") as (_, mine),
        place.open(key, query="?csm=csm-0&csm=csm-1") as (_, all_),
    ):
        await anext(mine)
        await anext(all_)
        for account in (2, 3, 4, 5):
            await place.move(account, 50.0)
        assert [one.data["account_id"] for one in await take(mine, 2)] == ["a3", "a5"]
        assert [one.data["account_id"] for one in await take(all_, 4)] == ["a2", "a3", "a4", "a5"]


async def test_silence_is_broken_by_a_beat_that_moves_the_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "BEAT", 0.3)
    monkeypatch.setattr(listener, "LOOK", 0.1)
    async with place.open(await place.key(), query="?csm=nobody") as (_, events):
        begun = await anext(events)
        await place.move(1, 50.0)
        async with asyncio.timeout(5):
            while (beat := await anext(events)).id == begun.id:
                assert beat.kind == "place"
    assert beat.kind == "place"
    async with place.open(await place.key(), beat.id) as (_, events):
        await place.move(2, 50.0)
        assert [one.data["account_id"] for one in await take(events, 1)] == ["a2"]


async def test_who_listened_before_anything_was_ever_told_can_come_back_too(place: Place) -> None:
    key = await place.key()
    async with place.open(key) as (_, events):
        began = await anext(events)
    await place.move(1, 50.0)
    async with place.open(key, began.id) as (_, events):
        assert [(one.kind, one.data["score"]) for one in await take(events, 1)] == [("health", 50.0)]
