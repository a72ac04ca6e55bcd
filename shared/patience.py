"""Waiting with an end, cheaply: one timer for all who wait, where `asyncio.timeout` sets one for each.

On a door that is asked ten thousand times a second two timers a request would cost more than the request's own work.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Any, TypeVar

Found = TypeVar("Found")


class Patience:
    """Ends waits that last too long. The timer runs only while somebody waits, and looks when the first is due."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks = 0.0

    async def wait(self, awaited: Awaitable[Found], seconds: float) -> Found:
        """What `awaited` gives. Raises TimeoutError after `seconds`. A task waits for one thing at a time."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        due = loop.time() + seconds
        self._waiting[task] = due
        if self._timer is None or due < self._looks or self._loop is not loop:
            self._set(loop, due)
        try:
            return await awaited
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._waiting.pop(task, None)
            self._late.discard(task)

    def _set(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop, self._looks = loop, due
        self._timer = loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        assert self._loop is not None
        now = self._loop.time()
        for task, due in list(self._waiting.items()):
            if due <= now and task not in self._late:
                self._late.add(task)
                task.cancel()
        left = [due for task, due in self._waiting.items() if task not in self._late]
        if left:
            self._set(self._loop, min(left))


class Deadlines:
    """Ends futures that are not done in time, with TimeoutError: cheaper still, where all wait equally long."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long each may take."""
        self._seconds = seconds
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Watches a future of this loop from now on."""
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        due = loop.time() + self._seconds
        self._waiting.append((due, future))
        if self._timer is None:
            self._timer = loop.call_at(due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._waiting and (self._waiting[0][0] <= now or self._waiting[0][1].done()):
            future = self._waiting.popleft()[1]
            if not future.done():
                future.set_exception(TimeoutError())
        self._timer = loop.call_at(self._waiting[0][0], self._look, loop) if self._waiting else None
