"""Coverage day by day: every day at its end, the last one at T, each read and judged as its single answer is."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from services.scoring.account import AccountAt, Amounts, Moment
from services.scoring.asof import Question, refuse_too_many
from services.scoring.coverage.rules import WHOLE, coverage, tally
from services.scoring.coverage.store import COLUMN, Counts, counts
from services.scoring.facts.read import Reader
from services.scoring.lifecycle.rules import Lifecycle, lifecycle
from services.scoring.matrix.rules import place
from services.scoring.tiers.rules import amounts, tier_of
from shared.clock import end_of_day
from shared.tenant_settings import TenantSettings

_BREATH: Final = 1_000  # accounts judged before other work gets its turn


@dataclass(frozen=True, slots=True)
class Standing:
    """One account of a day, as far as coverage and its groups look at it."""

    tier: str
    csm_id: str | None
    team: str | None
    rank: str | None
    covered: bool | None


async def series(question: Question, first: date, last: date, by: str) -> AsyncIterator[tuple[date, Counts]]:
    """(eligible, covered) by group and tier of every day of a period that ends at T's day or before. Raises
    TooManyAccounts."""
    await refuse_too_many(question.conn, question.tenant)
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        yield day, await _day(question, day, by)


async def _day(question: Question, day: date, by: str) -> Counts:
    if day == question.day and question.live:
        return await counts(question, by)
    at = question.at if day == question.day else end_of_day(day, question.terms.tz)
    found = await standings(question, at, ranks=by == "rank")
    keys = (WHOLE if by == "tenant" else getattr(one, COLUMN[by]) for one in found)
    return tally((key, one.tier, one.covered) for key, one in zip(keys, found, strict=True))


async def standings(question: Question, at: datetime, *, ranks: bool) -> list[Standing]:
    """Every account that existed at T and was not churned then."""
    moment = question.terms.moment(at)
    settings = question.terms.settings
    reader = Reader(question.conn, question.terms, moment)
    known = (await reader.for_coverage(ids=ranks and settings.rank.by == "ids")).values()
    lives = [(one, lifecycle(one, moment)) for one in known]
    held = question.terms.published(moment.day) or _computed((life for _, life in lives), settings)
    found: list[Standing] = []
    for index, (one, life) in enumerate(lives):
        if index % _BREATH == 0:
            await asyncio.sleep(0)
        if not life.churned:
            found.append(_standing(one, life, held, settings, moment))
    return found


def _computed(lives: Iterable[Lifecycle], settings: TenantSettings) -> Amounts:
    """Provisional amounts, of the accounts as of T."""
    return amounts((life.value for life in lives if not life.churned), settings.tiers)


def _standing(one: AccountAt, life: Lifecycle, held: Amounts, settings: TenantSettings, moment: Moment) -> Standing:
    tier = one.tier_exception or tier_of(life.value, held)
    cover = coverage(one, life, settings.coverage.of(tier), moment)
    rank = place(one, life.acv, life.start, settings, moment.day).rank
    return Standing(tier, one.attributes.get("csm_id"), one.team, rank, cover.covered)
