"""The route of imports: a sheet as the raw body, what its columns mean in the query."""

from tempfile import SpooledTemporaryFile
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingest.domain.rows import KINDS
from services.ingest.imports import Imports
from shared.errors import NotFound
from shared.http import params
from shared.http.answers import Json
from shared.sheets import parse_plan
from shared.tenancy import Right, check, principal

IN_MEMORY: Final = 8_000_000  # bytes of a file; a larger one goes to disk
_YES_NO: Final = {"true": True, "1": True, "false": False, "0": False, "": False}


class SheetRoutes:
    """`POST /v1/imports/{accounts,people,contacts,contracts}`."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    def routes(self) -> list[Route]:
        """The one route."""
        return [Route("/v1/imports/{kind}", self.take, methods=["POST"])]

    async def take(self, request: Request) -> Response:
        """`{rows_read, accepted, rejected: [{line, reason, code}], warnings}` when the rows are on the log."""
        asker = await principal(request)
        check(asker, Right.IMPORT)
        kind = KINDS.get(request.path_params["kind"])
        if kind is None:
            raise NotFound
        asked = request.query_params
        dry_run = _YES_NO.get(asked.get("dry_run", "").lower())
        if dry_run is None:
            params.refuse("dry_run", "not_a_flag", "Should be true or false.")
        plan = parse_plan(
            kind.fields, kind.required, asked.getlist("map"), asked.getlist("set"), asked.getlist("where")
        )
        with SpooledTemporaryFile(IN_MEMORY) as file:
            async for part in request.stream():
                file.write(part)
            file.seek(0)
            return Json(await self._imports.take(asker, request.path_params["kind"], file, plan, dry_run=dry_run))
