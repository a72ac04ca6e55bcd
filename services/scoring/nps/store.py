"""SQL of the responses and invitations that a figure rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from services.scoring.asof import Question, past
from services.scoring.nps.rules import Response
from shared.clock import end_of_day, start_of_day

# Of each answer only the version in force at T: the greatest (at, id) up to it.
_IN_FORCE: Final = """NOT EXISTS (
  SELECT 1 FROM response v WHERE v.tenant = $1 AND v.response_id = {row}.response_id AND v.at <= $2
  AND (v.at, v.id) > ({row}.at, {row}.id))"""
# The scored answers whose last edit lies in the period.
_SCORED: Final = f"""
SELECT r.id, r.response_id, r.survey_id, a.account_id, r.person, r.at, r.score FROM response r
LEFT JOIN scoring.account_key a ON a.tenant = $1 AND a.account = r.account
WHERE r.tenant = $1 AND r.at >= $3 AND r.at <= $4 AND r.score IS NOT NULL AND {_IN_FORCE.format(row="r")}
"""
# Invitations whose first mail left in the period and did not bounce, and whether they have a scored answer by T.
_SENT: Final = f"""
WITH answered AS (
  SELECT DISTINCT r.invitation_id FROM response r WHERE r.tenant = $1 AND r.at >= $3 AND r.at <= $2
  AND r.invitation_id IS NOT NULL AND r.score IS NOT NULL AND {_IN_FORCE.format(row="r")})
SELECT i.survey_id, a.account_id, w.invitation_id IS NOT NULL AS answered FROM invitation i
LEFT JOIN answered w ON w.invitation_id = i.invitation_id
LEFT JOIN scoring.account_key a ON a.tenant = $1 AND a.account = i.account
WHERE i.tenant = $1 AND i.kind = 'sent' AND i.at >= $3 AND i.at <= $4 AND NOT EXISTS (
  SELECT 1 FROM invitation b
  WHERE b.tenant = $1 AND b.invitation_id = i.invitation_id AND b.kind = 'bounced' AND b.at <= $2)
"""
# The answers that stand at T: one per person and survey, the latest; without a person each is its own.
_STANDING: Final = f"""
FROM response r WHERE r.tenant = $1 AND r.at <= $2 {{filters}} AND {_IN_FORCE.format(row="r")}
AND (r.person IS NULL OR NOT EXISTS (
  SELECT 1 FROM response o WHERE o.tenant = $1 AND o.person = r.person AND o.survey_id = r.survey_id AND o.at <= $2
  AND (o.at, o.response_id, o.id) > (r.at, r.response_id, r.id) AND {_IN_FORCE.format(row="o")}))
"""
_COUNT: Final = f"SELECT count(*) {_STANDING}"
_PAGE: Final = f"""
WITH page AS (
  SELECT r.* {_STANDING} AND (r.at, r.response_id) < ($3, $4) ORDER BY r.at DESC, r.response_id DESC LIMIT $5)
SELECT r.response_id, r.survey_id, a.account_id, p.person_id, r.score, r.comment, r.at FROM page r
LEFT JOIN scoring.account_key a ON a.tenant = $1 AND a.account = r.account
LEFT JOIN scoring.person_key p ON p.tenant = $1 AND p.person = r.person
ORDER BY r.at DESC, r.response_id DESC
"""
_ACCOUNTS: Final = """
SELECT account_id, name, tier, csm_id, csm_name FROM account_state WHERE tenant = $1 AND account_id = ANY($2)
"""
_KEYS: Final = "SELECT account FROM scoring.account_key WHERE tenant = $1 AND account_id = ANY($2)"


@dataclass(frozen=True, slots=True)
class Period:
    """Days `first`…`last` inclusive, as instants up to T. `live`: its end is now."""

    first: date
    last: date
    start: datetime
    end: datetime
    live: bool


@dataclass(frozen=True, slots=True)
class Invited:
    """One invitation that counts as sent."""

    survey_id: str
    account_id: str | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What groups need of an account at the end of the period; a churned one has no tier."""

    name: str | None
    tier: str | None
    csm_id: str | None
    csm_name: str | None


def period_of(question: Question, first: date, last: date) -> Period:
    """The period as T sees it: what lies after T is not in it."""
    tz = question.terms.tz
    end = min(end_of_day(last, tz), question.at)
    return Period(first, last, start_of_day(first, tz), end, question.live and last >= question.day)


async def scored(question: Question, period: Period, account: int | None = None) -> list[Response]:
    """The scored answers of the period, of one account or of all; each as it stands at T."""
    some = "" if account is None else " AND r.account = $5"
    asked = () if account is None else (account,)
    rows = await question.conn.fetch(_SCORED + some, question.tenant, question.at, period.start, period.end, *asked)
    return [_response(row) for row in rows]


def _response(row: Any) -> Response:
    person = None if row["person"] is None else str(row["person"])
    at = row["at"].astimezone(UTC)
    return Response(row["response_id"], row["id"], row["survey_id"], at, row["score"], row["account_id"], person)


async def sent(question: Question, period: Period, account: int | None = None) -> list[Invited]:
    """The invitations of the period that did not bounce."""
    some = "" if account is None else " AND i.account = $5"
    asked = () if account is None else (account,)
    rows = await question.conn.fetch(_SENT + some, question.tenant, question.at, period.start, period.end, *asked)
    return [Invited(row["survey_id"], row["account_id"], row["answered"]) for row in rows]


async def standings(question: Question, period: Period, accounts: Sequence[str]) -> Mapping[str, Standing]:
    """How these accounts stood at the end of the period, by their id."""
    if not accounts:
        return {}
    if period.live:
        rows = await question.conn.fetch(_ACCOUNTS, question.tenant, accounts)
        return {account_id: Standing(*told) for account_id, *told in rows}
    keys = [row["account"] for row in await question.conn.fetch(_KEYS, question.tenant, accounts)]
    found = await past(question.conn, question.terms, period.end, keys)
    return {one.account_id: Standing(one.name, one.tier, one.csm_id, one.csm_name) for one in found.values()}


async def page(
    question: Question, after: tuple[datetime, str], limit: int, accounts: Sequence[str], surveys: Sequence[str]
) -> list[Any]:
    """The next answers that stand at T, the newest first."""
    filters, asked = _filters(6, accounts, surveys)
    return await question.conn.fetch(
        _PAGE.replace("{filters}", filters), question.tenant, question.at, *after, limit, *asked
    )


async def total(question: Question, accounts: Sequence[str], surveys: Sequence[str]) -> int:
    """How many answers stand at T."""
    filters, asked = _filters(3, accounts, surveys)
    sql = _COUNT.replace("{filters}", filters)
    return int(await question.conn.fetchval(sql, question.tenant, question.at, *asked) or 0)


def _filters(first: int, accounts: Sequence[str], surveys: Sequence[str]) -> tuple[str, list[Sequence[str]]]:
    """SQL and parameters, numbered from `first`; nothing asked for means no filter."""
    sql, asked = "", []
    if accounts:
        keys = f"SELECT account FROM scoring.account_key WHERE tenant = $1 AND account_id = ANY(${first}::text[])"
        sql += f" AND r.account IN ({keys})"
        asked.append(accounts)
    if surveys:
        sql += f" AND r.survey_id = ANY(${first + len(asked)}::text[])"
        asked.append(surveys)
    return sql, asked
