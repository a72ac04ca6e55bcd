"""The route by which nps learns whom it would write to. The gateway has no rule for it: it is not public."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from services.scoring.asof import Desk
from services.scoring.directory import store
from shared.http import Json
from shared.postgres import tenant_transaction
from shared.tenancy import Principal, Right, require

MAX_IDS: Final = 1_000
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class Asked(BaseModel):
    """Whom is asked about."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Id] = Field(max_length=MAX_IDS)


def directory_routes(desk: Desk) -> APIRouter:
    """`POST /internal/people`."""
    routes = APIRouter()

    @routes.post("/internal/people", include_in_schema=False)
    async def people(asker: Annotated[Principal, Depends(require(Right.READ))], body: Asked) -> Response:
        async with tenant_transaction(desk.database.app, asker.tenant) as conn:
            return Json({"items": await store.people(conn, asker.tenant, body.ids)})

    return routes
