"""The accountant at a test's hand: waits until nothing is on its way, then audits as `genki audit-ledger` does.

`report = await audit(settings, kafka, path)`; `report.green`, `report.broken()` (the equations), `report.text()`.
`settings` names the database as its owner, `kafka` is a bootstrap address or None for the log in PostgreSQL.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg

from services.scoring.consumer import NAME as CONSUMER
from services.scoring.ledger import log as logs
from services.scoring.ledger.books import Report
from services.scoring.ledger.read import audit as audit_all
from shared.bus import BusUnavailable, Place
from shared.facts import CONSUMED_TOPICS
from shared.postgres import DatabaseSettings
from tests.journeys.running import Ground

_POSITIONS: Final = "SELECT topic, part, next FROM bus.position WHERE bus = $1 AND consumer = $2"
_TROUBLE: Final = (BusUnavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def audit(settings: DatabaseSettings, kafka: str | None, ledger: Path | None, seconds: float = 90.0) -> Report:
    """The seven equations after the drain; what has not drained after `seconds` is told by the report."""
    await drained(settings, kafka, seconds)
    return await audit_all(settings, kafka, datetime.now(UTC), ledger, _silent)


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


def settings_of(ground: Ground) -> DatabaseSettings:
    """The database of a ground of the journeys, as its owner reaches it."""
    database = ground.database
    return DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password)


def _silent(_: str) -> None:
    """Progress is for people."""
