"""The route of one account's health: the score and its reasons."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.scoring.accounts import store
from services.scoring.accounts.answers import utc
from services.scoring.accounts.api import AsOf
from services.scoring.accounts.shapes import HealthAnswer
from services.scoring.asof import Desk, Question, past
from services.scoring.state import health_document
from shared.errors import NotFound
from shared.http import Json
from shared.tenancy import Principal, Right, require


def health_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts/{account_id}/health`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/v1/accounts/{account_id:id}/health", response_model=HealthAnswer, summary="Health and why")
    async def health(
        account_id: str, asker: Annotated[Principal, Depends(require(Right.READ))], as_of: AsOf = None
    ) -> Response:
        """The score with every dimension's value, weight, contribution and inputs; a cap that bites is its own row.
        All eight dimensions are listed, null without data; a churned account has no score."""
        async with desk.question(asker, as_of) as question:
            answer = await (_live if question.live else _past)(question, account_id)
            return Json(question.stamped(answer))

    return routes


async def _live(question: Question, account_id: str) -> dict[str, Any]:
    row = await store.one(question, account_id)
    if row is None:
        raise NotFound
    document = msgspec.json.decode(row["health"])
    return {
        "account_id": row["account_id"],
        "score": row["score"],
        "band": row["band"],
        "effective_band": row["effective_band"],
        "confidence": row["confidence"],
        **document,
        "computed_at": utc(row["computed_at"]),
    }


async def _past(question: Question, account_id: str) -> dict[str, Any]:
    account = await store.key_of(question, account_id)
    found = await past(question.conn, question.terms, question.at, [account]) if account else {}
    if account not in found:
        raise NotFound
    one = found[account]
    return {
        "account_id": one.account_id,
        "score": one.score,
        "band": one.band,
        "effective_band": one.effective_band,
        "confidence": one.confidence,
        **health_document(one),
        "computed_at": question.at,
    }
