"""Routes of talking points and of the report that a customer is given."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf
from services.scoring.accounts.known import known_account
from services.scoring.asof import Desk, Question
from services.scoring.matrix.actions import RULES_OFF
from services.scoring.talking import store
from services.scoring.talking.rules import OFF, Point, agenda
from services.scoring.talking.shapes import TalkingPoints
from shared.http import Json
from shared.tenancy import Principal, Right, require


def talking_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts/{account_id}/talking-points`."""
    routes = APIRouter(tags=["accounts"])
    reader = Depends(require(Right.READ))

    @routes.get(
        "/v1/accounts/{account_id:id}/talking-points", response_model=TalkingPoints, summary="What to talk about"
    )
    async def talking_points(account_id: str, asker: Annotated[Principal, reader], as_of: AsOf = None) -> Response:
        """A short agenda made from the account's data, each point with its figures and in both languages. 404 for an
        account that no fact has named by then."""
        async with desk.question(asker, as_of) as question:
            account = await known_account(question, account_id)
            return Json(question.stamped(await _answer(question, account)))

    return routes


async def _answer(question: Question, account: int) -> dict[str, Any]:
    seen = await store.known(question, account)
    points = agenda(await store.picture(question, account, seen))
    return {
        "account_id": seen.account_id,
        "name": seen.attributes.get("name"),
        "items": [_point(one) for one in points],
        "off": [{"kind": kind, "words": said.as_json()} for kind, said in OFF.items()],
        "rules_off": list(RULES_OFF),
    }


def _point(one: Point) -> dict[str, Any]:
    return {"kind": one.kind, "words": one.words.as_json(), "figures": one.figures}
