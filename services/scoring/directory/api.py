"""The routes by which nps learns whom it would write to. The gateway has no rule for them: they are not public."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from services.scoring.asof import Desk
from services.scoring.directory import store
from shared.errors import Fault, Invalid
from shared.http import Json
from shared.postgres import tenant_transaction
from shared.tenancy import Principal, Right, require

MAX_IDS: Final = 1_000
MAX_AUDIENCE: Final = 20_000  # persons of one choice of accounts
Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Reader = Annotated[Principal, Depends(require(Right.READ))]
Column = Literal["tier", "rank", "tenure", "csm_id", "team", "status", "effective_band", "priority", "account_id"]


class Asked(BaseModel):
    """Whom is asked about."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Id] = Field(max_length=MAX_IDS)


class Choice(BaseModel):
    """Whose persons are asked for: accounts that meet every filter, each by one of its values."""

    model_config = ConfigDict(extra="forbid")

    filters: dict[Column, list[Id]]


def directory_routes(desk: Desk) -> APIRouter:
    """`POST /internal/people`, `POST /internal/audience`."""
    routes = APIRouter()

    @routes.post("/internal/people", include_in_schema=False)
    async def people(asker: Reader, body: Asked) -> Response:
        async with tenant_transaction(desk.database.app, asker.tenant) as conn:
            return Json({"items": await store.people(conn, asker.tenant, body.ids)})

    @routes.post("/internal/audience", include_in_schema=False)
    async def audience(asker: Reader, body: Choice) -> Response:
        async with tenant_transaction(desk.database.app, asker.tenant) as conn:
            items = await store.audience(conn, asker.tenant, body.filters, MAX_AUDIENCE)
        if items is None:
            detail = f"More than {MAX_AUDIENCE} persons belong to these accounts; choose fewer accounts."
            raise Invalid(errors=[Fault("/filter", "too_many_persons", detail)])
        return Json({"items": items})

    return routes
