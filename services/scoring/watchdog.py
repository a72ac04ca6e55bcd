"""Ends the process when facts wait and none is applied: a consumer that died in silence is started again."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog

from shared.bus import Bus, BusUnavailable, Place, Positions
from shared.errors import Unavailable

EVERY: Final = 5.0  # seconds between looks
PATIENCE: Final = 40.0  # seconds of lag without progress: longer than any batch, and a new start fits into a minute
log = structlog.get_logger()


class NoProgress(Exception):
    """Facts wait in the log and none has been applied for a while, though log and database answer: start me again."""


class Watchdog:
    """Compares the log's ends with the stored positions of the partitions this process reads; if it reads none, of all.

    While log or database do not answer there is a reason to stand still, and the count begins anew; so it does after
    the process itself was held still, which is as good as a start.
    """

    def __init__(
        self,
        bus: Bus,
        positions: Positions,
        assignment: Callable[[], Iterable[Place]],
        topics: Iterable[str],
        patience: float = PATIENCE,
    ) -> None:
        """`assignment`: the partitions of this process; `patience` in seconds."""
        self._bus, self._positions, self._assignment = bus, positions, assignment
        self._topics, self._patience = tuple(topics), patience
        self._seen: dict[Place, int] = {}
        self._since = 0.0

    async def run(self, every: float = EVERY) -> None:
        """Until cancelled. Raises NoProgress."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + every
            await asyncio.sleep(every)
            if clock() > due + every:
                self._seen = {}
            try:
                ends = await self._bus.ends(self._topics)
                stored = await self._positions(ends)
            except (Unavailable, BusUnavailable):
                self._seen = {}
                continue
            self.look(ends, stored, clock())

    def look(self, ends: Mapping[Place, int], stored: Mapping[Place, int], now: float) -> None:
        """One look at `now` seconds. Raises NoProgress when something waited and nothing moved the whole patience long.
        What other processes apply is no progress of this one."""
        watched = (set(self._assignment()) or set(ends)) & ends.keys()
        seen = {place: stored[place] for place in watched}
        waiting = sum(ends[place] > position for place, position in seen.items())
        if not waiting or seen != self._seen:
            self._seen, self._since = seen, now
        elif now - self._since > self._patience:
            log.error("no_progress", partitions=waiting, seconds=round(now - self._since))
            raise NoProgress(f"{waiting} partitions wait and none moved for {now - self._since:.0f} s")
