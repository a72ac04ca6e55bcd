"""SQL of the responses and invitations that a figure rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.scoring.accounts.store import id_of
from services.scoring.asof import Question, past
from services.scoring.joins.sql import alike
from services.scoring.nps.rules import Tally
from shared.clock import end_of_day, start_of_day

# Of each answer only the version in force at T: the greatest (at, id) up to it.
_IN_FORCE: Final = """NOT EXISTS (
  SELECT 1 FROM response v WHERE v.tenant = $1 AND v.response_id = {row}.response_id AND v.at <= $2
  AND (v.at, v.id) > ({row}.at, {row}.id))"""
# How often each score was given, by {key}, of the answers whose last edit lies in the period: of each unit (the person,
# or the answer itself where it names none, and {unit}) the latest. `rules.latest` says the same one by one.
_SCORES: Final = f"""
WITH unit AS (
  SELECT DISTINCT ON (r.person, lone {{unit}}) r.account, r.survey_id, r.score FROM response r
  CROSS JOIN LATERAL (SELECT CASE WHEN r.person IS NULL THEN r.response_id END AS lone) l
  WHERE r.tenant = $1 AND r.at >= $3 AND r.at <= $4 {{some}} AND r.score IS NOT NULL AND {_IN_FORCE.format(row="r")}
  ORDER BY r.person, lone {{unit}}, r.at DESC, r.response_id DESC, r.id DESC),
counted AS (SELECT {{key}} AS key, score, count(*) AS answers FROM unit r GROUP BY 1, 2)
SELECT {{shown}} AS key, score, answers FROM counted {{names}}
"""
# Invitations whose first mail left in the period and did not bounce, and how many of them have a scored answer by T.
_SENT: Final = f"""
WITH answered AS (
  SELECT DISTINCT r.invitation_id FROM response r WHERE r.tenant = $1 AND r.at >= $3 AND r.at <= $2
  AND r.invitation_id IS NOT NULL AND r.score IS NOT NULL AND {_IN_FORCE.format(row="r")}),
counted AS (
  SELECT {{key}} AS key, count(*) AS sent, count(w.invitation_id) AS answered FROM invitation r
  LEFT JOIN answered w ON w.invitation_id = r.invitation_id
  WHERE r.tenant = $1 AND r.kind = 'sent' AND r.at >= $3 AND r.at <= $4 {{some}} AND NOT EXISTS (
    SELECT 1 FROM invitation b
    WHERE b.tenant = $1 AND b.invitation_id = r.invitation_id AND b.kind = 'bounced' AND b.at <= $2)
  GROUP BY 1)
SELECT {{shown}} AS key, sent, answered FROM counted {{names}}
"""
_NAMES: Final = "LEFT JOIN scoring.account_key a ON a.tenant = $1 AND a.account = counted.key"
# What is counted by: the rest of the unit, the key, how it is shown.
_BY: Final = {
    "tenant": {"unit": "", "key": "'tenant'", "shown": "key", "names": ""},
    "account": {"unit": ", r.account", "key": "r.account", "shown": "a.account_id", "names": _NAMES},
    "survey": {"unit": ", r.survey_id", "key": "r.survey_id", "shown": "key", "names": ""},
}
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


async def tallies(question: Question, period: Period, by: str, account: int | None = None) -> dict[str | None, Tally]:
    """What was answered and sent in the period, by `tenant` (key `tenant`), `account` or `survey`; of one account or
    of all. Nothing told, no key."""
    asked: list[Any] = [question.tenant, question.at, period.start, period.end]
    some = ""
    if account is not None:
        some, asked = "AND r.account = $5", [*asked, account]
    found: dict[str | None, Tally] = {}
    for row in await question.conn.fetch(_read(question, _SCORES.format(**_BY[by], some=some)), *asked):
        found.setdefault(row["key"], Tally()).scores[row["score"]] = row["answers"]
    for row in await question.conn.fetch(_read(question, _SENT.format(**_BY[by], some=some)), *asked):
        tally = found.setdefault(row["key"], Tally())
        tally.sent, tally.answered = row["sent"], row["answered"]
    return found


async def account_tally(question: Question, period: Period, account: int) -> dict[str, Tally]:
    """One account's, by the id that stands for it."""
    told = await tallies(question, period, "account", account)
    account_id = await id_of(question, account)
    return {account_id: told.get(account_id, Tally())}


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
        _read(question, _PAGE.replace("{filters}", filters)), question.tenant, question.at, *after, limit, *asked
    )


async def total(question: Question, accounts: Sequence[str], surveys: Sequence[str]) -> int:
    """How many answers stand at T."""
    filters, asked = _filters(3, accounts, surveys)
    sql = _read(question, _COUNT.replace("{filters}", filters))
    return int(await question.conn.fetchval(sql, question.tenant, question.at, *asked) or 0)


def _read(question: Question, sql: str) -> str:
    """The statement as it stands, or with joined ids read as one where the tenant has any."""
    together = question.terms.joined
    if not (together.accounts or together.persons):
        return sql
    return alike(alike(sql, "response", "ro"), "invitation", "r")


def _filters(first: int, accounts: Sequence[str], surveys: Sequence[str]) -> tuple[str, list[Sequence[str]]]:
    """SQL and parameters, numbered from `first`; nothing asked for means no filter."""
    sql, asked = "", []
    if accounts:
        keys = (
            "SELECT coalesce(j.canonical, k.account) FROM scoring.account_key k LEFT JOIN account_join j"
            f" USING (tenant, account) WHERE k.tenant = $1 AND k.account_id = ANY(${first}::text[])"
        )
        sql += f" AND r.account IN ({keys})"
        asked.append(accounts)
    if surveys:
        sql += f" AND r.survey_id = ANY(${first + len(asked)}::text[])"
        asked.append(surveys)
    return sql, asked
