"""The route of the rank × tenure matrix."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf
from services.scoring.asof import Desk
from services.scoring.matrix import answers, store
from services.scoring.matrix.shapes import Matrix
from services.scoring.quick import Asked, Quick
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


def quick_matrix(desk: Desk) -> Quick:
    """The matrix of now."""

    async def answer(asker: Principal, _id: str, _asked: Asked) -> dict[str, Any]:
        async with desk.glance(asker, settings=True) as question:
            return question.stamped(answers.matrix(await store.totals(question), question.terms.settings))

    return Quick("/v1/matrix", answer)
