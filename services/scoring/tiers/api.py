"""Routes of tiers: the amounts in force, reviews and their publication, the load."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import structlog
from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf, Cursor, Limit
from services.scoring.asof import Desk, Question, amounts_at, base_settings
from services.scoring.rulebook import read_settings
from services.scoring.tiers import answers, shapes, store
from services.scoring.tiers.rules import chosen, loads_of, propose
from shared.audit import record
from shared.clock import from_micros, to_micros
from shared.errors import Conflict, NotFound
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.postgres import Connection, tenant_transaction
from shared.tenancy import Principal, Right, require
from shared.tenant_settings import TenantSettings

log = structlog.get_logger()
Reader = Annotated[Principal, Depends(require(Right.READ))]
Manager = Annotated[Principal, Depends(require(Right.MANAGE))]
_STAMP: Final = fingerprint("tiers/reviews")
_END: Final = (datetime(9999, 12, 31, tzinfo=UTC), "")


class AlreadyPublished(Conflict):
    """This review was published before. A review is published once; other amounts or dates take a new review."""


def tier_routes(desk: Desk) -> APIRouter:
    """`GET /v1/tiers`, `GET /v1/load`, and the reviews under `/v1/tiers/reviews`."""
    routes = APIRouter(tags=["tiers"])
    _reads(routes, desk)
    _reviews(routes, desk)
    _publication(routes, desk)
    return routes


def _reads(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/v1/tiers", response_model=shapes.TiersAnswer, summary="The amounts in force")
    async def tiers(asker: Reader, as_of: AsOf = None) -> Response:
        """The published amounts of the day; before the first effective date provisional ones, computed from the
        accounts. A published policy past its period stays in force and is `overdue`."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _in_force(question)))

    @routes.get("/v1/load", response_model=shapes.LoadList, summary="What each CSM looks after")
    async def load(asker: Reader, as_of: AsOf = None) -> Response:
        """Accounts by CSM and tier, by csm_id, nobody's last; a CSM without accounts is not among them."""
        async with desk.question(asker, as_of) as question:
            items = loads_of(await store.owned(question), question.terms.settings.tiers.load)
            return Json(question.stamped({"items": [one.as_json() for one in items]}))


def _reviews(routes: APIRouter, desk: Desk) -> None:
    @routes.post("/v1/tiers/reviews", status_code=201, response_model=shapes.Review, summary="Review the tiers")
    async def make(asker: Manager, wish: shapes.ReviewWish | None = None) -> Response:
        """Computes both amounts from the accounts at `as_of`, and by them who would move and the load that results.
        Nothing moves until the review is published."""
        async with desk.question(asker, wish and wish.as_of, "/as_of") as question:
            found = propose(await store.valued(question), question.terms.settings.tiers)
            review_id, author, now = uuid4().hex, asker.key_id, desk.clock.now()
            await store.save_review(question.conn, asker.tenant, review_id, question.at, found, author, now)
            told = {"as_of": question.at, "n": found.n, "moves": len(found.moves)}
            await record(question.conn, asker, now, "tier_review.create", review_id, **told)
            row = await store.review(question.conn, asker.tenant, review_id)
            return Json(answers.review(row, question.terms.settings), 201)

    @routes.get("/v1/tiers/reviews", response_model=shapes.ReviewList, summary="Reviews, the newest first")
    async def page(asker: Reader, limit: Limit = None, cursor: Cursor = None) -> Response:
        """Each with what was computed and, once published, what was chosen."""
        size, after = parse_limit(limit), _place(decode_cursor(cursor, _STAMP, int, str))
        async with _plain(desk, asker) as (conn, settings):
            rows, total = await store.page(conn, asker.tenant, after, size + 1)
        items = [answers.review_short(row, settings) for row in rows[:size]]
        return Json(listing(items, total, _next(rows, size), filtered=False))

    @routes.get("/v1/tiers/reviews/{review_id:id}", response_model=shapes.Review, summary="One review")
    async def one(review_id: str, asker: Reader) -> Response:
        """As it was computed, with what was published of it."""
        async with _plain(desk, asker) as (conn, settings):
            row = await store.review(conn, asker.tenant, review_id)
        if row is None:
            raise NotFound
        return Json(answers.review(row, settings))


def _publication(routes: APIRouter, desk: Desk) -> None:
    @routes.post(
        "/v1/tiers/reviews/{review_id:id}/publish",
        response_model=shapes.Review,
        responses={409: {"description": "This review was already published."}},
        summary="Publish a review's amounts",
    )
    async def publish(review_id: str, asker: Manager, wish: shapes.PublishWish) -> Response:
        """The amounts hold from 00:00 of `effective_from` until the next policy's date; of two with one date the later
        published holds. An amount that is not given is the computed one. 409 for a review already published."""
        async with tenant_transaction(desk.database.worker, asker.tenant) as conn:
            await store.take_turn(conn, asker.tenant)
            row = await store.review(conn, asker.tenant, review_id)
            _, settings = await read_settings(conn, asker.tenant, _base(asker))
            amounts = _publishable(row, wish, settings)
            effective_from, now = wish.effective_from, desk.clock.now()
            await store.publish(conn, asker.tenant, review_id, effective_from, amounts, wish.note, asker.key_id, now)
            high, low = amounts
            told = {"effective_from": effective_from, "high_minor_units": high, "low_minor_units": low}
            await record(conn, asker, now, "tier_review.publish", review_id, **told)
            row = await store.review(conn, asker.tenant, review_id)
        log.info("tiers_published", tenant=asker.tenant, review_id=review_id, by=asker.key_id)
        return Json(answers.review(row, settings))


def _publishable(row: Any, wish: shapes.PublishWish, settings: TenantSettings) -> tuple[int, int]:
    if row is None:
        raise NotFound
    if row["policy_id"] is not None:
        raise AlreadyPublished
    computed = (row["computed_high"], row["computed_low"])
    return chosen(computed, (wish.high_amount, wish.low_amount), settings.currency)


async def _in_force(question: Question) -> dict[str, Any]:
    terms, day = question.terms, question.day
    policy = terms.policy_at(day)
    if question.live and policy is None:
        found = terms.live_rules(0, question.moment).amounts
    else:
        found = await amounts_at(question.conn, terms, question.moment)
    return answers.in_force(found, policy and policy.effective_from, terms.settings, day)


@asynccontextmanager
async def _plain(desk: Desk, asker: Principal) -> AsyncIterator[tuple[Connection, TenantSettings]]:
    async with tenant_transaction(desk.database.app, asker.tenant) as conn:
        _, settings = await read_settings(conn, asker.tenant, _base(asker))
        yield conn, settings


def _base(asker: Principal) -> TenantSettings:
    return base_settings(asker.time_zone, asker.currency)


def _place(after: list[Any] | None) -> tuple[datetime, str]:
    if after is None or after[0] is None:
        return _END
    try:
        return from_micros(after[0]), after[1] or ""
    except OverflowError:
        return _END


def _next(rows: list[Any], size: int) -> str | None:
    if len(rows) <= size:
        return None
    last = rows[size - 1]
    return encode_cursor([to_micros(last["created_at"]), last["review_id"]], _STAMP)
