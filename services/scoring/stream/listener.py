"""One open stream: where its reader is, what is sent next, and when it ends."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from time import monotonic
from typing import Final

from services.scoring.stream import store
from services.scoring.stream.hub import Channel, Hub
from services.scoring.stream.store import Span, Told
from shared.errors import Unauthorized, Unavailable
from shared.postgres import Database, tenant_transaction

BEAT: Final = 15.0  # seconds without a word
LOOK: Final = 1.0  # seconds between two looks at the key: a revoked one ends its streams within 5 s
RETRY: Final = 2_000  # ms until a client that lost its stream asks again
Allowed = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Listener:
    """Sends a tenant's events after `seq`, of accounts of the CSMs `owners` (None: of all). A reader that is slow is
    waited for: it holds one page and its place, and reads on from the table, or is reset when a day has passed."""

    database: Database
    hub: Hub
    channel: Channel
    tenant: int
    seq: int
    owners: Collection[str] | None
    allowed: Allowed

    async def events(self, *, reset: bool) -> AsyncIterator[bytes]:
        """The parts of the body until the key is refused or the process ends."""
        yield opening(self.seq, reset=reset)
        spoke = monotonic()
        while await self._goes_on():
            before, text = self.seq, await self._next()
            if text is None and monotonic() - spoke >= BEAT:
                text = beat(self.seq)
            if text is not None:
                yield text
                spoke = monotonic()
            elif self.seq == before:
                await self.channel.news(LOOK)

    async def _goes_on(self) -> bool:
        if self.hub.closed:
            return False
        try:
            await self.allowed()
        except Unauthorized:
            return False
        except Unavailable:
            return True  # nothing can be read now either
        return True

    async def _next(self) -> bytes | None:
        if self.seq >= self.channel.head:
            return None
        rows = self.channel.after(self.seq)
        if rows is None:
            found = await self._from_table()
            if isinstance(found, bytes):
                return found
            rows = found
        if rows:
            self.seq = rows[-1].seq
        shown = [row for row in rows if self.owners is None or row.csm_id in self.owners]
        return b"".join(map(told, shown)) or None

    async def _from_table(self) -> list[Told] | bytes:
        try:
            async with tenant_transaction(self.database.app, self.tenant) as conn:
                span = await store.span(conn, self.tenant)
                if not can_resume(self.seq, span):
                    self.seq = span.head
                    return lost(self.seq)
                return await store.page(conn, self.tenant, self.seq)
        except Unavailable:
            return []


def can_resume(seq: int, span: Span) -> bool:
    """Whether everything after this number is still kept, and the number was ever given out."""
    return span.floor <= seq <= span.head


def opening(seq: int, *, reset: bool) -> bytes:
    """The first words: how soon to come back, and from where; no client takes them for an event, a reset is one."""
    return b"retry: %d\nid: %d\n\n" % (RETRY, seq) + (lost(seq) if reset else b"")


def beat(seq: int) -> bytes:
    """A sign of life that moves the reader's place on."""
    return b": beat\nid: %d\n\n" % seq


def lost(seq: int) -> bytes:
    """What was missed is no longer kept: read the lists again, then go on from here."""
    return b'event: reset\nid: %d\ndata: {"from":%d}\n\n' % (seq, seq)


def told(row: Told) -> bytes:
    """One event; its body is JSON in one line."""
    return f"event: {row.kind}\nid: {row.seq}\ndata: {row.body}\n\n".encode()
