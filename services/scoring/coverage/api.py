"""Routes of coverage: the figure, its series, the worklist, the contact rate."""

import re
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts import sheet
from services.scoring.accounts.api import AsOf, Cursor, Limit
from services.scoring.accounts.sheet import CSV, Format, Sheet
from services.scoring.asof import Desk, Question
from services.scoring.coverage import answers, store, worklist
from services.scoring.coverage.rules import SOON_DAYS
from services.scoring.coverage.series import series
from services.scoring.coverage.shapes import ContactRateAnswer, CoverageAnswer, CoverageSeries, WorkItem, Worklist
from services.scoring.quick import Asked, Quick
from shared.clock import from_micros, to_micros
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_day, parse_limit
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

MAX_SERIES: Final = 400
DEFAULT_SERIES: Final = 30
MAX_WITHIN: Final = 3_650
_COLUMNS: Final = Sheet(WorkItem, "currency")
By = Annotated[Literal["tenant", "tier", "csm", "team", "rank"], Query(description="What the groups are.")]
From = Annotated[str | None, Query(alias="from", description="The first day; 30 days in all when absent.")]
To = Annotated[str | None, Query(description="The last day; the day of `as_of` when absent.")]
Within = Annotated[str | None, Query(description=f"Days ahead, 0 to {MAX_WITHIN}, default {SOON_DAYS}.")]


def coverage_routes(desk: Desk) -> APIRouter:
    """`GET /v1/coverage`, `/v1/coverage/series`, `/v1/coverage/worklist`, `/v1/contact-rate`."""
    routes = APIRouter(tags=["coverage"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/coverage", response_model=CoverageAnswer, summary="Who was talked to in time")
    async def coverage(asker: Annotated[Principal, reader], by: By = "tenant", as_of: AsOf = None) -> Response:
        """Covered ÷ eligible of the tenant and of each group of accounts as they stand (or stood at `as_of`). A CSM's
        are those the CSM owns then, whoever called."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _answer(question, by)))

    @routes.get("/v1/coverage/series", response_model=CoverageSeries, summary="Coverage day by day")
    async def coverage_series(
        asker: Annotated[Principal, reader], first: From = None, to: To = None, by: By = "tenant", as_of: AsOf = None
    ) -> Response:
        """Every day of the period at its end, the day of `as_of` at that instant, as each day's single answer says; at
        most 400 days."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped({"items": await _series(question, *_period(question, first, to), by)}))

    @routes.get("/v1/coverage/worklist", response_model=Worklist, responses=CSV, summary="Whom to talk to next")
    async def work(
        asker: Annotated[Principal, reader], within_days: Within = None, format: Format = "json",  # noqa: A002
        limit: Limit = None, cursor: Cursor = None, as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """Accounts that are uncovered and those that fall out within so many days: by the day they fall or fell out,
        ACV high first, id. Who was never talked to is due since the start."""
        size, within = parse_limit(limit), _within(within_days)
        stamp = fingerprint("worklist", as_of, within)
        after = _after(decode_cursor(cursor, stamp, int, int, str))
        async with desk.question(asker, as_of) as question:
            if format == "csv":
                return await _sheet(question, within, after, size if limit else None)
            return Json(question.stamped(await _work(question, within, after, size, stamp)))

    @routes.get("/v1/contact-rate", response_model=ContactRateAnswer, summary="Who was ever talked to")
    async def contact_rate(asker: Annotated[Principal, reader], as_of: AsOf = None) -> Response:
        """Of the accounts used in the last 30 days, those with a counting contact since their start."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(answers.contact_rate(*await store.contacted(question))))

    return routes


def quick_coverage(desk: Desk) -> Quick:
    """The figure of now."""

    async def answer(asker: Principal, _: str, asked: Asked) -> dict[str, Any]:
        async with desk.glance(asker, settings=True) as question:
            return question.stamped(await _answer(question, asked.get("by", ["tenant"])[0]))

    return Quick("/v1/coverage", answer, {"by": frozenset(("tenant", "tier", "csm", "team", "rank"))})


def quick_worklist(desk: Desk) -> Quick:
    """The worklist of now, as JSON."""

    async def answer(asker: Principal, _: str, asked: Asked) -> dict[str, Any]:
        within_days, limit, cursor = (asked.get(name, [None])[0] for name in ("within_days", "limit", "cursor"))
        size, within = parse_limit(limit), _within(within_days)
        stamp = fingerprint("worklist", None, within)
        after = _after(decode_cursor(cursor, stamp, int, int, str))
        async with desk.glance(asker) as question:
            return question.stamped(await _work(question, within, after, size, stamp))

    return Quick("/v1/coverage/worklist", answer, dict.fromkeys(("within_days", "limit", "cursor")))


async def _answer(question: Question, by: str) -> dict[str, Any]:
    counts = await store.counts(question, by)
    names = await store.csm_names(question) if by == "csm" else {}
    settings = question.terms.settings.coverage
    return {"overall": answers.overall(counts, settings), "groups": answers.groups(by, counts, names, settings)}


def _period(question: Question, first: str | None, to: str | None) -> tuple[date, date]:
    last = parse_day(to, "to") if to else question.day
    if last > question.day:
        refuse("to", "in_future", "Should not lie after the day of `as_of`.")
    begin = parse_day(first, "from") if first else last - timedelta(days=DEFAULT_SERIES - 1)
    if begin > last:
        refuse("from", "out_of_range", "Should not lie after `to`.")
    if (last - begin).days >= MAX_SERIES:
        refuse("from", "too_many_days", f"A series has at most {MAX_SERIES} days.")
    return begin, last


async def _series(question: Question, first: date, last: date, by: str) -> list[dict[str, Any]]:
    settings = question.terms.settings.coverage
    return [answers.series_day(day, by, counts, settings) async for day, counts in series(question, first, last, by)]


def _within(text: str | None) -> int:
    if not text:
        return SOON_DAYS
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or int(text) > MAX_WITHIN:
        refuse("within_days", "out_of_range", f"Should be a whole number from 0 to {MAX_WITHIN}.")
    return int(text)


def _after(found: list[Any] | None) -> worklist.Place:
    if found is None:
        return worklist.FIRST
    try:
        return from_micros(found[0]), int(found[1]), str(found[2])
    except (OverflowError, TypeError):
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")


async def _work(question: Question, within: int, after: worklist.Place, size: int, stamp: str) -> dict[str, Any]:
    items, page = await _items(question, within, after, size)
    due_at, *rest = page.items[-1].place if page.more else worklist.FIRST
    cursor = encode_cursor([to_micros(due_at), *rest], stamp) if page.more else None
    return {"currency": question.terms.settings.currency, **listing(items, page.total, cursor)}


async def _items(
    question: Question, within: int, after: worklist.Place, size: int
) -> tuple[list[dict[str, Any]], worklist.Page]:
    page, currency = await worklist.page(question, within, after, size), question.terms.settings.currency
    tried = await worklist.attempts(question, page.items, together=page.joined)
    return [answers.work(item, tried.get(item.account, 0), currency) for item in page.items], page


async def _sheet(question: Question, within: int, after: worklist.Place, size: int | None) -> Response:
    currency = {"currency": question.terms.settings.currency}

    async def read(place: worklist.Place, most: int) -> tuple[list[dict[str, Any]], int, worklist.Place | None]:
        items, page = await _items(question, within, place, most)
        return [item | currency for item in items], len(items), page.items[-1].place if page.more else None

    return await sheet.answer(question, _COLUMNS, "worklist", after, size, read)
