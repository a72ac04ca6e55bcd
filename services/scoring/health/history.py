"""One account's health over days: as it was shown, or computed again from today's knowledge."""

from bisect import bisect_right
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from services.scoring.account import Amounts, Moment
from services.scoring.accounts.answers import utc
from services.scoring.asof import Question, amounts_at
from services.scoring.assessment import Assessment, assess
from services.scoring.facts.read import Reader
from services.scoring.health.snapshots import snapshots
from shared.clock import end_of_day

# When money or status of any account changes: in between the provisional amounts of the tiers stand still.
_TOLD: Final = """
SELECT DISTINCT at FROM account_attribute
WHERE tenant = $1 AND field IN ('acv', 'potential_acv', 'status') AND at > $2 AND at <= $3 ORDER BY at
"""
_EFFECTIVE: Final = """
SELECT DISTINCT effective_on FROM contract WHERE tenant = $1 AND effective_on > $2 AND effective_on <= $3
ORDER BY effective_on
"""


async def shown(question: Question, account: int, first: date, last: date) -> list[dict[str, Any]]:
    """The snapshots of the days `first`…`last`, in order of time."""
    rows = await snapshots(question.conn, question.tenant, account, (first, last), question.at)
    return [_of_row(row) for row in rows]


async def recomputed(question: Question, account: int, first: date, last: date) -> list[dict[str, Any]]:
    """One point a day, at its end (T's day: at T), each what the answer as of then says; none before the account
    existed. Raises TooManyAccounts where provisional tiers would need more than 100,000."""
    return [_of_day(moment, one) async for moment, one in _days(question, account, first, last)]


async def _days(question: Question, account: int, first: date, last: date) -> AsyncIterator[tuple[Moment, Assessment]]:
    terms = question.terms
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    moments = [terms.moment(_instant(question, day)) for day in days]
    turns = await _turns(question, moments[0], moments[-1])
    held: tuple[Moment, Amounts] | None = None
    for moment in moments:
        known = await Reader(question.conn, terms, moment).accounts([account])
        if account not in known:
            continue
        if held is None or turns.between(held[0], moment):
            held = moment, await amounts_at(question.conn, terms, moment)
        amounts = terms.published(moment.day) or held[1]
        yield moment, assess(known[account], moment, terms.rules(amounts))


def _instant(question: Question, day: date) -> datetime:
    return question.at if day == question.day else end_of_day(day, question.terms.tz)


@dataclass(frozen=True, slots=True)
class _Turns:
    """When any account's money changes by what was told, and on which days by contracts; both in order."""

    told: list[datetime]
    effective: list[date]

    def between(self, was: Moment, now: Moment) -> bool:
        """Whether any changes after `was` and by `now`."""
        if bisect_right(self.told, was.at) < bisect_right(self.told, now.at):
            return True
        return bisect_right(self.effective, was.day) < bisect_right(self.effective, now.day)


async def _turns(question: Question, first: Moment, last: Moment) -> _Turns:
    told = await question.conn.fetch(_TOLD, question.tenant, first.at, last.at)
    effective = await question.conn.fetch(_EFFECTIVE, question.tenant, first.day, last.day)
    return _Turns([row["at"] for row in told], [row["effective_on"] for row in effective])


def _of_row(row: Any) -> dict[str, Any]:
    return {
        "day": row["day"],
        "at": utc(row["at"]),
        "reason": row["reason"],
        "score": row["score"],
        "band": row["band"],
        "effective_band": row["effective_band"],
        "confidence": row["confidence"],
        "model": {"id": row["model_id"], "version": row["model_version"]},
        "basis": "snapshot",
    }


def _of_day(moment: Moment, one: Assessment) -> dict[str, Any]:
    return {
        "day": moment.day,
        "at": moment.at,
        "reason": "day",
        "score": one.score,
        "band": one.band,
        "effective_band": one.effective_band,
        "confidence": one.confidence,
        "model": {"id": one.model_id, "version": one.model_version},
        "basis": "recomputed",
    }
