"""One batch, one transaction: fence → dedupe → facts → who waits for assessment → archive → commit, in this order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

import cramjam
from asyncpg.pgproto.pgproto import UUID  # as the driver's own rows have it, and quicker to make than UUID

from services.scoring.batch import Batch, Line
from services.scoring.facts import tables
from services.scoring.facts.homes import write_usage
from services.scoring.facts.store import merge
from services.scoring.gather import FOREVER, SHARDS, Resolved, Rows, gather
from shared import facts
from shared.bus import Place
from shared.clock import from_micros
from shared.postgres import Connection

# Moves the stored positions on, only where each still stands at the batch's first offset (the fence by equality).
_FENCE: Final = """
WITH i AS (SELECT * FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::timestamptz[])
           AS i(topic, part, lo, hi, received)),
l AS (SELECT o.topic, o.part, o.next FROM bus.position o JOIN i USING (topic, part)
      WHERE o.bus = $1 AND o.consumer = $2 ORDER BY o.topic, o.part FOR UPDATE OF o)
UPDATE bus.position o SET next = i.hi, applied_received = i.received FROM l JOIN i USING (topic, part)
WHERE o.bus = $1 AND o.consumer = $2 AND o.topic = l.topic AND o.part = l.part AND l.next = i.lo RETURNING o.part
"""
_STORED: Final = "SELECT key, body FROM fact_seen WHERE key = ANY($1::uuid[])"
_NEWEST: Final = """
INSERT INTO newest_fact (tenant, topic, part, at)
SELECT * FROM unnest($1::int[], $2::text[], $3::int[], $4::timestamptz[]) AS n(tenant, topic, part, at)
ORDER BY tenant, topic, part
ON CONFLICT (tenant, topic, part) DO UPDATE SET at = excluded.at WHERE newest_fact.at < excluded.at
"""
_CONFLICT: Final = """
INSERT INTO scoring.conflict (tenant, at, type, id, payload)
SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])
"""
_ARCHIVE: Final = """
INSERT INTO scoring.archive
  (month, topic, part, first_offset, next_offset, received_from, received_to, facts, bus, body)
SELECT date_trunc('month', received_to AT TIME ZONE 'UTC')::date, topic, part, lo, hi, received_from, received_to,
       facts, $8, body
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::int[],
            $9::bytea[]) AS a(topic, part, lo, hi, received_from, received_to, facts, body)
ORDER BY topic, part
"""
_DAY: Final = 86_400_000_000  # µs
PAYLOAD_BYTES: Final = 2048


class Fenced(Exception):
    """The stored positions are not where this batch begins: somebody else applied it, or it was fetched too early."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch's lines."""

    applied: int
    duplicates: int
    conflicts: int


async def apply(conn: Connection, batch: Batch, known: Resolved, bus: str, consumer: str) -> Applied:
    """Applies a batch inside the caller's transaction, which must see every tenant of it. Raises Fenced."""
    await _fence(conn, batch, bus, consumer)
    lines, conflicts = await _new_lines(conn, batch.lines)
    rows = gather(lines, known)
    await _write(conn, rows)
    await _note_conflicts(conn, conflicts)
    await _archive(conn, batch, lines, bus)
    return Applied(len(lines), len(batch.lines) - len(lines), len(conflicts))


async def rebuild(conn: Connection, lines: Sequence[Line], known: Resolved) -> int:
    """Applies lines out of the archive to an empty or half-built state, in the caller's transaction: no fence, nothing
    archived, and what stands twice counts once. How many counted."""
    fresh, _ = await _new_lines(conn, lines)
    await _write(conn, gather(fresh, known))
    return len(fresh)


async def _fence(conn: Connection, batch: Batch, bus: str, consumer: str) -> None:
    spans = batch.intervals()
    places = sorted(spans)
    moved = await conn.fetch(
        _FENCE,
        bus,
        consumer,
        [topic for topic, _ in places],
        [part for _, part in places],
        [spans[place][0] for place in places],
        [spans[place][1] for place in places],
        [from_micros(spans[place][2]) for place in places],
    )
    if len(moved) != len(places):
        raise Fenced(f"{len(places) - len(moved)} of {len(places)} partitions stand elsewhere")


async def _new_lines(conn: Connection, lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """(lines to apply in order, lines whose id is known with another body)."""
    first: dict[UUID, Line] = {}
    repeats: list[tuple[UUID, Line]] = []
    for line in lines:
        key = UUID(facts.seen_key(line.fact.tenant, facts.type_of(line.fact), line.fact.id))
        if first.setdefault(key, line) is not line:
            repeats.append((key, line))
    fresh = await _offer(conn, first)
    stored = {key: line.fact.hash for key, line in first.items()}
    if len(fresh) < len(first):
        rows = await conn.fetch(_STORED, [key for key in first if key not in fresh])
        stored.update({row["key"]: row["body"] for row in rows})
        repeats += [(key, line) for key, line in first.items() if key not in fresh]
    conflicts = [line for key, line in repeats if line.fact.hash != stored[key]]
    return [line for key, line in first.items() if key in fresh], conflicts


async def _offer(conn: Connection, first: Mapping[UUID, Line]) -> set[UUID]:
    rows = ((key, line.fact.tenant, _seen_on(line.fact), line.fact.hash) for key, line in first.items())
    return {row["key"] for row in await merge(conn, tables.FACT_SEEN, rows)}


def _seen_on(fact: facts.AnyFact) -> date:
    return _utc_day(fact.received // _DAY) if isinstance(fact, facts.Usage) else FOREVER


@lru_cache(maxsize=64)
def _utc_day(number: int) -> date:
    return from_micros(number * _DAY).date()


async def _write(conn: Connection, rows: Rows) -> None:
    await write_usage(conn, rows)
    plain: Iterable[tuple[Any, Iterable[tuple]]] = (
        (tables.ACCOUNT_ATTRIBUTE, rows.account_attribute),
        (tables.PERSON_ATTRIBUTE, rows.person_attribute),
        (tables.CSM_ATTRIBUTE, rows.csm_attribute),
        (tables.CONTACT, rows.contact),
        (tables.CONTRACT, rows.contract),
        (tables.ALIAS, rows.alias.values()),
        (tables.ACCOUNT_MERGE, rows.account_merge),
        (tables.RESPONSE, rows.response),
        (tables.INVITATION, rows.invitation.values()),
        (tables.DUE, rows.due),
        (tables.RECHECK, ((*key, since, from_micros(received)) for key, (since, received) in rows.recheck.items())),
        (tables.DIRTY, _dirty(rows)),
    )
    for target, listed in plain:
        await merge(conn, target, listed)
    newest = sorted(rows.newest)
    columns = [list(column) for column in zip(*newest, strict=True)] or [[], [], []]
    await conn.execute(_NEWEST, *columns, [from_micros(rows.newest[place]) for place in newest])


def _dirty(rows: Rows) -> Iterable[tuple]:
    return (
        (account % SHARDS, tenant, account, from_micros(received), since)
        for (tenant, account), (received, since) in rows.dirty.items()
    )


async def _note_conflicts(conn: Connection, conflicts: Sequence[Line]) -> None:
    if not conflicts:
        return
    await conn.execute(
        _CONFLICT,
        [line.fact.tenant for line in conflicts],
        [from_micros(line.fact.received) for line in conflicts],
        [facts.type_of(line.fact) for line in conflicts],
        [line.fact.id for line in conflicts],
        [line.raw[:PAYLOAD_BYTES].decode(errors="replace") for line in conflicts],
    )


async def _archive(conn: Connection, batch: Batch, lines: Sequence[Line], bus: str) -> None:
    """Every applied line as it came, one row per partition: what the state can be rebuilt from."""
    by_place: dict[Place, list[Line]] = {}
    for line in lines:
        by_place.setdefault(line.place, []).append(line)
    if not by_place:
        return
    spans, places = batch.intervals(), sorted(by_place)
    received = {place: [line.fact.received for line in by_place[place]] for place in places}
    await conn.execute(
        _ARCHIVE,
        [topic for topic, _ in places],
        [part for _, part in places],
        [spans[place][0] for place in places],
        [spans[place][1] for place in places],
        [from_micros(min(received[place])) for place in places],
        [from_micros(max(received[place])) for place in places],
        [len(by_place[place]) for place in places],
        bus,
        [bytes(cramjam.zstd.compress(b"\n".join(line.raw for line in by_place[place]), 3)) for place in places],
    )
