"""The keys of a tenant, as SQL, inside a tenant transaction: the policy keeps other tenants' keys out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from services.gateway.domain.access import KeyWish
from shared.postgres import Connection
from shared.tenancy import NewKey

# Keeps a new key; its secret only as a hash.
_INSERT: Final = """
INSERT INTO access.key (key_id, tenant, kind, role, csm_id, label, secret_hash, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
# A page of the tenant's keys, newest first.
_PAGE: Final = """
SELECT key_id, kind, role, csm_id, label, created_at, expires_at, revoked_at FROM access.key
WHERE $1::timestamptz IS NULL OR created_at < $1 OR (created_at = $1 AND key_id < $2)
ORDER BY created_at DESC, key_id DESC LIMIT $3
"""
_COUNT: Final = "SELECT count(*) FROM access.key"
# Ends a key for good; a second time changes nothing. Answers whether the tenant has such a key.
_REVOKE: Final = """
UPDATE access.key SET revoked_at = coalesce(revoked_at, $2) WHERE key_id = $1 RETURNING key_id
"""


async def insert_key(conn: Connection, tenant: int, key: NewKey, wish: KeyWish, now: datetime) -> None:
    """Keeps a new key of a tenant."""
    await conn.execute(
        _INSERT,
        key.key_id,
        tenant,
        wish.kind,
        wish.role,
        wish.csm_id,
        wish.label,
        key.secret_hash,
        now,
        wish.expires_at,
    )


async def page_of_keys(conn: Connection, after: tuple[datetime, str] | None, limit: int) -> tuple[Sequence[Any], int]:
    """Up to `limit` keys, newest first, after (created_at, key_id); and how many the tenant has."""
    since, key_id = after or (None, None)
    rows = await conn.fetch(_PAGE, since, key_id, limit)
    return rows, int(await conn.fetchval(_COUNT) or 0)


async def revoke_key(conn: Connection, key_id: str, now: datetime) -> bool:
    """Ends a key; False when the tenant has none of that id."""
    return await conn.fetchval(_REVOKE, key_id, now) is not None
