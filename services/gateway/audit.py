"""`GET /v1/audit`: who changed what, the newest first."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from shared.clock import Clock, zone
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_as_of, parse_limit
from shared.http.answers import EXACT
from shared.postgres import Connection, Database, tenant_transaction
from shared.tenancy import Principal, Right, require

Manager = Annotated[Principal, Depends(require(Right.MANAGE))]
Either = Annotated[list[str], Query(max_length=20)]
_MATCHING: Final = """
FROM access.audit a WHERE a.tenant = $1 AND a.at <= $2
  AND ($3::text[] IS NULL OR a.actor = ANY($3)) AND ($4::text[] IS NULL OR a.action = ANY($4))
  AND ($5::text[] IS NULL OR a.target = ANY($5))
"""
# A page of the log, the newest first, with the label that the key of a row bears now.
_PAGE: Final = f"""
SELECT p.*, k.label FROM (
  SELECT a.* {_MATCHING} AND ($6::bigint IS NULL OR a.seq < $6) ORDER BY a.seq DESC LIMIT $7
) p LEFT JOIN access.key k ON p.actor_kind = 'key' AND k.key_id = p.actor AND k.tenant = p.tenant
ORDER BY p.seq DESC
"""
_COUNT: Final = f"SELECT count(*) FROM (SELECT 1 {_MATCHING} LIMIT {EXACT + 1}) m"
_EXAMPLE: Final = {
    "id": 41, "at": "2026-06-15T03:00:00Z", "actor": "4fR0aQ9ZkT2b", "actor_kind": "key", "actor_label": "Aoki",
    "role": "manager", "action": "settings.change", "target": "settings",
    "summary": {"version": 3, "before": {"tenure": {"a": 0}}, "after": {"tenure": {"a": 1}}},
    "request_id": "9a1f0c5e6b7d48f2",
}  # fmt: skip


class AuditRow(BaseModel):
    """One write by a person. `actor`: a key's id; `subject@issuer` of a token; "command line" of the operator's own.
    `actor_label` is the key's label. `summary` holds ids, counts and settings; what may hold an address is withheld."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: int
    at: datetime
    actor: str
    actor_kind: str
    actor_label: str | None
    role: str | None
    action: str
    target: str
    summary: dict[str, Any]
    request_id: str


class AuditPage(BaseModel):
    """A page of the audit log."""

    as_of: datetime
    items: list[AuditRow]
    total: int | None
    next_cursor: str | None


def audit_routes(database: Database, clock: Clock) -> APIRouter:
    """`GET /v1/audit`: for admins and managers."""
    router = APIRouter(tags=["audit"])

    @router.get("/v1/audit", response_model=AuditPage, summary="Who changed what")
    async def page(
        asker: Manager,
        actor: Either = [],  # noqa: B006 FastAPI copies it
        action: Either = [],  # noqa: B006
        target: Either = [],  # noqa: B006
        as_of: str | None = None,
        limit: str | None = None,
        cursor: str | None = None,
    ) -> Response:
        """Every write by a person, a token or the command line, the newest first; a filter given twice means either.
        Rows are added in the transaction of the write and never changed."""
        at = parse_as_of(as_of, clock.now(), zone(asker.time_zone))
        size, stamp = parse_limit(limit), fingerprint("audit", actor, action, target)
        after = decode_cursor(cursor, stamp, int)
        asked = (asker.tenant, at, actor or None, action or None, target or None)
        async with tenant_transaction(database.app, asker.tenant) as conn:
            rows = await conn.fetch(_PAGE, *asked, after and after[0], size + 1)
            total = await _total(conn, asked)
        following = encode_cursor([rows[size - 1]["seq"]], stamp) if len(rows) > size else None
        return Json({"as_of": at, **listing([_shown(row) for row in rows[:size]], total, following)})

    return router


async def _total(conn: Connection, asked: tuple[Any, ...]) -> int:
    return int(await conn.fetchval(_COUNT, *asked) or 0)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("at", "actor", "actor_kind", "role", "action", "target", "request_id")}
    return {"id": row["seq"], **told, "actor_label": row["label"], "summary": msgspec.json.decode(row["summary"])}
