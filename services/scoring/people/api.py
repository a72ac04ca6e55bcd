"""The route of an account's people."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf, Cursor, Limit
from services.scoring.accounts.known import known_account
from services.scoring.accounts.store import id_of
from services.scoring.asof import Desk
from services.scoring.people import store
from services.scoring.people.answers import person
from services.scoring.people.shapes import PeopleAnswer
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.tenancy import Principal, Right, require


def people_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts/{account_id}/people`."""
    routes = APIRouter(tags=["accounts"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/accounts/{account_id:id}/people", response_model=PeopleAnswer, summary="Who is there")
    async def people(
        account_id: str, asker: Annotated[Principal, reader], limit: Limit = None, cursor: Cursor = None,
        as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """Everybody whom a person fact, usage or an answer names in the account, deactivated or not, by id; ids that
        are joined are one person. 404 for an account that no fact has named by then."""
        size, stamp = parse_limit(limit), fingerprint("people", account_id, as_of)
        found = decode_cursor(cursor, stamp, str)
        async with desk.question(asker, as_of) as question:
            account = await known_account(question, account_id)
            listed, total, more = await store.page(question, account, (found[0] or "") if found else "", size)
            following = encode_cursor([listed[-1].person_id], stamp) if more else None
            items = listing([person(one) for one in listed], total, following, filtered=False)
            return Json(question.stamped({"account_id": await id_of(question, account), **items}))

    return routes
