"""Routes of the keep list."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts import sheet
from services.scoring.accounts import store as accounts
from services.scoring.accounts.answers import contact, money, planned, utc
from services.scoring.accounts.api import AsOf, Cursor, Limit, asked_csms
from services.scoring.accounts.own import own_only
from services.scoring.accounts.sheet import CSV, Format, Sheet
from services.scoring.asof import Desk, Question
from services.scoring.coverage import worklist
from services.scoring.coverage.worklist import as_item
from services.scoring.keep import store
from services.scoring.keep.rules import PRIORITY, STATES, Situation, why
from services.scoring.keep.shapes import KeepItem, KeepList, ReasonShown, ReasonWish
from shared.audit import record
from shared.errors import Conflict, NotFound
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.http.params import refuse
from shared.postgres import tenant_transaction
from shared.tenancy import Principal, Right, require

log = structlog.get_logger("genki.keep")
States = Annotated[list[Literal["uncovered", "due", "covered"]] | None, Query(description="Twice means either.")]
Csms = Annotated[list[str] | None, Query(description="Accounts of this CSM; `me` is the asker.")]
_COLUMNS: Final = Sheet(KeepItem, "currency")


class NothingToExplain(Conflict):
    """The account is not on the keep list or not uncovered: there is nothing to give a reason for."""

    code = "nothing_to_explain"


def keep_routes(desk: Desk) -> APIRouter:
    """`GET /v1/keep-list`, `POST /v1/keep-list/{account_id}/reason`."""
    routes = APIRouter(tags=["matrix"])
    reader = Depends(require(Right.READ))
    worker = Depends(require(Right.WORK))

    @routes.get("/v1/keep-list", response_model=KeepList, responses=CSV, summary="The accounts to be kept first")
    async def keep_list(
        asker: Annotated[Principal, reader], state: States = None, csm: Csms = None,
        format: Format = "json", limit: Limit = None, cursor: Cursor = None, as_of: AsOf = None,  # noqa: A002
    ) -> Response:  # fmt: skip
        """Every account of priority High with its state; an uncovered one with what the facts say of it and the reason
        that somebody named. `states` and `without_reason` count all of the asked CSMs' accounts."""
        chosen = store.Chosen(tuple(sorted(set(state or STATES))), asked_csms(csm, asker))
        size, stamp = parse_limit(limit), fingerprint("keep", as_of, chosen)
        after = _after(decode_cursor(cursor, stamp, int, int, str))
        async with desk.question(asker, as_of) as question:
            if format == "csv":
                return await _sheet(question, chosen, after, size if limit else None)
            return Json(question.stamped(await _answer(question, chosen, after, size, stamp)))

    @routes.post(
        "/v1/keep-list/{account_id:id}/reason", status_code=201, response_model=ReasonShown, summary="Name the reason"
    )
    async def name_reason(account_id: str, asker: Annotated[Principal, worker], wish: ReasonWish) -> Response:
        """Says why an uncovered account of the keep list is not reached. It counts until the account is reached, or
        another reason is named. A CSM names it for own accounts. 409 where there is nothing to explain."""
        now = desk.clock.now()
        async with desk.question(asker) as question:
            row = await accounts.one(question, account_id)
        if row is None:
            raise NotFound
        own_only(asker, row["csm_id"])
        if row["priority"] != PRIORITY or row["covered"] is not False:
            raise NothingToExplain
        return Json(await _name(desk, asker, row, wish.reason, now), 201)

    return routes


async def _name(
    desk: Desk, asker: Principal, row: Mapping[str, Any], reason: str, now: datetime
) -> dict[str, Any]:  # fmt: skip
    author = asker.csm_id or asker.key_id
    async with tenant_transaction(desk.database.app, asker.tenant) as conn:
        await store.name_reason(conn, asker.tenant, row["account"], reason, author, now)
        await record(conn, asker, now, "keep_reason.create", row["account_id"], length=len(reason))
    log.info("keep_reason_named", tenant=asker.tenant, by=asker.key_id)
    return {"account_id": row["account_id"], "reason": reason, "author": author, "at": utc(now)}


def _after(found: list[Any] | None) -> store.Place:
    if found is None:
        return store.FIRST
    if None in found or not 0 <= found[0] < len(STATES):
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")
    return found[0], found[1], found[2]


async def _answer(
    question: Question, chosen: store.Chosen, after: store.Place, size: int, stamp: str
) -> dict[str, Any]:
    currency = question.terms.settings.currency
    rows, counts, named = await store.page(question, chosen, after, size + 1)
    end = _end(rows, size)
    cursor = encode_cursor(list(end), stamp) if end else None
    items = await _items(question, rows[:size])
    total = sum(counts[state] for state in chosen.states)
    return {
        "currency": currency,
        "states": counts,
        "without_reason": counts["uncovered"] - named,
        **listing(items, total, cursor, filtered=False),
    }


def _end(rows: Sequence[Mapping[str, Any]], size: int) -> store.Place | None:
    """Where a page of this size ends; None where nothing follows it."""
    if len(rows) <= size:
        return None
    last = rows[size - 1]
    return last["state"], last["acv_order"], last["account_id"]


async def _items(question: Question, page: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    tried = await worklist.attempts(question, [as_item(row) for row in page], together=question.terms.joined.accounts)
    return [_item(row, tried.get(row["account"], 0), question.terms.settings.currency) for row in page]


async def _sheet(question: Question, chosen: store.Chosen, after: store.Place, size: int | None) -> Response:
    currency = {"currency": question.terms.settings.currency}

    async def read(place: store.Place, most: int) -> tuple[list[dict[str, Any]], int, store.Place | None]:
        rows, _, _ = await store.page(question, chosen, place, most + 1)
        items = await _items(question, rows[:most])
        return [item | currency for item in items], len(items), _end(rows, most)

    return await sheet.answer(question, _COLUMNS, "keep-list", after, size, read)


def _item(row: Mapping[str, Any], attempts: int, currency: str) -> dict[str, Any]:
    now = Situation(row["csm_id"], row["last_contact_at"], row["planned_at"], attempts)
    told = ("account_id", "name", "tier", "rank", "tenure", "csm_id", "csm_name", "effective_band")
    reason = {"reason": row["reason"], "author": row["author"], "at": utc(row["reason_at"])}
    return {
        **{name: row[name] for name in told},
        "acv": money(row["acv"], currency),
        "health": row["score"],
        "state": STATES[row["state"]],
        "due_at": utc(row["due_at"]),
        "last_contact": contact(row["last_contact_at"], row["last_contact_channel"], row["last_contact_csm"]),
        "next_planned": planned(row["planned_at"], row["planned_channel"]),
        "attempts": attempts,
        "why": None if row["covered"] else why(now),
        "named_reason": reason if row["reason"] is not None else None,
    }
