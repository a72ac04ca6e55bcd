"""The route of the home screen."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf, asked_csms, plain
from services.scoring.asof import Desk, Question
from services.scoring.coverage.store import csm_names
from services.scoring.matrix.actions import RULES_OFF
from services.scoring.nps import store as nps_store
from services.scoring.nps.answers import counted
from services.scoring.nps.rules import Tally
from services.scoring.summary import answers, store
from services.scoring.summary.shapes import Summary
from shared.http import Json
from shared.tenancy import Principal, Right, require

NPS_DAYS: Final = 90
Csms = Annotated[list[str] | None, Query(description="Only accounts of this CSM; `me` is the asker. Twice = either.")]
Teams = Annotated[list[str] | None, Query(description="Only accounts of this team. Twice = either.")]


def summary_routes(desk: Desk) -> APIRouter:
    """`GET /v1/summary`."""
    routes = APIRouter(tags=["summary"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/summary", response_model=Summary, summary="The home screen")
    async def summary(
        asker: Annotated[Principal, reader], csm: Csms = None, team: Teams = None, as_of: AsOf = None
    ) -> Response:
        """How the customers are, who is covered, whom to call first and why. With `csm` or `team` the accounts that
        are theirs at T; the newest fact's age and the unassigned events are the tenant's all the same."""
        scope = store.Scope(asked_csms(csm, asker), plain(team))
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _answer(question, scope)))

    return routes


async def _answer(question: Question, scope: store.Scope) -> dict[str, Any]:
    settings = question.terms.settings
    found = await store.board(question, scope)
    age = answers.age_s(await store.newest_fact(question), question.at)
    return {
        "headline": answers.headline(found.totals, settings.currency, age, await store.unassigned(question)),
        "bands": answers.bands(found.totals, settings.currency),
        "coverage": answers.cover(found.totals, await csm_names(question), settings.coverage),
        "contact_rate": answers.contact_rate(found.totals),
        "call_first": [answers.call(row, settings.currency) for row in found.calls],
        "nps": await _nps(question, found.accounts),
        "rules_off": list(RULES_OFF),
    }


async def _nps(question: Question, accounts: frozenset[str] | None) -> dict[str, Any]:
    """The figure of the 90 days to T: of all, or of some accounts as `/v1/nps?by=csm` groups them."""
    period = nps_store.period_of(question, question.day - timedelta(days=NPS_DAYS - 1), question.day)
    if accounts is None:
        whole = (await nps_store.tallies(question, period, "tenant")).get("tenant", Tally())
    else:
        whole = Tally()
        for account_id, tally in (await nps_store.tallies(question, period, "account")).items():
            if account_id in accounts:
                whole.add(tally)
    found = counted(whole)
    return {**{name: found[name] for name in ("nps", "interval", "n", "response_rate")}, "open_follow_ups": None}
