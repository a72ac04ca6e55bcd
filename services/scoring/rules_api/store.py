"""SQL of the settings: versions, each with its author."""

import json
from datetime import datetime
from typing import Final

from services.scoring.recheck import ask_all
from shared.postgres import Connection
from shared.tenant_settings import TenantSettings

LOCK: Final = 7_313  # advisory lock class, key = tenant: changes of one tenant's settings take turns
_LOCK: Final = "SELECT pg_advisory_xact_lock($1, $2)"
_INSERT: Final = """
INSERT INTO scoring.settings (tenant, version, document, author, at) VALUES ($1, $2, $3, $4, $5)
"""


async def take_turn(conn: Connection, tenant: int) -> None:
    """Waits until no other change of these settings is under way; call it before reading them."""
    await conn.execute(_LOCK, LOCK, tenant)


async def save(
    conn: Connection, tenant: int, version: int, settings: TenantSettings, author: str, now: datetime
) -> None:
    """The next version, and the order to judge every account again. Raises what SQL raises."""
    await conn.execute(_INSERT, tenant, version, json.dumps(settings.document()), author, now)
    await ask_all(conn, tenant, now)
