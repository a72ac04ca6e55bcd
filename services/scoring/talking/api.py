"""Routes of talking points and of the report that a customer is given."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, Response

from services.scoring.accounts.api import AsOf
from services.scoring.accounts.known import known_account
from services.scoring.asof import Desk, Question
from services.scoring.matrix.actions import RULES_OFF
from services.scoring.talking import store
from services.scoring.talking.report import PAGES, page
from services.scoring.talking.rules import OFF, Point, agenda
from services.scoring.talking.shapes import TalkingPoints
from shared.http import Json
from shared.tenancy import Principal, Right, require

Lang = Annotated[Literal["ja", "en"], Query(description="The page's language.")]
_HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The page", "content": {"text/html": {"schema": {"type": "string"}}}}
}


def talking_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts/{account_id}/talking-points`, `GET /v1/accounts/{account_id}/report`."""
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

    @routes.get(
        "/v1/accounts/{account_id:id}/report", response_class=HTMLResponse, responses=_HTML,
        summary="A page for the customer",
    )  # fmt: skip
    async def report(
        account_id: str, asker: Annotated[Principal, reader], lang: Lang = "ja", as_of: AsOf = None
    ) -> Response:
        """One page of HTML to be printed or sent: how the account used the product in 28 days, in Japanese or English.
        It holds nothing that is meant for the team alone. 404 for an account that no fact has named by then."""
        async with desk.question(asker, as_of) as question:
            seen = await store.report(question, await known_account(question, account_id), lang)
            return HTMLResponse(page(seen, lang), headers=PAGES.headers)

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
