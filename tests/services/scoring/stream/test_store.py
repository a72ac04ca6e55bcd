"""The stream on a real PostgreSQL: numbers in the order of commits, drift told once, a day kept."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from services.scoring.stream import store
from shared.postgres import Database, tenant_transaction
from tests.services.scoring.builders import TODAY, at

NOW = at(TODAY)


def row(score: float | None, band: str = "yellow", covered: bool | None = None, name: str = "a") -> dict[str, Any]:
    told = {"score": score, "band": band, "effective_band": band, "covered": covered}
    return told | {"account_id": name, "csm_id": f"csm of {name}"}


async def tell(db: Database, tenant: int, old: Mapping[int, Any], new: Mapping[int, Any], when: Any = NOW) -> None:
    async with tenant_transaction(db.worker, tenant) as conn:
        await store.write(conn, tenant, old, new, when)


async def kept(db: Database, tenant: int, after: int = 0) -> list[store.Told]:
    async with tenant_transaction(db.app, tenant) as conn:
        return await store.page(conn, tenant, after)


async def bodies(db: Database, tenant: int) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in await kept(db, tenant)]


async def test_a_round_tells_health_and_coverage_of_each_account_once(db: Database) -> None:
    await tell(db, 1, {}, {1: row(50.0, covered=True), 2: row(None, "unknown", name="b")})
    found = await kept(db, 1)
    assert [(one.kind, one.csm_id, json.loads(one.body)["account_id"]) for one in found] == [
        ("health", "csm of a", "a"),
        ("health", "csm of b", "b"),
        ("coverage", "csm of a", "a"),
    ]
    assert [one.seq - found[0].seq for one in found] == [0, 1, 2]


async def test_small_moves_add_up_until_a_point_and_are_told_from_where_they_began(db: Database) -> None:
    scores = [50.0, 50.6, 51.2, 51.9, 51.3, 50.3]
    for before, after in zip([None, *scores], scores, strict=False):
        await tell(db, 2, {1: row(before)} if before else {}, {1: row(after)})
    told = [(one["was_score"], one["score"]) for one in await bodies(db, 2)]
    assert told == [(None, 50.0), (50.0, 51.2)]
    await tell(db, 2, {1: row(50.3)}, {1: row(50.2)})
    assert (await bodies(db, 2))[-1]["was_score"] == 51.2


async def test_nothing_to_tell_touches_no_row(db: Database) -> None:
    await tell(db, 3, {}, {1: row(50.0, covered=True)})
    before = await kept(db, 3)
    await tell(db, 3, {1: row(50.0, covered=True)}, {1: row(50.0, covered=True)})
    await tell(db, 3, {1: row(50.0, covered=True)}, {1: row(50.9, covered=True)})
    assert await kept(db, 3) == before


async def test_what_is_rolled_back_was_never_told(db: Database) -> None:
    await tell(db, 4, {}, {1: row(50.0)})
    with pytest.raises(RuntimeError):
        await _fail(db)
    await tell(db, 4, {1: row(50.0)}, {1: row(52.0)})
    assert [(one["was_score"], one["score"]) for one in await bodies(db, 4)] == [(None, 50.0), (50.0, 52.0)]


async def _fail(db: Database) -> None:
    async with tenant_transaction(db.worker, 4) as conn:
        await store.write(conn, 4, {1: row(50.0)}, {1: row(30.0, "red")}, NOW)
        raise RuntimeError


async def test_numbers_follow_the_order_of_commits_while_many_append(db: Database) -> None:
    """Whoever reads on from the greatest number that it saw misses nothing, at any moment."""
    seen: list[int] = []
    done = asyncio.Event()

    async def append(account: int) -> None:
        for score in range(10, 60, 2):
            async with tenant_transaction(db.worker, 5) as conn:
                await store.write(conn, 5, {}, {account: row(float(score))}, NOW)
                await asyncio.sleep(0.001 * (account % 3))

    async def read() -> None:
        while not done.is_set() or await kept(db, 5, seen[-1] if seen else 0):
            seen.extend(one.seq for one in await kept(db, 5, seen[-1] if seen else 0))
            await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    await asyncio.gather(*(append(account) for account in range(6)))
    done.set()
    await reader
    async with tenant_transaction(db.app, 5) as conn:
        every = [one[0] for one in await conn.fetch("SELECT seq FROM stream WHERE tenant = 5 ORDER BY seq")]
    assert len(every) == 150
    assert seen == every


async def test_a_number_is_given_out_once_even_if_a_crash_takes_a_round_back(db: Database) -> None:
    await tell(db, 6, {}, {1: row(50.0)})
    [before] = await kept(db, 6)
    async with tenant_transaction(db.worker, 6) as conn:  # what a crash may do to a commit that did not wait
        for table in ("stream", "stream_told", "stream_head"):
            await conn.execute(f"DELETE FROM {table} WHERE tenant = 6")
    await tell(db, 6, {}, {1: row(50.0)})
    [again] = await kept(db, 6)
    assert again.seq > before.seq
    async with tenant_transaction(db.app, 6) as conn:
        assert (await store.span(conn, 6)).floor > before.seq


async def test_what_is_older_than_a_day_goes_and_the_floor_says_so(db: Database) -> None:
    for hours, score in ((30, 10.0), (25, 20.0), (1, 30.0)):
        await tell(db, 7, {}, {1: row(score)}, NOW - timedelta(hours=hours))
    first, second, third = await kept(db, 7)
    async with tenant_transaction(db.worker, 7) as conn:
        assert await store.forget(conn, 7, NOW - timedelta(hours=24)) == 2
        assert await store.forget(conn, 7, NOW - timedelta(hours=24)) == 0
        assert await store.span(conn, 7) == (third.seq, second.seq)
    assert await kept(db, 7) == [third]
    assert first.seq < second.seq


async def test_a_tenants_stream_is_its_own(db: Database) -> None:
    await tell(db, 8, {}, {1: row(50.0)})
    async with tenant_transaction(db.app, 9) as conn:
        assert (await store.page(conn, 8, 0), await store.heads(conn, [8]), await store.span(conn, 8)) == (
            [],
            {},
            (0, 0),
        )
