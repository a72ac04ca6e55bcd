"""What an erasure leaves to do: archive, PostgreSQL's log and outbox are read whole, and rewritten where they name."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import cramjam
import msgspec
import structlog

from services.scoring.erasure.rules import Erased, mentions, scrubbed
from services.scoring.erasure.store import read_list, share
from shared.clock import Clock
from shared.facts import DEAD_TOPIC
from shared.postgres import TROUBLE, Connection, Database, connection, tenant_transaction

log = structlog.get_logger("genki.erasure")
EVERY: Final = 1.0  # seconds between two looks at what waits
ROWS: Final = 100  # rewritten in one transaction
_PENDING: Final = "SELECT seq, person_id FROM scoring.erasure WHERE done_at IS NULL AND person_id IS NOT NULL"
_DONE: Final = "UPDATE scoring.erasure SET done_at = $2, person_id = NULL WHERE seq = ANY($1::bigint[])"
_ARCHIVE: Final = "SELECT seq, body FROM scoring.archive WHERE seq > $1 ORDER BY seq LIMIT $2"
_ARCHIVED: Final = """
UPDATE scoring.archive a SET body = w.body FROM unnest($1::bigint[], $2::bytea[]) AS w(seq, body) WHERE a.seq = w.seq
"""
_LOG: Final = """
SELECT topic, part, off, body FROM bus.log WHERE (topic, part, off) > ($1, $2, $3) ORDER BY topic, part, off LIMIT $4
"""
_LOGGED: Final = """
UPDATE bus.log l SET body = w.body
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[]) AS w(topic, part, off, body)
WHERE l.topic = w.topic AND l.part = w.part AND l.off = w.off
"""
_OUTBOX: Final = "SELECT seq, body FROM bus.outbox WHERE seq > $1 AND body <> '' ORDER BY seq LIMIT $2"
_WAITED: Final = "UPDATE bus.outbox SET body = $3 WHERE seq = $1 AND body = $2"
Cleaner = Callable[[bytes], bytes]


class Busy(Exception):
    """A rebuild is reading what is to be rewritten."""


class Eraser:
    """Works off the list of erasures. `run` until cancelled; `round` once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def run(self) -> None:
        """Every second; a database that is away, or a rebuild, means waiting."""
        while True:
            try:
                await self.round()
            except (*TROUBLE, Busy) as problem:
                log.warning("erasure_waits", reason=type(problem).__name__)
            await asyncio.sleep(EVERY)

    async def round(self) -> int:
        """Rewrites for everybody who waits; how many. What is done again changes nothing."""
        async with connection(self._database.worker) as conn:
            waiting = await conn.fetch(_PENDING)
        if not waiting:
            return 0
        erased = await read_list(self._database.worker)
        ids = [row["person_id"].encode() for row in waiting]
        await self._archive(lambda body: cleaned(body, ids, erased))
        await self._log(lambda body: cleaned(body, ids, erased), lambda body: letters(body, ids, erased))
        await self._outbox(lambda body: cleaned(body, ids, erased))
        async with connection(self._database.worker) as conn:
            await conn.execute(_DONE, [row["seq"] for row in waiting], self._clock.now())
        log.info("erased", persons=len(waiting))
        return len(waiting)

    async def _archive(self, clean: Cleaner) -> None:
        last = 0

        async def some(conn: Connection) -> bool:
            nonlocal last
            rows = await conn.fetch(_ARCHIVE, last, ROWS)
            changed = await asyncio.to_thread(_changed, rows, lambda row: clean)
            await conn.execute(_ARCHIVED, [row["seq"] for row, _ in changed], [body for _, body in changed])
            last = rows[-1]["seq"] if rows else last
            return bool(rows)

        await self._walk(some)

    async def _log(self, clean: Cleaner, clean_dead: Cleaner) -> None:
        last: tuple[str, int, int] = ("", -1, -1)

        async def some(conn: Connection) -> bool:
            nonlocal last
            rows = await conn.fetch(_LOG, *last, ROWS)
            changed = await asyncio.to_thread(
                _changed, rows, lambda row: clean_dead if row["topic"] == DEAD_TOPIC else clean
            )
            columns = [[row[name] for row, _ in changed] for name in ("topic", "part", "off")]
            await conn.execute(_LOGGED, *columns, [body for _, body in changed])
            last = (rows[-1]["topic"], rows[-1]["part"], rows[-1]["off"]) if rows else last
            return bool(rows)

        await self._walk(some)

    async def _outbox(self, clean: Cleaner) -> None:
        last = 0

        async def some(conn: Connection) -> bool:
            nonlocal last
            rows = await conn.fetch(_OUTBOX, last, ROWS)
            for row in rows:
                if (body := clean(row["body"])) != row["body"]:
                    await conn.execute(_WAITED, row["seq"], row["body"], body)
            last = rows[-1]["seq"] if rows else last
            return bool(rows)

        await self._walk(some)

    async def _walk(self, some: Callable[[Connection], Awaitable[bool]]) -> None:
        """One short transaction after another until there are no more rows."""
        more = True
        while more:
            async with tenant_transaction(self._database.worker) as conn:
                if not await share(conn):
                    raise Busy
                more = await some(conn)


def _changed(rows: Sequence[Any], cleaner: Callable[[Any], Cleaner]) -> list[tuple[Any, bytes]]:
    found: list[tuple[Any, bytes]] = []
    for row in rows:
        body = bytes(cramjam.zstd.decompress(row["body"]))
        told = cleaner(row)(body)
        if told != body:
            found.append((row, bytes(cramjam.zstd.compress(told, 3))))
    return found


def cleaned(body: bytes, ids: list[bytes], erased: Erased) -> bytes:
    """Facts without whom they may not name."""
    return scrubbed(body, ids, erased) if mentions(body, ids) else body


def letters(body: bytes, ids: list[bytes], erased: Erased) -> bytes:
    """Dead letters without them: a line that is a fact says what it still may, any other nothing."""
    return b"\n".join(_letter(line, ids, erased) for line in body.split(b"\n"))


def _letter(line: bytes, ids: list[bytes], erased: Erased) -> bytes:
    told: dict[str, Any] = msgspec.json.decode(line)
    raw = base64.b64decode(told.pop("base64")) if "base64" in told else told["raw"].encode()
    if not mentions(raw, ids):
        return line
    clean = scrubbed(raw, ids, erased)
    return line if clean == raw else msgspec.json.encode({**told, "raw": clean.decode(errors="backslashreplace")})
