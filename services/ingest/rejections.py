"""Refused items on their way to the list: noted at once, written in batches, never in the request's way."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import structlog

from services.ingest import store
from services.ingest.domain.verdict import Rejected
from shared.clock import Clock
from shared.postgres import TROUBLE, Database, connection, tenant_transaction

PAYLOAD: Final = 2048  # bytes
_WAITING: Final = 20_000  # refusals in memory (≈ 50 MB); beyond it the oldest are only counted
_BATCH: Final = 2_000
_PAUSE: Final = 0.5  # s
_PRUNE_EVERY: Final = 600.0  # s
_log = structlog.get_logger("genki.ingest")


class Rejections:
    """`note` never waits; `write` and `prune` run beside the requests and outlive a database that is away."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Writes through the workers' pool."""
        self._database, self._clock = database, clock
        self._waiting: deque[store.Refusal] = deque(maxlen=_WAITING)
        self._counts: Counter[store.Minute] = Counter()

    def note(self, tenant: int, route: str, refused: Iterable[tuple[int, Rejected, bytes]]) -> None:
        """Takes down refused items: (place in the request, why, the bytes as received)."""
        now = self._clock.now()
        minute = now.replace(second=0, microsecond=0)
        for index, why, raw in refused:
            self._counts[tenant, minute, why.code] += 1
            self._waiting.append(
                store.Refusal(
                    tenant, now, route, index, _text(why.type), _text(why.id), why.code, why.message, _payload(raw)
                )
            )

    async def write(self) -> None:
        """Writes what was noted every half second, for ever."""
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                while await self.flush():
                    pass
            except TROUBLE as trouble:
                _log.warning("rejections_not_written", waiting=len(self._waiting), reason=type(trouble).__name__)
                await asyncio.sleep(_PAUSE * 10)

    async def flush(self) -> bool:
        """Writes one batch; True when more waits. Raises what the database raises: then nothing was forgotten."""
        if not self._counts and not self._waiting:
            return False
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        counts, self._counts = self._counts, Counter()
        tenants = sorted({key[0] for key in counts} | {one.tenant for one in batch})
        try:
            async with tenant_transaction(self._database.worker, *tenants) as conn:
                await store.add_counts(conn, counts)
                await store.add_rows(conn, batch)
        except BaseException:
            self._counts.update(counts)
            self._waiting.extendleft(reversed(batch[: _WAITING - len(self._waiting)]))
            raise
        return bool(self._waiting)

    async def prune(self) -> None:
        """Forgets what is older than seven days, every ten minutes, for ever."""
        while True:
            with suppress(*TROUBLE):
                await self.prune_once()
            await asyncio.sleep(_PRUNE_EVERY)

    async def prune_once(self) -> None:
        """Forgets what is older than seven days, of every tenant."""
        async with connection(self._database.worker) as conn:
            tenants = await store.all_tenants(conn)
        for start in range(0, len(tenants), 100):
            some = tenants[start : start + 100]
            async with tenant_transaction(self._database.worker, *some) as conn:
                await store.prune(conn, some, self._clock.now() - store.KEPT_FOR)

    async def close(self) -> None:
        """Writes what is left, two seconds at most."""
        with suppress(*TROUBLE):
            async with asyncio.timeout(2):
                while await self.flush():
                    pass


def _payload(raw: bytes) -> str:
    return raw[:PAYLOAD].decode(errors="ignore").replace("\0", "")


def _text(value: str | None) -> str | None:
    return None if value is None else value.replace("\0", "")
