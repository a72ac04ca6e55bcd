"""The route of an account's contracts."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf, Cursor, Limit
from services.scoring.accounts.known import known_account
from services.scoring.accounts.store import id_of
from services.scoring.asof import Desk, Question
from services.scoring.contracts import answers, store
from services.scoring.contracts.rules import Entry, ledger
from services.scoring.contracts.shapes import ContractsAnswer
from services.scoring.facts.read import Reader
from services.scoring.lifecycle.rules import contracts_at, lifecycle
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

Place = tuple[date, str]  # effective_on, id: where a change stands


def contract_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts/{account_id}/contracts`."""
    routes = APIRouter(tags=["accounts"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/accounts/{account_id:id}/contracts", response_model=ContractsAnswer, summary="What it pays")
    async def contracts(
        account_id: str, asker: Annotated[Principal, reader], limit: Limit = None, cursor: Cursor = None,
        as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """Every change of its contracts in force by T's day, the newest first; a replaced one stands nowhere. 404 for
        an account that no fact has named by then."""
        size, stamp = parse_limit(limit), fingerprint("contracts", account_id, as_of)
        before = _before(decode_cursor(cursor, stamp, str, str))
        async with desk.question(asker, as_of) as question:
            account = await known_account(question, account_id)
            return Json(question.stamped(await _answer(question, account, before, size, stamp)))

    return routes


def _before(found: list[Any] | None) -> Place | None:
    if found is None:
        return None
    try:
        return date.fromisoformat(found[0] or ""), found[1] or ""
    except ValueError:
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")


def _place(entry: Entry) -> Place:
    return entry.told.effective_on, entry.told.id


async def _answer(question: Question, account: int, before: Place | None, size: int, stamp: str) -> dict[str, Any]:
    currency = question.terms.settings.currency
    entries = ledger(await store.changes(question, account))
    rest = [one for one in entries if before is None or _place(one) < before]
    following = encode_cursor([str(part) for part in _place(rest[size - 1])], stamp) if len(rest) > size else None
    [found] = (await Reader(question.conn, question.terms, question.moment).accounts([account])).values()
    life, held = lifecycle(found, question.moment), contracts_at(found.contracts, question.day)
    return {
        "account_id": await id_of(question, account),
        "acv": answers.money(life.acv, currency) if held else None,
        "currency": currency,
        "renewal_on": life.renewal_on,
        "contracts": answers.standing(held, currency),
        **listing([answers.change(one, currency) for one in rest[:size]], len(entries), following, filtered=False),
    }
