"""The route of the rank × tenure matrix."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf
from services.scoring.asof import Desk
from services.scoring.matrix import answers, store
from services.scoring.matrix.shapes import Matrix
from shared.http import Json
from shared.tenancy import Principal, Right, require


def matrix_routes(desk: Desk) -> APIRouter:
    """`GET /v1/matrix`."""
    routes = APIRouter(tags=["matrix"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/matrix", response_model=Matrix, summary="Whom to look after first")
    async def matrix(asker: Annotated[Principal, reader], as_of: AsOf = None) -> Response:
        """Accounts by rank (how many use the product) and tenure (how long they are customers)."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(answers.matrix(await store.totals(question), question.terms.settings)))

    return routes
