"""The route of planned contacts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts import sheet
from services.scoring.accounts.answers import utc
from services.scoring.accounts.api import AsOf, Cursor, Limit, asked_csms
from services.scoring.accounts.sheet import CSV, Format, Sheet
from services.scoring.asof import Desk, Question
from services.scoring.contacts import store
from services.scoring.contacts.shapes import PlannedContacts, PlannedItem
from services.scoring.coverage.store import csm_names
from shared.clock import from_micros, to_micros
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

States = Annotated[
    list[Literal["open", "overdue", "closed"]] | None,
    Query(description="Open and overdue ones when absent; twice means either."),
]
Csms = Annotated[list[str] | None, Query(description="To be done by this CSM; `me` is the asker.")]
_COLUMNS: Final = Sheet(PlannedItem)


def contact_routes(desk: Desk) -> APIRouter:
    """`GET /v1/contacts/planned`."""
    routes = APIRouter(tags=["coverage"])
    reader = Depends(require(Right.READ))

    @routes.get(
        "/v1/contacts/planned", response_model=PlannedContacts, responses=CSV,
        summary="What is planned, and what was missed",
    )  # fmt: skip
    async def planned(
        asker: Annotated[Principal, reader], state: States = None, csm: Csms = None,
        format: Format = "json", limit: Limit = None, cursor: Cursor = None, as_of: AsOf = None,  # noqa: A002
    ) -> Response:  # fmt: skip
        """Planned contacts of accounts that are not churned, the earliest first. A contact that names a plan in
        `replaces` closes it, whatever became of it; one whose time has passed and that nothing replaces is overdue."""
        chosen = store.Chosen(tuple(sorted(set(state or ("open", "overdue")))), asked_csms(csm, asker))
        size, stamp = parse_limit(limit), fingerprint("planned", as_of, chosen)
        after = _after(decode_cursor(cursor, stamp, int, str, str))
        async with desk.question(asker, as_of) as question:
            if format == "csv":
                return await _sheet(question, chosen, after, size if limit else None)
            return Json(question.stamped(await _answer(question, chosen, after, size, stamp)))

    return routes


def _after(found: list[Any] | None) -> store.Place:
    if found is None:
        return store.FIRST
    try:
        return from_micros(found[0]), found[1] or "", found[2] or ""
    except (OverflowError, TypeError):
        refuse("cursor", "broken_cursor", "Should be a next_cursor of this list.")


async def _answer(
    question: Question, chosen: store.Chosen, after: store.Place, size: int, stamp: str
) -> dict[str, Any]:
    rows, total = await store.page(question, chosen, after, size + 1)
    names = await csm_names(question)
    end = _end(rows, size)
    cursor = encode_cursor([to_micros(end[0]), *end[1:]], stamp) if end else None
    return listing([_item(row, names) for row in rows[:size]], total, cursor)


def _end(rows: Sequence[Mapping[str, Any]], size: int) -> store.Place | None:
    """Where a page of this size ends; None where nothing follows it."""
    if len(rows) <= size:
        return None
    last = rows[size - 1]
    return last["at"], last["id"], last["account_id"]


async def _sheet(question: Question, chosen: store.Chosen, after: store.Place, size: int | None) -> Response:
    names = await csm_names(question)

    async def read(place: store.Place, most: int) -> tuple[list[dict[str, Any]], int, store.Place | None]:
        rows, _ = await store.page(question, chosen, place, most + 1)
        items = [_item(row, names) for row in rows[:most]]
        return items, len(items), _end(rows, most)

    return await sheet.answer(question, _COLUMNS, "planned", after, size, read)


def _item(row: Mapping[str, Any], names: Mapping[str, str | None]) -> dict[str, Any]:
    closed = {name: row[f"closed_{name}"] for name in ("id", "at", "channel", "outcome")}
    told = ("id", "account_id", "name", "owner", "csm_id", "channel", "playbook", "note", "person_ids", "state")
    return {
        **{name: row[name] for name in told},
        "csm_name": names.get(row["csm_id"] or ""),
        "at": utc(row["at"]),
        "closed_by": {**closed, "at": utc(closed["at"])} if row["state"] == "closed" else None,
    }
