"""SQL of talking points: usage by feature in two windows, what was ever used, the last comment, what came since."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from services.scoring.account import AccountAt, Moment
from services.scoring.accounts.answers import money
from services.scoring.accounts.store import one
from services.scoring.asof import Question, amounts_at, past
from services.scoring.assessment import Assessment, Rulebook, assess
from services.scoring.facts.read import CONTRACT_STANDS, Reader
from services.scoring.health.readings import entitled
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members
from services.scoring.matrix.actions import Fired
from services.scoring.talking.report import MOST_UNUSED, WEEKS, Report, Week, most_used
from services.scoring.talking.rules import Comment, FeatureUse, Picture, Since, changed, new_unused, unused
from shared.clock import day_of
from shared.tenant_settings import ValueFeature

WINDOW_DAYS: Final = 28
# Uses and users by feature in (D - 28, D], uses in the 28 days before. $2: all ids of the account.
_BY_FEATURE: Final = """
SELECT k.event, coalesce(sum(x.events) FILTER (WHERE x.day > $4), 0)::bigint AS events,
  count(DISTINCT {person}) FILTER (WHERE x.day > $4)::int AS users,
  coalesce(sum(x.events) FILTER (WHERE x.day <= $4), 0)::bigint AS before
FROM usage x {joins} JOIN scoring.feature_key k ON k.tenant = $1 AND k.feature = x.feature
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.day > $3 AND x.day <= $5 GROUP BY k.event ORDER BY k.event
"""
_EVER: Final = """
SELECT DISTINCT k.event FROM usage x JOIN scoring.feature_key k ON k.tenant = $1 AND k.feature = x.feature
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.day <= $3 AND k.event = ANY($4::text[])
"""
# Of the answers that stand at T the latest with words.
_COMMENT: Final = """
SELECT x.score, x.comment, x.at, x.survey_id, p.person_id FROM response x {joins}
LEFT JOIN scoring.person_key p ON p.tenant = $1 AND p.person = {person}
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.at <= $3 AND x.comment <> '' AND NOT EXISTS (
  SELECT 1 FROM response v WHERE v.tenant = $1 AND v.response_id = x.response_id AND v.at <= $3
  AND (v.at, v.id) > (x.at, x.id))
ORDER BY x.at DESC, x.response_id DESC LIMIT 1
"""
# By weeks back from T's day: uses and users.
_WEEKS: Final = """
SELECT ($4::date - x.day) / 7 AS back, sum(x.events)::bigint AS events, count(DISTINCT {person})::int AS users
FROM usage x {joins} WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.day > $3 AND x.day <= $4 GROUP BY 1
"""
_ANSWERS_SINCE: Final = """
SELECT count(DISTINCT response_id) FROM response x
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.at > $3 AND x.at <= $4
"""
_CONTRACTS_SINCE: Final = f"""
SELECT count(*) FROM contract x
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND effective_on > $3 AND effective_on <= $4 AND {CONTRACT_STANDS}
"""


async def features(question: Question, members: Sequence[int]) -> list[FeatureUse]:
    """Every feature that was used in the 56 days that end with T's day, by name."""
    day = question.day
    first, middle = day - timedelta(days=2 * WINDOW_DAYS), day - timedelta(days=WINDOW_DAYS)
    sql = joined(_BY_FEATURE, accounts=False, persons=question.terms.joined.persons)
    rows = await question.conn.fetch(sql, question.tenant, members, first, middle, day)
    return [FeatureUse(row["event"], row["events"], row["users"], row["before"]) for row in rows]


async def ever(question: Question, members: Sequence[int], mine: Sequence[ValueFeature]) -> frozenset[str]:
    """Which events of these features were ever used by T's day."""
    events = sorted({event for one in mine for event in one.events})
    rows = await question.conn.fetch(_EVER, question.tenant, members, question.day, events) if events else []
    return frozenset(row["event"] for row in rows)


async def weeks(question: Question, members: Sequence[int]) -> list[Week]:
    """The eight weeks that end with T's day, in order of time."""
    day, sql = question.day, joined(_WEEKS, accounts=False, persons=question.terms.joined.persons)
    rows = await question.conn.fetch(sql, question.tenant, members, day - timedelta(days=7 * WEEKS), day)
    told = {row["back"]: (row["users"], row["events"]) for row in rows}
    most = max((events for _, events in told.values()), default=1)
    found: list[Week] = []
    for back in reversed(range(WEEKS)):
        users, events = told.get(back, (0, 0))
        last = day - timedelta(days=7 * back)
        found.append(Week(last - timedelta(days=6), last, users, events, round(100 * events / most)))
    return found


async def report(question: Question, account: int, lang: str) -> Report:
    """What the customer is shown of the 28 days that end with T's day."""
    members = sorted(await account_members(question.conn, question.tenant, [account]))
    seen, settings, day = await known(question, account), question.terms.settings, question.day
    used, mine = await features(question, members), entitled(seen.attributes.get("features"), settings, day)
    told = Picture(day, 0, 0, entitled=mine, ever=await ever(question, members, mine))
    new = [(one.feature, on) for one, on in new_unused(told)]
    rest = [one.feature for one in unused(told) if one.feature not in dict(new)]
    most, more = most_used(used)
    return Report(
        name=seen.attributes.get("name") or seen.account_id,
        brand=getattr(settings.brand.name, lang) if settings.brand else None,
        first=day - timedelta(days=WINDOW_DAYS - 1),
        last=day,
        users=seen.usage.active_users_28,
        users_before=seen.usage.active_users_28_before,
        events=sum(one.events for one in used),
        events_before=sum(one.events_before for one in used),
        active_days=seen.usage.active_days_28,
        seats=seen.attributes.get("seats"),
        weeks=await weeks(question, members),
        features=most,
        more_features=more,
        new=new,
        unused=rest[:MOST_UNUSED],
        more_unused=max(0, len(rest) - MOST_UNUSED),
    )


async def known(question: Question, account: int) -> AccountAt:
    """The account at T, which must exist."""
    return (await Reader(question.conn, question.terms, question.moment).accounts([account]))[account]


async def picture(question: Question, account: int, seen: AccountAt) -> Picture:
    """What there is to talk about. Raises TooManyAccounts for a past T."""
    members = sorted(await account_members(question.conn, question.tenant, [account]))
    told, day = seen.attributes, question.day
    mine = entitled(told.get("features"), question.terms.settings, day)
    now, alerts = await _now(question, account, seen)
    return Picture(
        day=day,
        users=seen.usage.active_users_28,
        users_before=seen.usage.active_users_28_before,
        features=await features(question, members),
        entitled=mine,
        ever=await ever(question, members, mine),
        seats=told.get("seats"),
        comment=await _comment(question, members),
        renewal_on=now.renewal_on,
        alerts=alerts,
        since=await _since(question, account, members, seen, now),
    )


async def _now(question: Question, account: int, seen: AccountAt) -> tuple[Assessment, Sequence[Fired]]:
    """How the account stands at T, and the rules that fired: live as the list shows them."""
    if not question.live:
        found = (await past(question.conn, question.terms, question.at, [account], changes=True))[account]
        return found, found.needs_action
    row = await one(question, seen.account_id)
    fired = msgspec.json.decode(row["needs_action"]) if row else []
    return assess(seen, question.moment, _live_rules(question)), [_rule(told) for told in fired]


def _live_rules(question: Question) -> Rulebook:
    return question.terms.live_rules(0, question.moment)


def _rule(told: Mapping[str, Any]) -> Fired:
    since = told["since"]
    return Fired(told["rule"], told["value"], told["threshold"], since and datetime.fromisoformat(since))


async def _comment(question: Question, members: Sequence[int]) -> Comment | None:
    sql = joined(_COMMENT, accounts=False, persons=question.terms.joined.persons)
    row = await question.conn.fetchrow(sql, question.tenant, members, question.at)
    if row is None:
        return None
    at = row["at"].astimezone(UTC)
    day = day_of(at, question.terms.tz)
    return Comment(row["score"], row["comment"], at, day, row["survey_id"], row["person_id"])


async def _since(
    question: Question, account: int, members: Sequence[int], seen: AccountAt, now: Assessment
) -> Since | None:
    """What changed since the last counting contact; None where there is none."""
    last = now.last_contact
    if last is None:
        return None
    day = day_of(last.at, question.terms.tz)
    asked = (question.tenant, members)
    responses = await question.conn.fetchval(_ANSWERS_SINCE, *asked, last.at, question.at)
    contracts = await question.conn.fetchval(_CONTRACTS_SINCE, *asked, day, question.day)
    moment = question.terms.moment(last.at)
    then = (await Reader(question.conn, question.terms, moment).accounts([account]))[account]
    was = assess(then, moment, await _rules_then(question, moment))
    currency, decided = question.terms.settings.currency, question.terms.published(moment.day) is not None
    changes = changed(_watched(was, then, currency, decided), _watched(now, seen, currency, decided))
    return Since(last.at, day, last.channel, changes, responses or 0, contracts or 0)


async def _rules_then(question: Question, moment: Moment) -> Rulebook:
    """Where nothing is published by then the amounts of T stand in: a live answer scans no tenant."""
    published = question.terms.published(moment.day)
    if published is not None:
        return question.terms.rules(published)
    if question.live:
        return _live_rules(question)
    return question.terms.rules(await amounts_at(question.conn, question.terms, question.moment))


def _watched(found: Assessment, seen: AccountAt, currency: str, decided: bool) -> dict[str, Any]:
    """`decided`: the tier rested on published amounts; as on the timeline, a provisional one is no change."""
    return {
        "score": found.score,
        "effective_band": found.effective_band,
        "active_users_28": found.active_users_28,
        "ids": found.ids,
        "seats": seen.attributes.get("seats"),
        "acv": money(found.acv, currency),
        "tier": found.tier if decided else None,
        "status": found.status,
        "csm_id": found.csm_id,
        "renewal_on": found.renewal_on,
    }
