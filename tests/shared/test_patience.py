"""Waiting with an end: who waits too long is told, everybody else is left alone."""

import asyncio

import pytest

from shared.patience import Deadlines, Patience


async def test_what_comes_in_time_is_handed_on_and_what_does_not_is_a_timeout() -> None:
    patience = Patience()
    assert await patience.wait(asyncio.sleep(0.01, "here"), 5) == "here"
    with pytest.raises(TimeoutError):
        await patience.wait(asyncio.sleep(30), 0.02)
    assert asyncio.current_task().cancelling() == 0  # pyright: ignore[reportOptionalMemberAccess]


async def test_each_of_many_waits_its_own_time() -> None:
    patience, loop = Patience(), asyncio.get_running_loop()

    async def late(seconds: float) -> float:
        began = loop.time()
        with pytest.raises(TimeoutError):
            await patience.wait(asyncio.sleep(30), seconds)
        return loop.time() - began

    asked = (0.3, 0.05, 0.15, 0.05)
    took = await asyncio.gather(*map(late, asked))
    assert all(seconds <= waited < seconds + 5 for seconds, waited in zip(asked, took, strict=True))


async def test_a_task_that_is_cancelled_is_cancelled_and_not_late() -> None:
    patience = Patience()
    task = asyncio.create_task(patience.wait(asyncio.sleep(30), 20))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_failure_of_what_is_waited_for_is_handed_on() -> None:
    async def fail() -> None:
        raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        await Patience().wait(fail(), 1)


async def test_futures_that_are_not_done_in_time_are_ended_in_their_order() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines(0.05)
    early, done, late = (loop.create_future() for _ in range(3))
    ended: list[str] = []
    early.add_done_callback(lambda _: ended.append("early"))
    late.add_done_callback(lambda _: ended.append("late"))
    deadlines.add(early, loop)
    deadlines.add(done, loop)
    done.set_result("here")
    await asyncio.sleep(0.01)
    deadlines.add(late, loop)
    with pytest.raises(TimeoutError):
        await late
    with pytest.raises(TimeoutError):
        await early
    assert ended == ["early", "late"]
    assert await done == "here"
