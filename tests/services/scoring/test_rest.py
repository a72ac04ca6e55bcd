"""The assessment beside a fold that is behind: it rests, though no longer than the fold is behind; loops are shared."""

import asyncio
import time

import pytest

from services.scoring.assess import REST, TICK, Assessor
from services.scoring.round import YIELD_EVERY, in_turns, summed
from tests.services.scoring.harness import House


async def rested(house: House, monkeypatch: pytest.MonkeyPatch, lag: float) -> float:
    """Seconds between the first and the second round, of a round that takes 0.3 s."""
    begun: list[float] = []

    async def round_(_: Assessor) -> int:
        begun.append(time.monotonic())
        await asyncio.sleep(0.3)
        return 1

    monkeypatch.setattr(Assessor, "round", round_)
    work = asyncio.create_task(Assessor(house.database, house.clock, house.tenants, lag=lambda: lag).run())
    while len(begun) < 2:  # noqa: ASYNC110 two rounds, whenever they come
        await asyncio.sleep(0.01)
    work.cancel()
    return begun[1] - begun[0]


async def test_rounds_follow_at_once_unless_the_fold_is_behind(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    at_rest = await rested(house, monkeypatch, 0)
    behind = await rested(house, monkeypatch, 60)
    a_little = await rested(house, monkeypatch, 0.5)
    assert behind >= 0.3 * (1 + REST)
    assert at_rest < a_little < behind
    assert a_little >= 0.3 + 0.5
    assert at_rest < 0.3 + 2 * TICK + 0.3  # the box may be busy


async def test_others_get_turns_while_many_are_judged() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    done = await in_turns(dict.fromkeys(range(5 * YIELD_EVERY), 1), lambda key, one: key + one)
    other.cancel()
    assert done == {key: key + 1 for key in range(5 * YIELD_EVERY)}
    assert turns >= 5


def test_counts_of_all_accounts_are_summed_by_place_and_shard() -> None:
    one, other = (1, 0, -2), (0, 5, 0)
    totals = summed(
        {8: {("d", "k", ""): one, ("d", "l", ""): one}, 16: {("d", "k", ""): other}, 9: {("d", "k", ""): one}}
    )
    assert totals == {
        ("d", "k", "", 0): [1, 5, -2], ("d", "l", "", 0): [1, 0, -2], ("d", "k", "", 1): [1, 0, -2],
    }  # fmt: skip
