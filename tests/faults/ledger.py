"""The accountant at a test's hand: waits until nothing is on its way, then audits as `genki audit-ledger` does.

`report = await audit(settings, kafka, path)`; `report.green`, `report.broken()` (the equations), `report.text()`.
`settings` names the database as its owner, `kafka` is a bootstrap address or None for the log in PostgreSQL.
"""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
from prometheus_client.parser import text_string_to_metric_families

from services.scoring.consumer import NAME as CONSUMER
from services.scoring.ledger import log as logs
from services.scoring.ledger.books import Report
from services.scoring.ledger.read import audit as audit_all
from services.scoring.ledger.rebuild import rebuild
from services.scoring.ledger.rules import Counted
from shared.bus import BusUnavailable, Place
from shared.clock import Clock
from shared.facts import CONSUMED_TOPICS
from shared.postgres import TROUBLE, DatabaseSettings
from tests.journeys.running import Ground

_POSITIONS: Final = "SELECT topic, part, next FROM bus.position WHERE bus = $1 AND consumer = $2"
_COUNTERS: Final = ("genki_ingest_items_total", "genki_ingest_rejected_total", "genki_scoring_facts_total")
# Every table with a tenant that the role may read.
_READABLE: Final = """
SELECT a.attrelid::regclass::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attname = 'tenant' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND n.nspname IN ('access', 'ingest', 'nps', 'scoring', 'scoring_state') AND has_table_privilege(c.oid, 'SELECT')
"""
_TROUBLE: Final = (BusUnavailable, *TROUBLE)


async def audit(
    settings: DatabaseSettings, kafka: str | None, ledger: Path | None, seconds: float = 90.0, *, rebuilt: bool = False
) -> Report:
    """The equations after the drain, the sixth when a rebuild is wished for; what has not drained after `seconds` is
    told by the report."""
    await drained(settings, kafka, seconds)
    report = await audit_all(settings, kafka, datetime.now(UTC), ledger, _silent)
    if rebuilt:
        await rebuild(report, settings, Clock(), _silent)
    return report


async def drained(settings: DatabaseSettings, kafka: str | None, seconds: float = 90.0) -> bool:
    """Waits until scoring has applied the whole log and the outbox is empty; whether it came to that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if await waiting(settings, kafka) == 0:
                return True
        except _TROUBLE:
            pass
        await asyncio.sleep(0.2)
    return False


async def waiting(settings: DatabaseSettings, kafka: str | None) -> int:
    """Records on their way: in the outbox, and in the log above the stored positions."""
    conn = await asyncpg.connect(settings.url)
    try:
        outbox = await conn.fetchval("SELECT count(*) FROM bus.outbox WHERE octet_length(body) > 0")
        log = await logs.look(conn, kafka)  # after the outbox: what left it is in the log by now
        rows = await conn.fetch(_POSITIONS, log.id, CONSUMER)
    finally:
        await conn.close()
    stored: dict[Place, int] = {(row["topic"], row["part"]): row["next"] for row in rows}
    ends = {place: end for place, end in log.ends.items() if place[0] in CONSUMED_TOPICS}
    return int(outbox) + sum(max(0, end - stored.get(place, 0)) for place, end in ends.items())


async def counted(url: str) -> Counted:
    """What the process behind a door has counted of itself since it was started."""
    async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as reply:
        text = await reply.text()
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in _COUNTERS:
                word = sample.labels.get("outcome", "")
                found[sample.name, word] += round(sample.value)
    items, refused, folded = _COUNTERS
    return Counted(
        found[items, "accepted"], found[items, "rejected"], found[refused, ""],
        *(found[folded, word] for word in ("applied", "duplicate", "dead")),
    )  # fmt: skip


async def strangers(app_dsn: str, tenant: int) -> dict[str, int]:
    """Rows of others by table, as the role of requests sees them in a transaction of this tenant; {} is as promised."""
    conn = await asyncpg.connect(app_dsn)
    try:
        found: dict[str, int] = {}
        async with conn.transaction():
            await conn.execute(f"SET LOCAL app.tenants = '{tenant}'")
            for (table,) in await conn.fetch(_READABLE):
                rows = await conn.fetchval(f"SELECT count(*) FROM {table} WHERE tenant <> $1", tenant)
                if rows:
                    found[table] = rows
        return found
    finally:
        await conn.close()


def settings_of(ground: Ground) -> DatabaseSettings:
    """The database of a ground of the journeys, as its owner reaches it."""
    database = ground.database
    return DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password)


def _silent(_: str) -> None:
    """Progress is for people."""
