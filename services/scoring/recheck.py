"""What a change of rules asks of the workers: every account is assessed again."""

from datetime import date, datetime
from typing import Final

from services.scoring.gather import EVER
from shared.postgres import Connection

_ASK: Final = "INSERT INTO recheck (tenant, kind, key, since, received) VALUES ($1, 'all', '', $2, $3)"


async def ask_all(conn: Connection, tenant: int, now: datetime, since: date = EVER) -> None:
    """For the transaction that changes the rules, which must be a worker's: all is judged again from `since` on."""
    await conn.execute(_ASK, tenant, since, now)
