"""Routes of nps: imported answers, and the surveys they belong to."""

from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from services.nps import store
from services.nps.domain.answers import FIELDS, REQUIRED
from services.nps.handlers import Imports
from services.nps.shapes import ImportAnswer, SurveyList
from shared.clock import from_micros, to_micros
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.postgres import Database, tenant_transaction
from shared.sheets import parse_plan
from shared.tenancy import Principal, Right, require

IN_MEMORY: Final = 8_000_000  # bytes of a file; a larger one goes to disk
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_STAMP: Final = fingerprint("surveys")
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("text/csv", XLSX)},
    }
}
Map = Annotated[list[str], Query(alias="map", description=f"column=field; fields: {', '.join(FIELDS)}.")]
Set = Annotated[list[str], Query(alias="set", description="field=value: the same in every row.")]
Where = Annotated[list[str], Query(description="column=value: only these rows; twice on one column means either.")]
DryRun = Annotated[bool, Query(description="Say what would happen, change nothing.")]


def nps_routes(database: Database, imports: Imports) -> APIRouter:
    """`POST /v1/imports/responses`, `GET /v1/surveys`."""
    routes = APIRouter(tags=["nps"])

    @routes.post(
        "/v1/imports/responses", response_model=ImportAnswer, openapi_extra=_BODY, summary="Import survey responses"
    )
    async def responses(
        request: Request,
        asker: Annotated[Principal, Depends(require(Right.IMPORT))],
        maps: Map = [],  # noqa: B006 FastAPI copies it
        sets: Set = [],  # noqa: B006
        where: Where = [],  # noqa: B006
        dry_run: DryRun = False,
    ) -> Response:
        """CSV (UTF-8, UTF-16 or Shift_JIS; comma, semicolon or tab) or XLSX as the raw body; line 1 is the header. The
        answer comes when the accepted rows are on the log. The same file twice changes nothing."""
        plan = parse_plan(FIELDS, REQUIRED, maps, sets, where)
        with SpooledTemporaryFile(IN_MEMORY) as file:
            async for part in request.stream():
                file.write(part)
            file.seek(0)
            return Json(await imports.responses(asker, file, plan, dry_run=dry_run))

    @routes.get("/v1/surveys", response_model=SurveyList, summary="Surveys")
    async def surveys(
        asker: Annotated[Principal, Depends(require(Right.READ))], limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Every survey with its name, the newest first."""
        return Json(await _surveys(database, asker, parse_limit(limit), cursor))

    return routes


async def _surveys(database: Database, asker: Principal, size: int, cursor: str | None) -> dict[str, Any]:
    found = decode_cursor(cursor, _STAMP, int, str)
    before = (from_micros(found[0]), found[1]) if found else (_END, "")
    async with tenant_transaction(database.app, asker.tenant) as conn:
        rows = await store.page(conn, asker.tenant, before, size + 1)
        total = await store.total(conn, asker.tenant)
    last = rows[size - 1] if len(rows) > size else None
    more = encode_cursor([to_micros(last["created_at"].astimezone(UTC)), last["survey_id"]], _STAMP) if last else None
    return listing([dict(row) for row in rows[:size]], total, more, filtered=False)
