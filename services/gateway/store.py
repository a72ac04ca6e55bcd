"""The keys of a tenant, inside a tenant transaction: the policy keeps other tenants' keys out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, tuple_, update
from sqlmodel import col, func

from services.gateway.domain.access import KeyWish
from services.gateway.tables import Key
from shared import tables
from shared.postgres import Connection
from shared.tenancy import NewKey

_SHOWN: Final = (
    Key.key_id, Key.kind, Key.role, Key.csm_id, Key.label, Key.created_at, Key.expires_at, Key.revoked_at
)  # fmt: skip
# A page of the tenant's keys, newest first; the pages after the first begin after a place.
_PAGE: Final = (
    select(*map(col, _SHOWN)).order_by(col(Key.created_at).desc(), col(Key.key_id).desc()).limit(bindparam("limit"))
)
_NEXT_PAGE: Final = _PAGE.where(
    tuple_(col(Key.created_at), col(Key.key_id)) < tuple_(bindparam("since"), bindparam("after"))
)
_COUNT: Final = select(func.count()).select_from(Key)
# Ends a key for good; a second time changes nothing.
_REVOKE: Final = (
    update(Key)
    .where(col(Key.key_id) == bindparam("asked"))
    .values(revoked_at=func.coalesce(Key.revoked_at, bindparam("now")))
)


async def insert_key(conn: Connection, tenant: int, key: NewKey, wish: KeyWish, now: datetime) -> None:
    """Keeps a new key of a tenant; its secret only as a hash."""
    made = {"key_id": key.key_id, "secret_hash": key.secret_hash, "created_at": now}
    await tables.execute(conn, insert(Key).values(tenant=tenant, **made, **wish._asdict()))


async def page_of_keys(conn: Connection, after: tuple[datetime, str] | None, limit: int) -> tuple[Sequence[Any], int]:
    """Up to `limit` keys, newest first, after (created_at, key_id); and how many the tenant has."""
    if after is None:
        rows = await tables.rows(conn, _PAGE, limit=limit)
    else:
        rows = await tables.rows(conn, _NEXT_PAGE, limit=limit, since=after[0], after=after[1])
    return rows, int(await tables.value(conn, _COUNT) or 0)


async def revoke_key(conn: Connection, key_id: str, now: datetime) -> bool:
    """Ends a key; False when the tenant has none of that id."""
    return await tables.execute(conn, _REVOKE, asked=key_id, now=now) > 0
