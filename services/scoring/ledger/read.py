"""Every book copied into one table of the session, in one snapshot, and read back id by id: memory does not grow."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import cramjam
import msgspec

from services.scoring.consumer import NAME as CONSUMER
from services.scoring.ledger import log as logs
from services.scoring.ledger.attempts import attempts, digest
from services.scoring.ledger.books import Books, Report
from services.scoring.ledger.pages import APPLIED, CONSUMED, DEAD, IN_OUTBOX, LINE, ROW, WAITS, Pages
from services.scoring.ledger.rules import Span, Spot, Terms, holes, misplaced, overlaps, uneven
from shared import facts
from shared.bus import Place
from shared.clock import from_micros
from shared.postgres import Connection, DatabaseSettings

Say = Callable[[str], None]
_DAY: Final = 86_400_000_000  # µs
_CHUNK: Final = 10_000
_ERASED: Final = b'"erased:'  # begins what stands for a person who was erased: no client said that
_ARCHIVE: Final = "SELECT topic, part, first_offset, next_offset, bus, body FROM scoring.archive ORDER BY month, seq"
_SPANS: Final = """
SELECT bus, topic, part, first_offset, next_offset FROM scoring.archive ORDER BY bus, topic, part, first_offset
"""
_SEEN: Final = """
INSERT INTO book (key, source, tenant, a, b)
SELECT key, 3, tenant, CASE WHEN isfinite(seen_on) THEN seen_on - DATE '1970-01-01' END, body FROM fact_seen
"""
# The ids that each fact table names, by the type that fills it.
_ROWS: Final = {
    "account": "SELECT DISTINCT tenant, id FROM account_attribute",
    "person": "SELECT DISTINCT tenant, id FROM person_attribute",
    "csm": "SELECT DISTINCT tenant, id FROM csm_attribute",
    "contact": "SELECT tenant, id FROM contact",
    "contract": "SELECT tenant, id FROM contract",
    "survey_response": "SELECT tenant, id FROM response",
    "alias": "SELECT tenant, id FROM alias",
    "invitation_sent": "SELECT tenant, id FROM invitation WHERE kind = 'sent'",
    "invitation_bounced": "SELECT tenant, id FROM invitation WHERE kind = 'bounced'",
}
_USAGE: Final = """
SELECT tenant, event, sum(events)::bigint AS events FROM usage JOIN scoring.feature_key USING (tenant, feature)
GROUP BY tenant, event
"""
_POSITIONS: Final = "SELECT topic, part, next FROM bus.position WHERE bus = $1 AND consumer = $2"
_OUTBOX: Final = "SELECT topic, part, body FROM bus.outbox ORDER BY seq"
_ENTRIES: Final = "SELECT key, source, tenant, kind, id, a, b, c, d FROM book ORDER BY key"


async def audit(settings: DatabaseSettings, kafka: str | None, now: datetime, client: Path | None, say: Say) -> Report:
    """The seven equations over everything stored; with a client's ledger, over what it sent too. Raises BadLedger,
    BusUnavailable, BusBroken, and what the database raises."""
    async with _snapshot(settings) as (conn, names):
        log = await logs.look(conn, kafka)
        positions = await _positions(conn, log.id)
        known = {tenant_id: tenant for tenant, tenant_id in names.items()}
        pages = Pages(conn)
        await pages.begin()
        sent = None if client is None else await _copy_client(pages, client, known, say)
        archived = await _copy_archive(pages, conn, log, client is not None, say)
        await _copy_state(pages, conn, say)
        counted = await _copy_log(pages, conn, kafka, log, positions, say)
        found = [*misplaced(positions, log.begins, log.ends), *holes(counted, log.begins, log.ends)]
        today = (now - from_micros(0)).days
        books = Books(Terms(today, sent, bool(found)))
        books.faults(7, found)
        books.faults(2, overlaps([span async for span in _spans(conn)]))
        books.faults(7, uneven(archived, await _stored(conn)))
        await _judge(conn, pages, books, say)
    return books.report(names)


@asynccontextmanager
async def _snapshot(settings: DatabaseSettings) -> AsyncIterator[tuple[Connection, dict[int, str]]]:
    """The owner's connection in one snapshot over all tenants; state, positions and archive agree in it at any time."""
    conn = await asyncpg.connect(settings.url, server_settings={"search_path": settings.state, "jit": "off"})
    try:
        async with conn.transaction(isolation="repeatable_read"):
            names = dict(await conn.fetch("SELECT tenant, tenant_id FROM access.tenant"))
            listed = ",".join(str(int(tenant)) for tenant in names)
            await conn.execute(f"SET LOCAL app.tenants = '{listed}'; SET LOCAL work_mem = '64MB'")
            yield conn, names
    finally:
        await conn.close()


async def _positions(conn: Connection, bus: str) -> dict[Place, int]:
    rows = await conn.fetch(_POSITIONS, bus, CONSUMER)
    return {(row["topic"], row["part"]): row["next"] for row in rows}


async def _copy_client(pages: Pages, file: Path, known: dict[str, int], say: Say) -> frozenset[int]:
    """The tenants whose clients kept this ledger."""
    sent: set[int] = set()
    count = 0
    with file.open("rb") as lines:
        for one in attempts(lines):
            count += 1
            tenant = known.get(one.tenant_id, 0)
            sent.add(tenant)
            await pages.attempt(tenant, one.kind, one.id, one.payload, one.outcome)
    await pages.flush()
    say(f"client ledger: {count:,} attempts at facts")
    return frozenset(sent)


async def _copy_archive(pages: Pages, conn: Connection, log: logs.Log, digests: bool, say: Say) -> Counter:
    """Every archived line; events by tenant and feature."""
    events: Counter[tuple[int, str]] = Counter()
    count = 0
    async for row in conn.cursor(_ARCHIVE, prefetch=20):
        held = row["bus"] == log.id and row["first_offset"] >= log.begins.get((row["topic"], row["part"]), 0)
        for raw in bytes(cramjam.zstd.decompress(row["body"])).split(b"\n"):
            fact = facts.decode(raw)
            said = digest(fact) if digests and _ERASED not in raw else None
            day = fact.received // _DAY
            await pages.add(APPLIED, fact.tenant, facts.type_of(fact), fact.id, a=day, b=fact.hash, c=said, d=int(held))
            if isinstance(fact, facts.Usage):
                events[fact.tenant, fact.event] += fact.count
            count += 1
            if count % 500_000 == 0:
                say(f"archive: {count:,} facts")
    await pages.flush()
    say(f"archive: {count:,} facts")
    return events


async def _copy_state(pages: Pages, conn: Connection, say: Say) -> None:
    await conn.execute(_SEEN)
    say("dedupe table: copied")
    count = 0
    for kind, statement in _ROWS.items():
        async for row in conn.cursor(statement, prefetch=_CHUNK):
            await pages.add(ROW, row["tenant"], kind, row["id"])
            count += 1
    await pages.flush()
    say(f"fact tables: {count:,} ids")


async def _copy_log(
    pages: Pages, conn: Connection, kafka: str | None, log: logs.Log, positions: dict[Place, int], say: Say
) -> Counter[Place]:
    """Every line of the log, the dead letters and the outbox; how many records each partition holds."""
    records: Counter[Place] = Counter()
    count = 0
    async for topic, part, offset, body in logs.bodies(conn, kafka, log, facts.CONSUMED_TOPICS):
        records[topic, part] += 1
        done = CONSUMED if offset < positions.get((topic, part), 0) else WAITS
        for number, raw in _lines(body):
            await pages.add_line(LINE, raw, Spot(topic, part, offset, number), done)
            count += 1
    async for topic, part, _, body in logs.bodies(conn, kafka, log, (facts.DEAD_TOPIC,)):
        records[topic, part] += 1
        for _, raw in _lines(body):
            told = msgspec.json.decode(raw)
            spot = Spot(told["topic"], told["partition"], told["offset"], told["line"])
            await pages.add_line(DEAD, told["raw"].encode(), spot, 0)
    async for row in conn.cursor(_OUTBOX, prefetch=50):
        for number, raw in _lines(row["body"] or b""):
            await pages.add_line(LINE, raw, Spot(row["topic"], row["part"], -1, number), IN_OUTBOX)
    await pages.flush()
    say(f"log: {count:,} lines")
    return records


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(line for line in body.split(b"\n") if line)


async def _spans(conn: Connection) -> AsyncIterator[Span]:
    async for row in conn.cursor(_SPANS, prefetch=_CHUNK):
        yield Span(row["bus"], (row["topic"], row["part"]), row["first_offset"], row["next_offset"])


async def _stored(conn: Connection) -> dict[tuple[int, str], int]:
    return {(row["tenant"], row["event"]): row["events"] for row in await conn.fetch(_USAGE)}


async def _judge(conn: Connection, pages: Pages, books: Books, say: Say) -> None:
    count = 0
    async for rows in _keys(conn):
        for some in rows:
            books.take(pages.entry(some))
        count += len(rows)
        if count // 500_000 > (count - len(rows)) // 500_000:
            say(f"judged: {count:,} ids")
    say(f"judged: {count:,} ids")


async def _keys(conn: Connection) -> AsyncIterator[list[list[Any]]]:
    """The rows of each key, some thousand keys at a time."""
    cursor = await conn.cursor(_ENTRIES)
    unfinished: list[Any] = []  # a key's rows may go on in the next lot
    while rows := await cursor.fetch(_CHUNK):
        keys = [unfinished] if unfinished else []
        for row in rows:
            if keys and row[0] == keys[-1][0][0]:
                keys[-1].append(row)
            else:
                keys.append([row])
        unfinished = keys.pop()
        yield keys
    if unfinished:
        yield [unfinished]
