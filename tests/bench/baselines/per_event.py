"""What is written first and by most: one transaction per event, its id, its count and its account in three statements.

Arguments: the owner's DSN. Each line on stdin names a file of lines; the answer has facts and CPU.
"""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import msgspec
import uvloop

from shared.facts import Usage
from tests.bench.baselines.fold import Loop, answer, key_of, lines_of, tell

_TOKYO = timezone(timedelta(hours=9))
_SEEN = (
    "INSERT INTO fact_seen (key, tenant, seen_on, body) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING key"
)
_USAGE = """INSERT INTO usage VALUES ($1, $2, $3, $4, $5, false, $6, $7)
ON CONFLICT (tenant, account, person, feature, day, implied) DO UPDATE
SET events = usage.events + excluded.events, last_at = greatest(usage.last_at, excluded.last_at)"""
_USER = """INSERT INTO account_user VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (tenant, account, person) DO UPDATE SET first_day = least(account_user.first_day, excluded.first_day),
last_day = greatest(account_user.last_day, excluded.last_day)
WHERE account_user.first_day > excluded.first_day OR account_user.last_day < excluded.last_day"""
_decode = msgspec.json.Decoder(Usage).decode


async def event(conn: asyncpg.Connection, loop: Loop, fact: Usage) -> None:
    """One transaction, without waiting for the disk, as the fold's are."""
    account, person, feature = await loop.learned(fact)
    at = datetime.fromtimestamp(fact.at / 1e6, _TOKYO)
    async with conn.transaction():
        if await conn.fetchval(_SEEN, key_of(fact), fact.tenant, datetime.now(UTC).date(), fact.hash):
            await conn.execute(_USAGE, fact.tenant, account, person, feature, at.date(), fact.count, at)
            await conn.execute(_USER, fact.tenant, account, person, at.date())


async def run(dsn: str) -> None:
    """Answers questions until stdin ends."""
    settings = {"search_path": "scoring_state", "synchronous_commit": "off"}
    conn = await asyncpg.connect(dsn, server_settings=settings)
    loop = Loop(conn)
    tell("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        told = [_decode(one) for one in lines_of(line)]
        began, cpu = time.perf_counter(), time.process_time()
        for fact in told:
            await event(conn, loop, fact)
        tell(answer(len(told), began, cpu))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(sys.argv[1]))
