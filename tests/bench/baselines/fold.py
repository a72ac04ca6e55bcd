"""A bare loop over the same lines from memory: decode, dedupe, count, COPY, upsert into the same tables.

No tenants kept apart, no fence, no assessment, usage facts with a named account only.

Arguments: the owner's DSN, facts a batch. Each line on stdin names a file of lines; the answer has facts and CPU.
"""

import asyncio
import json
import resource
import sys
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from hashlib import blake2b
from pathlib import Path
from typing import Any

import asyncpg
import cramjam
import msgspec
import uvloop

from shared.facts import Usage

TOKYO = timezone(timedelta(hours=9))
DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_TEMPS = (
    "CREATE TEMP TABLE t_seen (key uuid, tenant int, seen_on date, body bigint)",
    """CREATE TEMP TABLE t_usage (tenant int, account int, person int, feature int, day date, implied boolean,
    events bigint, last_at timestamptz)""",
    "CREATE TEMP TABLE t_user (tenant int, account int, person int, first_day date, last_day date)",
)
_SEEN = """INSERT INTO fact_seen SELECT * FROM t_seen ORDER BY key ON CONFLICT (key) DO UPDATE
SET seen_on = excluded.seen_on, body = excluded.body WHERE fact_seen.seen_on < excluded.seen_on - 30 RETURNING key"""
_USAGE = """INSERT INTO usage SELECT * FROM t_usage ORDER BY 1, 2, 3, 4, 5, 6
ON CONFLICT (tenant, account, person, feature, day, implied) DO UPDATE
SET events = usage.events + excluded.events, last_at = greatest(usage.last_at, excluded.last_at)"""
_USER = """INSERT INTO account_user SELECT * FROM t_user ORDER BY 1, 2, 3
ON CONFLICT (tenant, account, person) DO UPDATE SET first_day = least(account_user.first_day, excluded.first_day),
last_day = greatest(account_user.last_day, excluded.last_day)
WHERE account_user.first_day > excluded.first_day OR account_user.last_day < excluded.last_day"""
_KEY = """INSERT INTO scoring.{0}_key (tenant, {1}) SELECT $1, i FROM unnest($2::text[]) AS i ORDER BY i
ON CONFLICT DO NOTHING"""
_KEYS = "SELECT {1}, {2} FROM scoring.{0}_key WHERE tenant = $1 AND {1} = ANY($2)"
_ARCHIVE = """INSERT INTO scoring.archive (month, topic, part, first_offset, next_offset, received_from, received_to,
facts, bus, body) VALUES (date_trunc('month', now())::date, 'bench', 0, 0, 1, now(), now(), $1, 'bench', $2)"""
_decode = msgspec.json.Decoder(Usage).decode


class Loop:
    """The loop and its key maps."""

    def __init__(self, conn: asyncpg.Connection) -> None:
        self._conn = conn
        self._maps: dict[str, dict[str, int]] = {"account": {}, "person": {}, "feature": {}}

    async def batch(self, lines: Sequence[bytes]) -> None:
        """One transaction."""
        first = {key_of(fact): (fact, line) for fact, line in ((_decode(line), line) for line in lines)}
        told = [fact for fact, _ in first.values()]
        await self._learn("account", "account_id", {str(fact.account_id) for fact in told}, told[0].tenant)
        await self._learn("person", "person_id", {fact.person_id for fact in told}, told[0].tenant)
        await self._learn("feature", "event", {fact.event for fact in told}, told[0].tenant)
        async with self._conn.transaction():
            today = datetime.now(TOKYO).date()
            seen = [(key, fact.tenant, today, fact.hash) for key, (fact, _) in first.items()]
            fresh = {row[0] for row in await self._merge("t_seen", seen, _SEEN)}
            kept = [pair for key, pair in first.items() if key in fresh]
            usage = self._count(fact for fact, _ in kept)
            await self._merge("t_usage", [(*key, *value) for key, value in usage.items()], _USAGE)
            await self._merge("t_user", _users(usage), _USER)
            accounts = sorted({key[1] for key in usage})
            dirty = [(account % 8, told[0].tenant, account, datetime.now(TOKYO), today) for account in accounts]
            await self._conn.copy_records_to_table("dirty", records=dirty)
            body = bytes(cramjam.zstd.compress(b"\n".join(line for _, line in kept), 3))
            await self._conn.execute(_ARCHIVE, len(kept), body)

    async def _merge(self, temp: str, rows: Iterable[tuple[Any, ...]], sql: str) -> list[Any]:
        await self._conn.execute(f"TRUNCATE {temp}")
        await self._conn.copy_records_to_table(temp, records=rows)
        return await self._conn.fetch(sql)

    def _count(self, told: Iterable[Usage]) -> dict[tuple[Any, ...], tuple[int, datetime]]:
        accounts, persons, features = self._maps["account"], self._maps["person"], self._maps["feature"]
        counts: dict[tuple[Any, ...], list[int]] = {}
        for fact in told:
            day = _EPOCH + timedelta(days=(fact.at + 9 * 3_600_000_000) // DAY_US)
            account, feature = accounts[str(fact.account_id)], features[fact.event]
            key = (fact.tenant, account, persons[fact.person_id], feature, day, False)
            held = counts.get(key)
            if held is None:
                counts[key] = [fact.count, fact.at]
            else:
                held[0] += fact.count
                held[1] = max(held[1], fact.at)
        return {key: (n, datetime.fromtimestamp(at / 1e6, TOKYO)) for key, (n, at) in counts.items()}

    async def learned(self, fact: Usage) -> tuple[int, int, int]:
        """Keys of account, person and feature of one fact."""
        ids = {"account": str(fact.account_id), "person": fact.person_id, "feature": fact.event}
        texts = {"account": "account_id", "person": "person_id", "feature": "event"}
        for what, one in ids.items():
            if one not in self._maps[what]:
                await self._learn(what, texts[what], {one}, fact.tenant)
        account, person, feature = (self._maps[what][one] for what, one in ids.items())
        return account, person, feature

    async def _learn(self, what: str, text: str, ids: set[str], tenant: int) -> None:
        known = self._maps[what]
        missing = sorted(ids - known.keys())
        if missing:
            await self._conn.execute(_KEY.format(what, text), tenant, missing)
            known.update(
                [tuple(row) for row in await self._conn.fetch(_KEYS.format(what, text, what), tenant, missing)]
            )


def key_of(fact: Usage) -> uuid.UUID:
    """The key by which an id is told apart."""
    return uuid.UUID(bytes=blake2b(f"{fact.tenant}\0usage\0{fact.id}\0".encode(), digest_size=16).digest())


def _users(usage: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    spans: dict[tuple[int, int, int], list[date]] = {}
    for tenant, account, person, _, day, _ in usage:
        span = spans.setdefault((tenant, account, person), [day, day])
        span[0], span[1] = min(span[0], day), max(span[1], day)
    return [(*key, *span) for key, span in spans.items()]


async def run(dsn: str, size: int) -> None:
    """Answers questions until stdin ends."""
    conn = await asyncpg.connect(dsn, server_settings={"search_path": "scoring_state"})
    for statement in _TEMPS:
        await conn.execute(statement)
    loop = Loop(conn)
    tell("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        lines = lines_of(line)
        began, cpu = time.perf_counter(), time.process_time()
        for start in range(0, len(lines), size):
            await loop.batch(lines[start : start + size])
        tell(answer(len(lines), began, cpu))


def answer(facts: int, began: float, cpu: float) -> str:
    """What was done since, as the bench reads it."""
    told = {"facts": facts, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    return json.dumps({**told, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def lines_of(question: str) -> list[bytes]:
    """The lines of the file that is named."""
    return Path(json.loads(question)["file"]).read_bytes().split(b"\n")


def tell(line: str) -> None:
    """A line on stdout."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(sys.argv[1], int(sys.argv[2])))
