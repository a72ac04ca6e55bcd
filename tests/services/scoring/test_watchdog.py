"""A consumer that stands still while facts wait ends its process; one that has a reason, or nothing to do, does not."""

import asyncio
import time
from collections.abc import Iterable

import pytest

from services.scoring.watchdog import NoProgress, Watchdog
from shared.bus import BusUnavailable, Place
from shared.facts import CONSUMED_TOPICS, USAGE_TOPIC

HERE, THERE = (USAGE_TOPIC, 0), (USAGE_TOPIC, 1)


class Log:
    """A log whose ends are told, or that is away; not the port's other half."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        assert tuple(topics) == CONSUMED_TOPICS
        self.asked += 1
        if self.away:
            raise BusUnavailable
        return {HERE: 9, THERE: 9}


async def stored(places: Iterable[Place]) -> dict[Place, int]:
    return dict.fromkeys(places, 5)


def watchdog(mine: Iterable[Place] = (HERE,), log: Log | None = None) -> Watchdog:
    return Watchdog(log or Log(), stored, lambda: mine, CONSUMED_TOPICS, patience=40)  # pyright: ignore[reportArgumentType]


def test_lag_without_progress_is_borne_for_the_patience_and_no_longer() -> None:
    dog = watchdog()
    for now in (0, 20, 40):
        dog.look({HERE: 9}, {HERE: 5}, now)
    with pytest.raises(NoProgress, match="1 partitions wait and none moved for 41 s"):
        dog.look({HERE: 9}, {HERE: 5}, 41)


def test_every_step_forward_begins_the_patience_anew_however_far_the_end() -> None:
    dog = watchdog()
    for step in range(10):
        dog.look({HERE: 1000}, {HERE: step}, step * 39)


def test_without_lag_nothing_is_expected_and_the_count_begins_with_the_first_fact_that_waits() -> None:
    dog = watchdog()
    for now in (0, 500):
        dog.look({HERE: 5}, {HERE: 5}, now)
    dog.look({HERE: 6}, {HERE: 5}, 505)
    with pytest.raises(NoProgress):
        dog.look({HERE: 6}, {HERE: 5}, 541)


def test_what_another_process_applies_is_no_progress_of_this_one() -> None:
    dog = watchdog()
    dog.look({HERE: 9, THERE: 9}, {HERE: 5, THERE: 5}, 0)
    with pytest.raises(NoProgress):
        dog.look({HERE: 9, THERE: 9}, {HERE: 5, THERE: 8}, 41)


def test_who_reads_no_partition_looks_at_all_of_them_and_a_new_assignment_begins_anew() -> None:
    dog, mine = Watchdog(Log(), stored, lambda: mine, CONSUMED_TOPICS, patience=40), set[Place]()  # pyright: ignore[reportArgumentType]
    dog.look({HERE: 9, THERE: 9}, {HERE: 5, THERE: 5}, 0)
    mine.add(THERE)
    dog.look({HERE: 9, THERE: 9}, {HERE: 5, THERE: 5}, 41)
    mine.clear()
    dog.look({HERE: 9, THERE: 9}, {HERE: 5, THERE: 5}, 50)
    with pytest.raises(NoProgress, match="2 partitions"):
        dog.look({HERE: 9, THERE: 9}, {HERE: 5, THERE: 5}, 91)


async def test_it_ends_by_raising_and_a_log_that_is_away_is_a_reason_to_wait() -> None:
    log = Log()
    dog = Watchdog(log, stored, lambda: [HERE], CONSUMED_TOPICS, patience=0.05)  # pyright: ignore[reportArgumentType]
    log.away = True
    running = asyncio.create_task(dog.run(every=0.01))
    await asyncio.sleep(0.2)
    assert not running.done()
    assert log.asked > 3
    log.away = False
    with pytest.raises(NoProgress):
        await asyncio.wait_for(running, 2)


async def test_time_in_which_the_process_itself_was_held_still_does_not_count() -> None:
    dog = Watchdog(Log(), stored, lambda: [HERE], CONSUMED_TOPICS, patience=0.6)  # pyright: ignore[reportArgumentType]
    running = asyncio.create_task(dog.run(every=0.1))
    await asyncio.sleep(0.3)
    time.sleep(1.2)  # noqa: ASYNC251 nothing of it runs
    await asyncio.sleep(0.3)
    assert not running.done()
    with pytest.raises(NoProgress):
        await asyncio.wait_for(running, 20)
