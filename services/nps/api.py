"""Routes of nps: imported answers."""

from tempfile import SpooledTemporaryFile
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from services.nps.domain.answers import FIELDS, REQUIRED
from services.nps.handlers import Imports
from services.nps.shapes import ImportAnswer
from shared.http import Json
from shared.sheets import parse_plan
from shared.tenancy import Principal, Right, require

IN_MEMORY: Final = 8_000_000  # bytes of a file; a larger one goes to disk
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
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


def import_routes(imports: Imports) -> APIRouter:
    """`POST /v1/imports/responses`."""
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

    return routes
