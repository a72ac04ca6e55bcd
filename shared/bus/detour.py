"""A log that takes the way round: while Kafka does not confirm, records are made durable in `bus.outbox` instead.

The first record of an outage waits `PATIENCE`, later ones go to the outbox at once; a look a second tells when it ends.
New records do not wait until the relay has shipped the old ones: facts commute. A record that Kafka stored without
confirming is shipped again, and the fold drops the second.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import asyncpg
import structlog

from shared.bus import Bus, BusUnavailable, Consumer, Outgoing, Place, Positions
from shared.bus.outbox import put, waiting_bytes
from shared.postgres import TROUBLE, connection

PATIENCE: Final = 2.0  # seconds that a record waits for Kafka
LOOK_EVERY: Final = 1.0  # seconds between two looks for it
MOST_BYTES: Final = 1024**3  # of the outbox; beyond, facts are refused until the relay has made room
_log = structlog.get_logger("genki.detour")


class Detour:
    """`bus`, and the outbox while it is away. `pool`: the workers'."""

    def __init__(self, bus: Bus, pool: asyncpg.Pool, most_bytes: int = MOST_BYTES) -> None:
        self.id, self.partitions = bus.id, bus.partitions
        self._bus, self._pool, self._most_bytes = bus, pool, most_bytes
        self._waiting = 0  # bytes in the outbox: as counted last, and what may have come since
        self._put_ever = self._put_surely = 0  # bytes of puts begun, and of those that ended
        self._watch: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether records take the way round at present."""
        return self._watch is not None

    async def publish(self, records: Sequence[Outgoing], timeout: float) -> None:
        """Durable at return, in Kafka or in the outbox. Raises BusUnavailable when neither took them."""
        if not self.away:
            try:
                await self._bus.publish(records, min(timeout, PATIENCE))
            except BusUnavailable as problem:
                self._leave(problem)
            else:
                return
        await self._put(records, timeout)

    async def ends(self, topics: Iterable[str]) -> dict[Place, int]:
        """The log's own."""
        return await self._bus.ends(topics)

    def consumer(self, name: str, topics: Sequence[str], positions: Positions) -> Consumer:
        """The log's own: nobody reads the outbox but the relay."""
        return self._bus.consumer(name, topics, positions)

    async def ping(self) -> None:
        """Raises BusUnavailable when Kafka does not answer."""
        await self._bus.ping()

    async def close(self) -> None:
        """Stops looking; the log itself is its opener's to close."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])

    def _leave(self, problem: BusUnavailable) -> None:
        if self._watch is None:
            _log.warning("kafka_away", problem=str(problem))
            self._watch = asyncio.get_running_loop().create_task(self._look())
            self._watch.add_done_callback(self._return)

    def _return(self, _: "asyncio.Task[None]") -> None:
        self._watch = None

    async def _look(self) -> None:
        """Until Kafka answers; counts meanwhile how much waits."""
        while True:
            with suppress(*TROUBLE):
                await self._count()
            await asyncio.sleep(LOOK_EVERY)
            with suppress(BusUnavailable):
                await self._bus.ping()
                _log.info("kafka_back", waiting_bytes=self._waiting)
                return

    async def _count(self) -> None:
        sure = self._put_surely  # what ends from here on may be missing in the sum
        async with connection(self._pool) as conn:
            counted = await waiting_bytes(conn)
        self._waiting = counted + self._put_ever - sure

    async def _put(self, records: Sequence[Outgoing], timeout: float) -> None:
        size = sum(len(line) + 1 for record in records for line in record.lines)
        if self._waiting + size > self._most_bytes:
            raise BusUnavailable("Kafka is away and the outbox is full")
        self._waiting += size
        self._put_ever += size
        try:
            async with asyncio.timeout(timeout), connection(self._pool, timeout) as conn:
                await put(conn, records)
        except TROUBLE as problem:
            raise BusUnavailable(f"Kafka is away, and so is the outbox: {type(problem).__name__}") from problem
        finally:
            self._put_surely += size
