"""The settings: versions, each with its author."""

from datetime import datetime
from typing import Final

from sqlalchemy import insert

from services.scoring.recheck import ask_all
from services.scoring.tables import Settings
from shared import tables
from shared.postgres import Connection
from shared.tenant_settings import TenantSettings

LOCK: Final = 7_313  # advisory lock class, key = tenant: changes of one tenant's settings take turns
_LOCK: Final = "SELECT pg_advisory_xact_lock($1, $2)"


async def take_turn(conn: Connection, tenant: int) -> None:
    """Waits until no other change of these settings is under way; call it before reading them."""
    await conn.execute(_LOCK, LOCK, tenant)


async def save(
    conn: Connection, tenant: int, version: int, settings: TenantSettings, author: str, now: datetime
) -> None:
    """The next version, and the order to judge every account again. Raises what SQL raises."""
    made = insert(Settings).values(tenant=tenant, version=version, document=settings.document(), author=author, at=now)
    await tables.execute(conn, made)
    await ask_all(conn, tenant, now)
