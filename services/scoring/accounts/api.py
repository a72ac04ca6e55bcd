"""Routes of the account list and of one account."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts import store
from services.scoring.accounts.answers import detail, detail_past, listed, listed_past
from services.scoring.accounts.shapes import AccountDetail, AccountList
from services.scoring.asof import Desk, Question, past
from shared.errors import NotFound
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.tenancy import Principal, Right, require

AsOf = Annotated[str | None, Query(description="A day or an RFC 3339 instant; now when absent.")]
Limit = Annotated[str | None, Query(description="1 to 500, default 50.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
_TYPES: Final = (int, int, int, str)


def account_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts`, `GET /v1/accounts/{account_id}`."""
    routes = APIRouter(tags=["accounts"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/accounts", response_model=AccountList, summary="The daily list")
    async def accounts(
        asker: Annotated[Principal, reader], limit: Limit = None, cursor: Cursor = None, as_of: AsOf = None
    ) -> Response:
        """Every account that is not churned: by priority, band, ACV, id; each with its change against 1, 7 and 28 days
        ago and the rules that say it needs action."""
        size = parse_limit(limit)
        stamp = fingerprint("accounts", as_of)
        after = decode_cursor(cursor, stamp, *_TYPES)
        async with desk.question(asker, as_of) as question:
            page = _live_page if question.live else _past_page
            return Json(question.stamped(await page(question, after, size, stamp)))

    @routes.get("/v1/accounts/{account_id:id}", response_model=AccountDetail, summary="One account")
    async def account(account_id: str, asker: Annotated[Principal, reader], as_of: AsOf = None) -> Response:
        """The account as it stands (or stood at `as_of`). 404 for an id that no fact has named by then."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _one(question, account_id)))

    return routes


async def _live_page(question: Question, after: list[Any] | None, size: int, stamp: str) -> dict[str, Any]:
    rows = await store.page(question, tuple(after) if after else store.FIRST, size + 1)
    currency = question.terms.settings.currency
    items = [listed(row, currency) for row in rows[:size]]
    last = rows[size - 1] if len(rows) > size else None
    names = ("priority_order", "band_order", "acv_order", "account_id")
    cursor = encode_cursor([last[name] for name in names], stamp) if last else None
    return listing(items, await store.live_total(question), cursor, filtered=False)


async def _past_page(question: Question, after: list[Any] | None, size: int, stamp: str) -> dict[str, Any]:
    found = await past(question.conn, question.terms, question.at, changes=True)
    kept = sorted((one for one in found.values() if not one.churned), key=lambda one: one.list_key)
    start = int(after[0]) if after else 0
    items = [listed_past(one, question.terms.settings.currency) for one in kept[start : start + size]]
    cursor = encode_cursor([start + size, 0, 0, ""], stamp) if len(kept) > start + size else None
    return listing(items, len(kept), cursor, filtered=False)


async def _one(question: Question, account_id: str) -> dict[str, Any]:
    currency = question.terms.settings.currency
    if question.live:
        row = await store.one(question, account_id)
        if row is None:
            raise NotFound
        return detail(row, currency)
    account = await store.key_of(question, account_id)
    found = await past(question.conn, question.terms, question.at, [account], changes=True) if account else {}
    if account not in found:
        raise NotFound
    return detail_past(found[account], currency)
