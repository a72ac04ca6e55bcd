"""Routes of usage, and of what the fold could not place or would not apply twice."""

import re
from datetime import UTC
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf, Cursor, Limit
from services.scoring.accounts.known import known_account
from services.scoring.asof import Desk, Question
from services.scoring.usage import store
from services.scoring.usage.shapes import AccountUsage, ConflictList, Unassigned, UsageAnswer
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

DEFAULT_DAYS: Final = 28
MAX_DAYS: Final = 36_500
Days = Annotated[str | None, Query(description=f"1 to {MAX_DAYS}, default {DEFAULT_DAYS}, up to `as_of`'s day.")]
Events = Annotated[list[str], Query(description="Only these features; given twice means either.")]
Ids = Annotated[list[str], Query(description="Only these accounts; given twice means either.")]
_CONFLICT: Final = "the id was used before with another body; the first was kept"


def usage_routes(desk: Desk) -> APIRouter:
    """`GET /v1/usage`, also under an account; `GET /v1/ingest/unassigned` and `/v1/ingest/conflicts`."""
    routes = APIRouter(tags=["usage"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/usage", response_model=UsageAnswer, summary="Usage over a trailing window")
    async def usage(
        asker: Annotated[Principal, reader], days: Days = None, account_id: Ids = [], event: Events = [],  # noqa: B006
        as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """Events, distinct persons and accounts. An unknown account or event gives zeros; a person in two accounts
        counts once; usage whose account is not known yet counts in no figure."""
        span = _span(days)
        async with desk.question(asker, as_of) as question:
            accounts = await store.keys_of(question, account_id) if account_id else None
            told = await store.window(question, span, accounts, event)
            return Json(question.stamped({"days": span, **told}))

    @routes.get("/v1/accounts/{account_id:id}/usage", response_model=AccountUsage, summary="One account's usage")
    async def account_usage(
        account_id: str, asker: Annotated[Principal, reader], days: Days = None, event: Events = [],  # noqa: B006
        as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """The same of one account. 404 for an id that no fact has named by then."""
        span = _span(days)
        async with desk.question(asker, as_of) as question:
            told = await store.window(question, span, [await known_account(question, account_id)], event)
            return Json(question.stamped({"account_id": account_id, "days": span, **told}))

    @routes.get("/v1/ingest/unassigned", response_model=Unassigned, summary="Usage that waits for its account")
    async def unassigned(asker: Annotated[Principal, reader], as_of: AsOf = None) -> Response:
        """How much usage is in no figure because nothing says yet which account its person belongs to."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped({"count": await store.unassigned(question)}))

    @routes.get("/v1/ingest/conflicts", response_model=ConflictList, summary="Ids sent again with another body")
    async def conflicts(asker: Annotated[Principal, reader], limit: Limit = None, cursor: Cursor = None) -> Response:
        """Of the last seven days, the newest first, at most 10,000; `total` counts them all."""
        async with desk.question(asker) as question:
            return Json(await _conflicts(question, parse_limit(limit), cursor))

    return routes


def _span(text: str | None) -> int:
    if not text:
        return DEFAULT_DAYS
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or not 1 <= int(text) <= MAX_DAYS:
        refuse("days", "out_of_range", f"Should be a whole number from 1 to {MAX_DAYS}.")
    return int(text)


async def _conflicts(question: Question, size: int, cursor: str | None) -> dict[str, Any]:
    stamp = fingerprint("conflicts")
    found = decode_cursor(cursor, stamp, int)
    before = found[0] if found and found[0] is not None else 2**63 - 1
    since = question.at - store.KEPT_FOR
    rows = await store.conflicts(question, since, before, size + 1)
    more = encode_cursor([rows[size - 1]["seq"]], stamp) if len(rows) > size else None
    items = [_conflict(row) for row in rows[:size]]
    return listing(items, await store.conflict_count(question, since), more, filtered=False)


def _conflict(row: Any) -> dict[str, Any]:
    told = {"route": None, "index": None, "code": "same_id_other_body", "message": _CONFLICT}
    return {"at": row["at"].astimezone(UTC), "type": row["type"], "id": row["id"], "payload": row["payload"], **told}
