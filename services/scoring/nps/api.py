"""Routes of NPS: the figure, the answers, one account's figure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts import sheet
from services.scoring.accounts.api import AsOf, Cursor, Limit
from services.scoring.accounts.known import known_account
from services.scoring.accounts.sheet import CSV, Format, Sheet
from services.scoring.asof import Desk, Question
from services.scoring.nps import store
from services.scoring.nps.answers import COUNTED_BY, counted, grouped, response_item
from services.scoring.nps.rules import Tally
from services.scoring.nps.shapes import AccountNps, NpsAnswer, ResponseItem, ResponseList
from shared.clock import from_micros, to_micros
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_day, parse_limit
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

DEFAULT_DAYS: Final = 90
From = Annotated[str | None, Query(alias="from", description="First day of the period; 90 days in all when absent.")]
To = Annotated[str | None, Query(description="Last day of the period; the day of `as_of` when absent.")]
By = Annotated[Literal["tenant", "account", "tier", "csm", "survey"], Query(description="What the groups are.")]
Ids = Annotated[list[str], Query(description="Only these; given twice means either.")]
_COLUMNS: Final = Sheet(ResponseItem)
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)


def nps_routes(desk: Desk) -> APIRouter:
    """`GET /v1/nps`, `GET /v1/responses`, `GET /v1/accounts/{account_id}/nps`."""
    routes = APIRouter(tags=["nps"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/nps", response_model=NpsAnswer, summary="Net promoter score")
    async def nps(
        asker: Annotated[Principal, reader], first: From = None, to: To = None, by: By = "tenant", as_of: AsOf = None
    ) -> Response:
        """Each person's latest score in the period; by account, tier and CSM the latest per person and account, by
        survey the latest in that survey. Accounts are grouped as they stood at the end of the period."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _nps(question, _period(question, first, to), by)))

    @routes.get("/v1/responses", response_model=ResponseList, responses=CSV, summary="What customers answered")
    async def responses(
        asker: Annotated[Principal, reader], account_id: Ids = [], survey_id: Ids = [],  # noqa: B006
        format: Format = "json", limit: Limit = None, cursor: Cursor = None, as_of: AsOf = None,  # noqa: A002
    ) -> Response:  # fmt: skip
        """The latest answer per person and survey, with or without a score, the newest first."""
        size, stamp = parse_limit(limit), fingerprint("responses", as_of, tuple(account_id), tuple(survey_id))
        found = decode_cursor(cursor, stamp, int, str)
        after = (from_micros(found[0]), found[1]) if found else (_END, "")
        async with desk.question(asker, as_of) as question:
            if format == "csv":
                return await _sheet(question, after, size if limit else None, account_id, survey_id)
            return Json(question.stamped(await _responses(question, after, size, stamp, account_id, survey_id)))

    @routes.get("/v1/accounts/{account_id:id}/nps", response_model=AccountNps, summary="One account's NPS")
    async def account_nps(
        account_id: str, asker: Annotated[Principal, reader], first: From = None, to: To = None, as_of: AsOf = None
    ) -> Response:
        """The latest score of each person who answered for it; of joined ids the answers of all, under the id that
        stands for them. 404 for an id that no fact has named by then."""
        async with desk.question(asker, as_of) as question:
            account = await known_account(question, account_id)
            period = _period(question, first, to)
            [(stands_for, told)] = (await store.account_tally(question, period, account)).items()
            return Json(question.stamped({"account_id": stands_for, **_days(period), **counted(told)}))

    return routes


def _period(question: Question, first: str | None, to: str | None) -> store.Period:
    last = parse_day(to, "to") if to else question.day
    begin = parse_day(first, "from") if first else last - timedelta(days=DEFAULT_DAYS - 1)
    if begin > last:
        refuse("from", "out_of_range", "Should not lie after `to`.")
    return store.period_of(question, begin, last)


def _days(period: store.Period) -> dict[str, date]:
    return {"from": period.first, "to": period.last}


async def _nps(question: Question, period: store.Period, by: str) -> dict[str, Any]:
    whole = await store.tallies(question, period, "tenant")
    tallies = whole if by == "tenant" else await store.tallies(question, period, COUNTED_BY[by])
    named = [key for key in tallies if key is not None] if COUNTED_BY[by] == "account" else []
    groups = grouped(by, tallies, await store.standings(question, period, named))
    return {**_days(period), **counted(whole.get("tenant", Tally())), "groups": groups}


async def _responses(
    question: Question, after: tuple[datetime, str], size: int, stamp: str, accounts: list[str], surveys: list[str]
) -> dict[str, Any]:
    rows = await store.page(question, after, size + 1, accounts, surveys)
    end = _end(rows, size)
    cursor = encode_cursor([to_micros(end[0].astimezone(UTC)), end[1]], stamp) if end else None
    items = [response_item(row) for row in rows[:size]]
    total = await store.total(question, accounts, surveys)
    return listing(items, total, cursor, filtered=bool(accounts or surveys))


def _end(rows: Sequence[Any], size: int) -> tuple[datetime, str] | None:
    """Where a page of this size ends; None where nothing follows it."""
    return (rows[size - 1]["at"], rows[size - 1]["response_id"]) if len(rows) > size else None


async def _sheet(
    question: Question, after: tuple[datetime, str], size: int | None, accounts: list[str], surveys: list[str]
) -> Response:
    async def read(
        place: tuple[datetime, str], most: int
    ) -> tuple[list[dict[str, Any]], int, tuple[datetime, str] | None]:
        rows = await store.page(question, place, most + 1, accounts, surveys)
        items = [response_item(row) for row in rows[:most]]
        return items, len(items), _end(rows, most)

    return await sheet.answer(question, _COLUMNS, "responses", after, size, read)
