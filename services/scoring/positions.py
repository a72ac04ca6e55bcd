"""Where scoring stands in the log: positions beside the state, and how fresh that makes every answer."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from shared.bus import Bus, BusUnavailable, Place
from shared.clock import Clock
from shared.errors import Unavailable
from shared.postgres import connection

log = structlog.get_logger()
_READ: Final = "SELECT topic, part, next FROM bus.position WHERE bus = $1 AND consumer = $2"
_MAKE: Final = """
INSERT INTO bus.position (bus, consumer, topic, part, next)
SELECT $1, $2, topic, part, 0 FROM unnest($3::text[], $4::int[]) AS w(topic, part) ON CONFLICT DO NOTHING
"""
# Marks partitions whose every record was applied when we looked. Rows that a fold holds are skipped: it tells itself.
_CAUGHT_UP: Final = """
WITH l AS (SELECT topic, part FROM bus.position p
           JOIN unnest($3::text[], $4::int[], $5::bigint[]) AS e(topic, part, ends) USING (topic, part)
           WHERE p.bus = $1 AND p.consumer = $2 AND p.next >= e.ends ORDER BY topic, part FOR UPDATE OF p SKIP LOCKED)
UPDATE bus.position p SET caught_up_at = $6 FROM l
WHERE p.bus = $1 AND p.consumer = $2 AND p.topic = l.topic AND p.part = l.part
"""
# The least, over partitions, of what is surely applied; not later than what waits for assessment, what waits in the
# outbox, and what came from there and is on the log behind newer records.
_FRESH_TO: Final = """
SELECT least(
  (SELECT min(greatest(caught_up_at, applied_received)) FROM bus.position WHERE bus = $1 AND consumer = $2),
  (SELECT min(received) FROM dirty), (SELECT min(received) FROM recheck),
  (SELECT min(o.received) FROM bus.outbox o
   LEFT JOIN bus.position p ON p.bus = $1 AND p.consumer = $2 AND p.topic = o.topic AND p.part = o.part
   WHERE o.shipped_to IS NULL OR p.next IS NULL OR p.next < o.shipped_to)) AS fresh_to,
  (SELECT count(*) FROM bus.position
   WHERE bus = $1 AND consumer = $2 AND greatest(caught_up_at, applied_received) IS NULL) AS unknown
"""


class StoredPositions:
    """The positions of one consumer on one log."""

    def __init__(self, pool: asyncpg.Pool, bus: str, consumer: str) -> None:
        self._pool, self._bus, self._consumer = pool, bus, consumer

    async def __call__(self, places: Iterable[Place]) -> dict[Place, int]:
        """The stored next offset of each partition, made 0 for one never read."""
        asked = sorted(places)
        async with connection(self._pool) as conn:
            await conn.execute(_MAKE, self._bus, self._consumer, [t for t, _ in asked], [p for _, p in asked])
            rows = await conn.fetch(_READ, self._bus, self._consumer)
        known = {(row["topic"], row["part"]): row["next"] for row in rows}
        return {place: known[place] for place in asked}


class Freshness:
    """Keeps `fresh_to` at hand: every fact accepted up to it is in the figures. At most 0.25 s old."""

    def __init__(self, pool: asyncpg.Pool, bus: Bus, consumer: str, topics: Iterable[str], clock: Clock) -> None:
        self._pool, self._bus, self._consumer, self._clock = pool, bus, consumer, clock
        self._topics = tuple(topics)
        self._fresh_to: datetime | None = None

    def fresh_to(self) -> datetime | None:
        """None before the first look."""
        return self._fresh_to

    async def run(self, every: float = 0.25) -> None:
        """Looks again and again until cancelled."""
        while True:
            try:
                await self.look()
            except (Unavailable, BusUnavailable) as problem:
                log.warning("freshness_unknown", reason=str(problem))
            await asyncio.sleep(every)

    async def look(self) -> None:
        """Marks the partitions that have nothing waiting, and reads how far everything is."""
        now = self._clock.now()
        ends = await self._bus.ends(self._topics)
        places = sorted(ends)
        async with connection(self._pool) as conn:
            await conn.execute(
                _CAUGHT_UP,
                self._bus.id,
                self._consumer,
                [topic for topic, _ in places],
                [part for _, part in places],
                [ends[place] for place in places],
                now,
            )
            row = await conn.fetchrow(_FRESH_TO, self._bus.id, self._consumer)
        if row is not None and not row["unknown"]:
            self._fresh_to = row["fresh_to"]
