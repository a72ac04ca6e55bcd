"""Listeners of one process: one look at the heads serves them all, and what is new is read once for each tenant."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog

from services.scoring.stream import store
from services.scoring.stream.store import PAGE, Told
from shared.errors import TooMany, Unavailable
from shared.metrics import STREAMS_OPEN
from shared.postgres import Database, tenant_transaction

EVERY: Final = 0.2  # seconds between two looks
RECENT: Final = 2_000  # events of a tenant held for listeners in step; who lags reads the table
_log = structlog.get_logger("genki.stream")


class Channel:
    """The newest events of a tenant that somebody listens to: complete after `since`, up to `head`."""

    def __init__(self, head: int) -> None:
        self.listeners = 0
        self.since = self.head = head
        self._recent: deque[Told] = deque(maxlen=RECENT)
        self._news = asyncio.Event()

    def add(self, rows: Sequence[Told]) -> None:
        """The next events; whoever waits is woken."""
        for row in rows:
            if len(self._recent) == RECENT:
                self.since = self._recent[0].seq
            self._recent.append(row)
            self.head = row.seq
        self.wake()

    def after(self, seq: int) -> list[Told] | None:
        """The next events after a number, at most a page; None when some of them are no longer held."""
        if seq < self.since:
            return None
        found: list[Told] = []
        for row in reversed(self._recent):
            if row.seq <= seq:
                break
            found.append(row)
        return found[::-1][:PAGE]

    def wake(self) -> None:
        """Everyone who waits looks again."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, seconds: float) -> None:
        """Returns when something was added, or after this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return


class Hub:
    """Looks while anybody listens, in a task of its own that ends after the last listener."""

    def __init__(self, database: Database, per_tenant: int) -> None:
        """`per_tenant`: the most listeners of one tenant in this process."""
        self._database, self._per_tenant = database, per_tenant
        self._channels: dict[int, Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    @contextmanager
    def listening(self, tenant: int, head: int) -> Iterator[Channel]:
        """A listener's place; `head`: the number up to which it knows the table. Raises TooMany."""
        channel = self._channels.get(tenant) or self._channels.setdefault(tenant, Channel(head))
        if channel.listeners >= self._per_tenant:
            raise TooMany("Too many open streams of this tenant.", retry_after=15, code="too_many_streams")
        channel.listeners += 1
        STREAMS_OPEN.inc()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="stream")
        try:
            yield channel
        finally:
            STREAMS_OPEN.dec()
            channel.listeners -= 1
            if not channel.listeners:
                del self._channels[tenant]

    def close(self) -> None:
        """Every stream ends now: the process is asked to."""
        self.closed = True
        for channel in self._channels.values():
            channel.wake()

    async def _run(self) -> None:
        while self._channels:
            try:
                while await self._look():
                    pass
            except Unavailable as problem:
                _log.warning("stream_waits", reason=str(problem))
            except Exception as problem:  # noqa: BLE001 those who listen must not be left with a task that has ended
                _log.error("stream_failed", exc_info=problem)
            await asyncio.sleep(EVERY)
        self._task = None  # no wait since the last look at who listens: the next listener starts another

    async def _look(self) -> bool:
        """Reads what is new; whether there may be more of it."""
        channels, more = dict(self._channels), False
        async with tenant_transaction(self._database.app, *channels) as conn:
            heads = await store.heads(conn, channels)
            for tenant, channel in channels.items():
                if heads.get(tenant, 0) > channel.head:
                    rows = await store.page(conn, tenant, channel.head)
                    channel.add(rows)
                    more |= len(rows) == PAGE
        return more
