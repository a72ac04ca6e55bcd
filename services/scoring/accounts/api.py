"""Routes of the account list and of one account."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts import sheet, store
from services.scoring.accounts.answers import detail, detail_past, listed, listed_past, listed_rows
from services.scoring.accounts.asked import COLUMNS, Asked
from services.scoring.accounts.chosen import total
from services.scoring.accounts.classes import DIGITS
from services.scoring.accounts.listing import After, live_page, past_list, past_page
from services.scoring.accounts.search import folded
from services.scoring.accounts.shapes import AccountDetail, AccountItem, AccountList
from services.scoring.accounts.sheet import CSV, Format, Sheet
from services.scoring.asof import Desk, Question, past
from services.scoring.matrix.rules import BANDS
from services.scoring.quick import Asked as Given
from services.scoring.quick import Quick
from shared.errors import NotFound
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit, parse_sort
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

AsOf = Annotated[str | None, Query(description="A day or an RFC 3339 instant; now when absent.")]
Limit = Annotated[str | None, Query(description="1 to 500, default 50.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]
Tiers = Annotated[list[Literal["high", "low", "tech"]] | None, Query(description="Twice means either, as everywhere.")]
Ranks = Annotated[list[Literal["A", "B", "C", "D"]] | None, Query()]
Tenures = Annotated[list[Literal["a", "b", "c", "d"]] | None, Query()]
Bands = Annotated[list[Literal["red", "yellow", "unknown", "green"]] | None, Query(description="The effective band.")]
Statuses = Annotated[
    list[Literal["onboarding", "active", "churned"]] | None, Query(description="Churned ones only when asked for.")
]
Priorities = Annotated[list[Literal["High", "Middle", "Low"]] | None, Query()]
Csms = Annotated[list[str] | None, Query(description="Accounts of this CSM; `me` is the asker.")]
Teams = Annotated[list[str] | None, Query(description="Accounts of this team.")]
Words = Annotated[str | None, Query(max_length=200, description="How the name or the id begins, in any case or width.")]
Sort = Annotated[str | None, Query(description="Any column of an item; with a minus before it descending.")]
_COLUMNS: Final = Sheet(AccountItem)
# Filters by the column of account_state that they speak of.
_FILTERS: Final = {
    "tier": "tier", "rank": "rank", "tenure": "tenure", "band": "effective_band", "csm": "csm_id", "team": "team",
    "status": "status", "priority": "priority",
}  # fmt: skip


def account_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts`, `GET /v1/accounts/{account_id}`."""
    routes = APIRouter(tags=["accounts"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/accounts", response_model=AccountList, responses=CSV, summary="The daily list")
    async def accounts(
        asker: Annotated[Principal, reader], tier: Tiers = None, rank: Ranks = None, tenure: Tenures = None,
        band: Bands = None, csm: Csms = None, team: Teams = None, status: Statuses = None,
        priority: Priorities = None, q: Words = None, sort: Sort = None, format: Format = "json",  # noqa: A002
        limit: Limit = None, cursor: Cursor = None, as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """Every account that is not churned: by priority, band, ACV, id, or by any column (nulls last, ties by id);
        each with its change against 1, 7 and 28 days ago and the rules that say it needs action."""
        told = {
            "tier": tier, "rank": rank, "tenure": tenure, "band": band, "csm": csm, "team": team, "status": status,
            "priority": priority,
        }  # fmt: skip
        asked, size = _asked(told, asker, q, sort), parse_limit(limit)
        stamp = fingerprint("accounts", as_of, asked)
        after = _after(decode_cursor(cursor, stamp, *asked.types), asked)
        async with desk.question(asker, as_of) as question:
            if format == "csv":
                return await _sheet(question, asked, after, size if limit else None)
            return Json(question.stamped(await _page(question, asked, after, size, stamp)))

    @routes.get("/v1/accounts/{account_id:id}", response_model=AccountDetail, summary="One account")
    async def account(account_id: str, asker: Annotated[Principal, reader], as_of: AsOf = None) -> Response:
        """The account as it stands (or stood at `as_of`). 404 for an id that no fact has named by then."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _one(question, account_id)))

    return routes


def asked_csms(asked: Sequence[str] | None, asker: Principal) -> list[str] | None:
    """The CSMs meant, `me` being the asker's own. Raises Invalid for a key that names none."""
    if asked is None:
        return None
    if "me" in asked and asker.csm_id is None:
        refuse("csm", "no_csm", "This key names no CSM.")
    return plain([asker.csm_id or "" if one == "me" else one for one in asked])


def plain(asked: Sequence[str] | None) -> list[str] | None:
    """Without what no table can hold, and so nobody is called."""
    return None if asked is None else [one for one in asked if "\0" not in one]


def quick_list(desk: Desk) -> Quick:
    """The list of now, as JSON."""

    async def answer(asker: Principal, _: str, told: Given) -> dict[str, Any]:
        sort, limit, cursor = (told.get(name, [None])[0] for name in ("sort", "limit", "cursor"))
        asked, size = _asked(told, asker, None, sort), parse_limit(limit)
        stamp = fingerprint("accounts", None, asked)
        after = _after(decode_cursor(cursor, stamp, *asked.types), asked)
        async with desk.glance(asker) as question:
            return question.stamped(await _page(question, asked, after, size, stamp))

    values: dict[str, frozenset[str] | None] = {
        name: frozenset(one for one in DIGITS[column] if one) for name, column in _FILTERS.items() if column in DIGITS
    }
    return Quick(
        "/v1/accounts", answer, dict.fromkeys(("sort", "limit", "cursor")), values | {"csm": None, "team": None}
    )


def _asked(told: Mapping[str, Sequence[str] | None], asker: Principal, words: str | None, sort: str | None) -> Asked:
    """Of the parameters as they were given."""
    chosen = {column: told.get(name) for name, column in _FILTERS.items()}
    chosen |= {"csm_id": asked_csms(chosen["csm_id"], asker), "team": plain(chosen["team"])}
    given = {name: tuple(values) for name, values in chosen.items() if values is not None}
    if words and "\0" in words:
        refuse("q", "out_of_range", "Should hold no NUL.")
    column, descending = parse_sort(sort, COLUMNS, "account_id") if sort else (None, False)
    return Asked(given, folded(words) if words else None, column, descending)


def _after(found: list[Any] | None, asked: Asked) -> After:
    """Where the page before ended. Raises Invalid for a cursor that no list of ours gave."""
    if found is None:
        return None
    try:
        first = found[0] if asked.sort is None else COLUMNS[asked.sort].meant(found[0])
    except (ValueError, OverflowError):
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")
    if found[-1] is None or (asked.sort is None and not _placed(found)):
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")
    return [first, *found[1:]]


def _placed(found: list[Any]) -> bool:
    """Whether the default order has such a place."""
    return None not in found and all(0 <= order < len(BANDS) for order in found[:2])


async def _page(question: Question, asked: Asked, after: After, size: int, stamp: str) -> dict[str, Any]:
    currency = question.terms.settings.currency
    if question.live:
        rows, end = await live_page(question, asked, after, size)
        items, count = listed_rows(rows, currency), await total(question, asked, rows)
    else:
        kept = await past_list(question, asked)
        part, end = past_page(kept, asked, after, size)
        items, count = [listed_past(one, currency) for one in part], len(kept)
    told = end if end is None or asked.sort is None else [COLUMNS[asked.sort].told(end[0]), end[1]]
    cursor = None if told is None else encode_cursor(told, stamp)
    return listing(items, count, cursor, filtered=not asked.unfiltered)


async def _sheet(question: Question, asked: Asked, after: After, size: int | None) -> Response:
    currency = question.terms.settings.currency

    async def read(place: After, most: int) -> tuple[Iterable[Mapping[str, Any]], int, After]:
        if question.live:
            rows, end = await live_page(question, asked, place, most)
            return (listed(row, currency) for row in rows), len(rows), end
        found, end = past_page(await past_list(question, asked), asked, place, most)
        return (listed_past(one, currency) for one in found), len(found), end

    return await sheet.answer(question, _COLUMNS, "accounts", after, size, read)


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
