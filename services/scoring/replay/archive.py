"""Reads the archive in the order in which it was written, in batches, and what became visible later."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import cramjam

from shared.bus import Record
from shared.postgres import connection

BATCH_FACTS: Final = 20_000
_ROWS: Final = 5_000  # looked at for one batch; a row holds what one transaction applied of one partition
_TOTAL: Final = "SELECT coalesce(sum(facts), 0)::bigint FROM scoring.archive WHERE seq > $1"
# The next rows of about so many facts, at least one.
_NEXT: Final = """
SELECT seq, topic, part, first_offset, facts, body FROM (
  SELECT seq, topic, part, first_offset, facts, body, sum(facts) OVER (ORDER BY seq) AS run
  FROM (SELECT * FROM scoring.archive WHERE seq > $1 ORDER BY seq LIMIT $2) a) r
WHERE run - facts < $3 ORDER BY seq
"""
_BEHIND: Final = """
SELECT a.seq, a.topic, a.part, a.first_offset, a.facts, a.body
FROM unnest($1::bigint[], $2::bigint[]) AS h(lo, hi) JOIN scoring.archive a ON a.seq BETWEEN h.lo AND h.hi
ORDER BY a.seq
"""


class Unreadable(Exception):
    """The archive holds a line that this version cannot read: nothing is swapped."""


class ArchiveReader:
    """A walk along `seq`. A number is taken before its commit, so a lower one may become visible later: the reader
    keeps the holes it has passed and looks into them again at the end."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._last = 0
        self._holes: list[tuple[int, int]] = []

    async def ahead(self) -> int:
        """How many facts lie ahead, about."""
        async with connection(self._pool) as conn:
            return int(await conn.fetchval(_TOTAL, self._last, timeout=600) or 0)

    async def next(self) -> list[Record]:
        """The next rows, about 20,000 facts; [] at the present end."""
        async with connection(self._pool) as conn:
            rows = await conn.fetch(_NEXT, self._last, _ROWS, BATCH_FACTS)
        for row in rows:
            if row["seq"] > self._last + 1:
                self._holes.append((self._last + 1, row["seq"] - 1))
            self._last = row["seq"]
        return _records(rows)

    async def behind(self) -> list[Record]:
        """What has come to lie in the holes; call it while nobody writes: they are closed then."""
        async with connection(self._pool) as conn:
            rows = await conn.fetch(_BEHIND, [lo for lo, _ in self._holes], [hi for _, hi in self._holes], timeout=600)
        self._holes.clear()
        return _records(rows)


def _records(rows: Sequence[Any]) -> list[Record]:
    return [
        Record(
            row["topic"], row["part"], row["first_offset"], bytes(cramjam.zstd.decompress(row["body"])), 0, row["facts"]
        )
        for row in rows
    ]
