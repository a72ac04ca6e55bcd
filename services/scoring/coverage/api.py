"""The route of coverage."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf
from services.scoring.asof import Desk, Question
from services.scoring.coverage import answers, store
from services.scoring.coverage.shapes import CoverageAnswer
from shared.http import Json
from shared.tenancy import Principal, Right, require

By = Annotated[Literal["tenant", "tier", "csm", "team", "rank"], Query(description="What the groups are.")]


def coverage_routes(desk: Desk) -> APIRouter:
    """`GET /v1/coverage`."""
    routes = APIRouter(tags=["coverage"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/coverage", response_model=CoverageAnswer, summary="Who was talked to in time")
    async def coverage(asker: Annotated[Principal, reader], by: By = "tenant", as_of: AsOf = None) -> Response:
        """Covered ÷ eligible of the tenant and of each group of accounts as they stand (or stood at `as_of`). A CSM's
        are those the CSM owns then, whoever called."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _answer(question, by)))

    return routes


async def _answer(question: Question, by: str) -> dict[str, Any]:
    counts = await store.counts(question, by)
    names = await store.csm_names(question) if by == "csm" else {}
    settings = question.terms.settings.coverage
    return {"overall": answers.overall(counts, settings), "groups": answers.groups(by, counts, names, settings)}
