"""The routes of one account's health: the score and its reasons, what changed it, the gap, the manual band."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
import structlog
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.account import Override
from services.scoring.accounts import store
from services.scoring.accounts.answers import utc
from services.scoring.accounts.api import AsOf
from services.scoring.accounts.known import known_account
from services.scoring.accounts.own import own_only
from services.scoring.accounts.shapes import HealthAnswer
from services.scoring.asof import Desk, Question, past
from services.scoring.facts.read import Reader
from services.scoring.health import history
from services.scoring.health.explain import explained
from services.scoring.health.gap import consumption_gap, flag_of, seats_of
from services.scoring.health.readings import entitled
from services.scoring.health.shapes import Explanation, GapAnswer, HistoryAnswer, OverrideShown, OverrideWish
from services.scoring.health.store import end_override, feature_users, give_override
from services.scoring.nps import store as nps_store
from services.scoring.nps.rules import Tally
from services.scoring.state import health_document
from shared.audit import record
from shared.errors import Conflict, Fault, Invalid, NotFound
from shared.http import Json, parse_as_of, parse_day
from shared.http.params import refuse
from shared.postgres import tenant_transaction
from shared.tenancy import Principal, Right, require

log = structlog.get_logger()
Reads = Annotated[Principal, Depends(require(Right.READ))]
Since = Annotated[str | None, Query(description="A day or an RFC 3339 instant, not after `as_of`.")]
Works = Annotated[Principal, Depends(require(Right.WORK))]
From = Annotated[str | None, Query(alias="from", description="The first day; 90 days in all when absent.")]
To = Annotated[str | None, Query(description="The last day; the day of `as_of` when absent.")]
Recompute = Annotated[bool, Query(description="Every day computed again instead of what was shown.")]
_NPS_DAYS = 90
_HISTORY_DAYS = 90
_MAX_DAYS = 400


class ChurnedAccount(Conflict):
    """A churned account has no health, so nothing to set by hand."""


class NoOverride(NotFound):
    """No manual band holds for this account."""


def health_routes(desk: Desk) -> APIRouter:
    """`GET /v1/accounts/{account_id}/health`, `…/health/{explain,history,override}`, `…/consumption-gap`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/v1/accounts/{account_id:id}/health", response_model=HealthAnswer, summary="Health and why")
    async def health(account_id: str, asker: Reads, as_of: AsOf = None) -> Response:
        """The score with every dimension's value, weight, contribution and inputs; a cap that bites is its own row.
        All eight dimensions are listed, null without data; a churned account has no score."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _health(question, account_id)))

    @routes.get(
        "/v1/accounts/{account_id:id}/health/explain", response_model=Explanation, summary="What changed the score"
    )
    async def explain(account_id: str, asker: Reads, since: Since = None, as_of: AsOf = None) -> Response:
        """The score at `as_of` against the one at `since`, both by the model in force now: of each dimension and of a
        cap the contribution then and now. A null contribution counts 0; the differences sum to the score's."""
        async with desk.question(asker, as_of) as question:
            then = _since(question, since)
            return Json(question.stamped(await _explain(question, account_id, then)))

    @routes.get(
        "/v1/accounts/{account_id:id}/consumption-gap", response_model=GapAnswer, summary="What value is not taken"
    )
    async def gap(account_id: str, asker: Reads, as_of: AsOf = None) -> Response:
        """1 − realised ÷ possible over the value features the account is entitled to, by the users of the 28 days to
        T; what makes most of the gap first. The NPS of the 90 days to T stands beside it."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _gap(question, account_id)))

    _history(routes, desk)
    _overrides(routes, desk)
    return routes


def _history(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/v1/accounts/{account_id:id}/health/history", response_model=HistoryAnswer, summary="Health over time")
    async def over_time(
        account_id: str, asker: Reads, first: From = None, to: To = None, recompute: Recompute = False,
        as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """What was shown: one snapshot of each day as it stood at the midnight that ends it, and one at each change of
        band or effective band; a day at whose end Genki was down has none. With `recompute` every day anew, by today's
        knowledge and model: each point is the answer as of that day. At most 400 days."""
        async with desk.question(asker, as_of) as question:
            account = await known_account(question, account_id)
            days = _period(question, first, to)
            items = await (history.recomputed if recompute else history.shown)(question, account, *days)
            told = {"account_id": account_id, "from": days[0], "to": days[1], "items": items}
            return Json(question.stamped(told))


def _period(question: Question, first: str | None, to: str | None) -> tuple[date, date]:
    last = parse_day(to, "to") if to else question.day
    if last > question.day:
        refuse("to", "in_future", "Should not lie after the day of `as_of`.")
    begin = parse_day(first, "from") if first else last - timedelta(days=_HISTORY_DAYS - 1)
    if begin > last:
        refuse("from", "out_of_range", "Should not lie after `to`.")
    if (last - begin).days >= _MAX_DAYS:
        refuse("from", "too_many_days", f"A history has at most {_MAX_DAYS} days.")
    return begin, last


def _overrides(routes: APIRouter, desk: Desk) -> None:
    path = "/v1/accounts/{account_id:id}/health/override"

    @routes.post(path, status_code=201, response_model=OverrideShown, summary="Set the band by hand")
    async def give(account_id: str, asker: Works, wish: OverrideWish) -> Response:
        """Lists, filters and the summary use this band from now on until `expires_at`; `score` and `band` stay the
        computed ones. One that holds already ends. A CSM may do it for own accounts. 409 for a churned account."""
        now = desk.clock.now()
        row, today = await _to_override(desk, asker, account_id)
        given = _given(wish, asker, now)
        async with tenant_transaction(desk.database.worker, asker.tenant) as conn:
            await give_override(conn, asker.tenant, row["account"], given, now, today)
            told = {"band": given.band, "expires_at": given.expires_at}
            await record(conn, asker, now, "health_override.create", row["account_id"], **told)
        log.info("health_overridden", tenant=asker.tenant, band=given.band, by=asker.key_id)
        return Json(_shown(row["account_id"], given, now, None), 201)

    @routes.delete(path, response_model=OverrideShown, summary="End the manual band")
    async def end(account_id: str, asker: Works) -> Response:
        """The computed band counts again at once; the manual one stays in the history. A CSM may do it for own
        accounts. 404 where none holds."""
        now = desk.clock.now()
        row, today = await _to_override(desk, asker, account_id)
        async with tenant_transaction(desk.database.worker, asker.tenant) as conn:
            found = await end_override(conn, asker.tenant, row["account"], _author(asker), now, today)
            if found is None:
                raise NoOverride
            await record(conn, asker, now, "health_override.end", row["account_id"], band=found["band"])
        log.info("health_override_ended", tenant=asker.tenant, by=asker.key_id)
        held = Override(found["band"], found["reason"], found["author"], found["expires_at"])
        return Json(_shown(row["account_id"], held, found["at"], now))


async def _to_override(desk: Desk, asker: Principal, account_id: str) -> tuple[Mapping[str, Any], date]:
    async with desk.question(asker) as question:
        row = await store.one(question, account_id)
        if row is None:
            raise NotFound
        own_only(asker, row["csm_id"])
        if row["churned"]:
            raise ChurnedAccount
        return row, question.day


def _given(wish: OverrideWish, asker: Principal, now: datetime) -> Override:
    if wish.expires_at <= now:
        raise Invalid(errors=[Fault("/expires_at", "in_past", "Should lie in the future.")])
    return Override(wish.band, wish.reason, _author(asker), wish.expires_at.astimezone(UTC))


def _author(asker: Principal) -> str:
    return asker.csm_id or asker.key_id


def _shown(account_id: str, held: Override, at: datetime, ended_at: datetime | None) -> dict[str, Any]:
    told = {"band": held.band, "reason": held.reason, "author": held.author}
    return {"account_id": account_id, **told, "at": utc(at), "expires_at": utc(held.expires_at), "ended_at": ended_at}


def _since(question: Question, text: str | None) -> datetime:
    if not text:
        refuse("since", "missing", "Should be a day or an RFC 3339 instant.")
    return parse_as_of(text, question.at, question.terms.tz, "since")


async def _health(question: Question, account_id: str) -> dict[str, Any]:
    return await (_live if question.live else _past)(question, account_id)


async def _explain(question: Question, account_id: str, then: datetime) -> dict[str, Any]:
    now = await _health(question, account_id)
    account = await store.key_of(question, account_id)
    found = await past(question.conn, question.terms, then, [account]) if account else {}
    before = found.get(account or 0)
    rows = before.dimensions if before else ()
    told = explained(before.score if before else None, rows, now["score"], now["dimensions"])
    return {"account_id": now["account_id"], "from": then, "to": question.at, **told}


async def _gap(question: Question, account_id: str) -> dict[str, Any]:
    account = await store.key_of(question, account_id)
    known = await Reader(question.conn, question.terms, question.moment).accounts([account]) if account else {}
    if account not in known:
        raise NotFound
    one = known[account]
    told, settings = one.attributes, question.terms.settings
    features = entitled(told.get("features"), settings, question.day)
    users = await feature_users(question, account, features)
    found = consumption_gap(features, users, seats_of(told.get("seats"), one.usage.ids))
    period = nps_store.period_of(question, question.day - timedelta(days=_NPS_DAYS - 1), question.day)
    tallies = await nps_store.tallies(question, period, "account", account)
    nps = next(iter(tallies.values()), Tally()).figure()
    return {
        "account_id": one.account_id,
        "gap": found.gap,
        "features": [feature.as_json() for feature in found.features],
        "nps": {"nps": nps.nps, "n": nps.n},
        "flag": flag_of(found.gap, nps.detractors),
    }


async def _live(question: Question, account_id: str) -> dict[str, Any]:
    row = await store.one(question, account_id)
    if row is None:
        raise NotFound
    document = msgspec.json.decode(row["health"])
    return {
        "account_id": row["account_id"],
        "score": row["score"],
        "band": row["band"],
        "effective_band": row["effective_band"],
        "confidence": row["confidence"],
        **document,
        "computed_at": utc(row["computed_at"]),
    }


async def _past(question: Question, account_id: str) -> dict[str, Any]:
    account = await store.key_of(question, account_id)
    found = await past(question.conn, question.terms, question.at, [account]) if account else {}
    if account not in found:
        raise NotFound
    one = found[account]
    return {
        "account_id": one.account_id,
        "score": one.score,
        "band": one.band,
        "effective_band": one.effective_band,
        "confidence": one.confidence,
        **health_document(one),
        "computed_at": question.at,
    }
