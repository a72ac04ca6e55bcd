"""The route of an account's timeline."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.account import ContractChange
from services.scoring.accounts.api import AsOf, Cursor, Limit
from services.scoring.accounts.known import known_account
from services.scoring.accounts.store import id_of
from services.scoring.asof import Desk, Question
from services.scoring.contracts.rules import Told as ToldChange
from services.scoring.contracts.rules import ledger
from services.scoring.contracts.store import changes
from services.scoring.facts.read import Reader
from services.scoring.facts.values import value_of
from services.scoring.joins.store import account_members
from services.scoring.timeline import answers, store
from services.scoring.timeline.rules import Entry, Held, Told, turns
from services.scoring.timeline.shapes import Timeline
from shared.clock import from_micros, start_of_day, to_micros
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

Kind = Literal[
    "contact", "contract", "response", "status", "owner", "tier", "band", "override", "member", "attribute"
]  # fmt: skip
KINDS: Final = Kind.__args__
Kinds = Annotated[list[Kind] | None, Query(description="Only entries of this kind; twice means either.")]
Place = tuple[datetime, str, str]
_END: Final[Place] = (datetime(9999, 1, 1, tzinfo=UTC), "", "")


def timeline_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts/{account_id}/timeline`."""
    routes = APIRouter(tags=["accounts"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/accounts/{account_id:id}/timeline", response_model=Timeline, summary="What happened with it")
    async def timeline(
        account_id: str, asker: Annotated[Principal, reader], kind: Kinds = None, limit: Limit = None,
        cursor: Cursor = None, as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """Contacts, contract changes and answers that stand, changes of status, owner, tier, band and of what is told
        of it, persons who joined or left, manual bands: by T, the newest first. 404 for an account that no fact has
        named by then."""
        wanted = tuple(sorted(set(kind or KINDS)))
        size, stamp = parse_limit(limit), fingerprint("timeline", account_id, as_of, wanted)
        before = _before(decode_cursor(cursor, stamp, int, str, str))
        async with desk.question(asker, as_of) as question:
            account = await known_account(question, account_id)
            found = await _answer(question, account, wanted, before, size, stamp)
            return Json(question.stamped({"account_id": await id_of(question, account), **found}))

    return routes


def _before(found: list[Any] | None) -> Place:
    if found is None:
        return _END
    try:
        at = from_micros(found[0])
    except (OverflowError, TypeError):
        at = _END[0]
    if at >= _END[0]:
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")
    return at, found[1] or "", found[2] or ""


async def _answer(
    question: Question, account: int, kinds: Collection[str], before: Place, size: int, stamp: str
) -> dict[str, Any]:
    members = sorted(await account_members(question.conn, question.tenant, [account]))
    reader = Reader(question.conn, question.terms, question.moment)
    named = store.Named(await reader.csms(), question.terms.settings)
    found, total = await store.entries(question, members, named, kinds, before, size + 1)
    derived = [one for one in await _derived(question, account, members) if one.kind in kinds]
    found += [one for one in derived if one.place < before]
    page = sorted(found, key=lambda one: one.place, reverse=True)[: size + 1]
    at, *rest = page[size - 1].place if len(page) > size else _END
    cursor = encode_cursor([to_micros(at.astimezone(UTC)), *rest], stamp) if len(page) > size else None
    items = [answers.shown(one) for one in page[:size]]
    return listing(items, total + len(derived), cursor)


async def _derived(question: Question, account: int, members: list[int]) -> list[Entry]:
    """Contract changes, and what they and the account's own money and status make of its status and tier."""
    tz, terms = question.terms.tz, question.terms
    told = await changes(question, account)
    lines = [
        Entry(
            "contract", start_of_day(line.told.effective_on, tz), line.told.id,
            answers.contract(line, terms.settings.currency),
        )
        for line in ledger(told)
    ]  # fmt: skip
    own = [
        Told(row["at"].astimezone(UTC), row["field"], value_of(row["field"], row["value"], terms.settings))
        for row in await store.money(question, members)
    ]
    policies = [policy.effective_from for policy in terms.policies]
    held = Held(own, [_change(one) for one in told], policies, terms.published, tz)
    return [*lines, *turns(held, question.at)]


def _change(told: ToldChange) -> ContractChange:
    return ContractChange(
        told.contract_id, told.id, told.effective_on, told.change, told.acv_after, told.term_end, told.reason
    )
