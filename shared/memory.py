"""A memory of look-ups by id: answers, also the vain ones, are believed for a while and asked for once at a time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")


class Memory(Generic[Found]):
    """Asks `ask` for an id at most once in `seconds`; holds at most `most` answers of each sort, found and vain."""

    def __init__(self, ask: Callable[[str], Awaitable[Found | None]], seconds: float, most: int) -> None:
        self._ask, self._seconds, self._most = ask, seconds, most
        self.found: OrderedDict[str, tuple[float, Found | None]] = OrderedDict()
        self.nobody: OrderedDict[str, tuple[float, Found | None]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Found | None]] = {}

    async def get(self, name: str) -> Found | None:
        """What the look-up says or said. Raises what it raises; a failure is not remembered."""
        now = time.monotonic()
        for cache in (self.found, self.nobody):
            held = cache.get(name)
            if held is not None and held[0] > now:
                return held[1]
        task = self._asking.get(name)
        if task is None:
            task = asyncio.ensure_future(self._look_up(name, now + self._seconds))
            self._asking[name] = task
        return await asyncio.shield(task)  # one asker's disconnect must not fail the others

    def known(self, name: str) -> Found | None:
        """What was found and is still believed; nobody is asked."""
        held = self.found.get(name)
        return held[1] if held is not None and held[0] > time.monotonic() else None

    def forget(self, name: str) -> None:
        """Drops what is remembered of an id: it changed in this process."""
        self.found.pop(name, None)
        self.nobody.pop(name, None)
        self._asking.pop(name, None)

    async def _look_up(self, name: str, until: float) -> Found | None:
        me = asyncio.current_task()
        try:
            answer = await self._ask(name)
            if self._asking.get(name) is me:  # else forgotten meanwhile: this answer may be too old
                self._remember(name, until, answer)
            return answer
        finally:
            if self._asking.get(name) is me:
                del self._asking[name]

    def _remember(self, name: str, until: float, answer: Found | None) -> None:
        self.found.pop(name, None)
        self.nobody.pop(name, None)
        cache = self.nobody if answer is None else self.found  # strangers must not push out holders
        cache[name] = (until, answer)
        if len(cache) > self._most:
            cache.popitem(last=False)
