"""The route of activity."""

from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.scoring.accounts.api import AsOf
from services.scoring.activity import answers, store
from services.scoring.activity.shapes import ActivityAnswer
from services.scoring.asof import Desk, Question
from services.scoring.bounds import few_contacts
from shared.http import Json, parse_day
from shared.http.params import refuse
from shared.tenancy import Principal, Right, require

MAX_DAYS: Final = 400
DEFAULT_WEEKS: Final = 4
SHOWN_OPEN: Final = 100
From = Annotated[
    str | None, Query(alias="from", description="The first day; the Monday three weeks before that of `to` if absent.")
]
To = Annotated[str | None, Query(description="The last day; the day of `as_of` when absent.")]
By = Annotated[Literal["csm", "team", "tenant"], Query(description="What the groups are: who made the contact.")]


def activity_routes(desk: Desk) -> APIRouter:
    """`GET /v1/activity`."""
    routes = APIRouter(tags=["coverage"])
    reader = Depends(require(Right.READ))

    @routes.get("/v1/activity", response_model=ActivityAnswer, summary="What the team did, week by week")
    async def activity(
        asker: Annotated[Principal, reader], first: From = None, to: To = None, by: By = "csm", as_of: AsOf = None
    ) -> Response:
        """Attempts, who they reached, by channel, accounts touched; how fast customers who wrote were answered and who
        still waits. Of contacts that stand at T, by the CSM who made them (teams: the CSM's at T); at most 400 days."""
        async with desk.question(asker, as_of) as question:
            return Json(question.stamped(await _answer(question, *_period(question, first, to), by)))

    return routes


def _period(question: Question, first: str | None, to: str | None) -> tuple[date, date]:
    last = parse_day(to, "to") if to else question.day
    if last > question.day:
        refuse("to", "in_future", "Should not lie after the day of `as_of`.")
    monday = last - timedelta(days=last.weekday(), weeks=DEFAULT_WEEKS - 1)
    begin = parse_day(first, "from") if first else monday
    if begin > last:
        refuse("from", "out_of_range", "Should not lie after `to`.")
    if (last - begin).days >= MAX_DAYS:
        refuse("from", "too_many_days", f"A period has at most {MAX_DAYS} days.")
    return begin, last


async def _answer(question: Question, first: date, last: date, by: str) -> dict[str, Any]:
    period = store.period_of(question, first, last)
    await few_contacts(question, period.start, period.end)
    weeks, csms = await store.activity(question, period, by)
    names = {csm_id: csm.name for csm_id, csm in csms.items()} if by == "csm" else None
    whole = weeks.pop(None)
    late = any(group.inbound.overdue for group in whole.values())
    waiting = await store.waiting(question, period, SHOWN_OPEN) if late else []
    return {
        "from": first,
        "to": last,
        "groups": answers.listed(whole, names),
        "weeks": [answers.week(monday, groups, names) for monday, groups in weeks.items() if monday is not None],
        "open_inbound": [answers.unanswered(one, question.terms.tz) for one in waiting],
    }
