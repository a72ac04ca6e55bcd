"""SQL of planned contacts: ahead, overdue, or closed by the contact that replaces them, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from services.scoring.asof import Question, past
from services.scoring.bounds import few_contacts
from services.scoring.joins.sql import joined
from shared.http.answers import EXACT

Place = tuple[datetime, str, str]  # at, id, account_id: where a plan stands
FIRST: Final[Place] = (datetime.min.replace(tzinfo=UTC), "", "")
STATES: Final = ("open", "overdue", "closed")
# Every plan of the accounts that are shown, as T ($2) sees it; what replaces it closes it, from the greatest
# (recorded_at, id) on, unless that has not happened by T. Reads the index of planned contacts.
_PLANS: Final = """
WITH {then}plan AS (
  SELECT s.account_id, s.name, s.owner, coalesce(x.csm_id, s.owner) AS csm_id, x.at, x.sent_id AS id, x.channel,
    x.playbook, x.note, x.person_ids, c.at AS closed_at, c.sent_id AS closed_id, c.channel AS closed_channel,
    c.outcome AS closed_outcome,
    CASE WHEN c.sent_id IS NOT NULL THEN 'closed' WHEN x.at <= $2 THEN 'overdue' ELSE 'open' END AS state
  FROM contact x {joins} {shown}
  LEFT JOIN LATERAL (
    SELECT r.at, r.sent_id, r.channel, r.outcome FROM contact r WHERE r.tenant = $1 AND r.replaces = x.sent_id
    ORDER BY r.recorded_at DESC, r.sent_id DESC, r.account <> x.account, r.account LIMIT 1) c ON true
  WHERE x.tenant = $1 AND x.outcome = 'planned' AND (c.sent_id IS NULL OR c.outcome = 'planned' OR c.at <= $2)
    AND (x.replaces IS NULL OR NOT EXISTS (
      SELECT 1 FROM contact r WHERE r.tenant = $1 AND r.replaces = x.replaces
      AND (r.recorded_at, r.sent_id) > (x.recorded_at, x.sent_id))))
"""
_CHOSEN: Final = "FROM plan WHERE state = ANY($3::text[]) AND ($4::text[] IS NULL OR csm_id = ANY($4))"
_PAGE: Final = f"""{_PLANS} SELECT * {_CHOSEN} AND (at, id COLLATE "C", account_id COLLATE "C") > ($5, $6, $7)
ORDER BY at, id COLLATE "C", account_id COLLATE "C" LIMIT $8"""
_COUNT: Final = f"{_PLANS} SELECT count(*) FROM (SELECT 1 {_CHOSEN} LIMIT {EXACT + 1}) AS found"
# The plan's account, if it is not churned now: looked up plan by plan, else all accounts might be read for a few plans.
_NOW: Final = """CROSS JOIN LATERAL (
    SELECT a.account_id, a.name, a.csm_id AS owner FROM account_state a
    WHERE a.tenant = $1 AND a.account = {account} AND NOT a.churned OFFSET 0) s"""
# Those that were not at T ({0}…: their keys, ids, names, owners).
_THEN: Final = """shown AS (SELECT * FROM unnest(${0}::int[], ${1}::text[], ${2}::text[], ${3}::text[])
  AS s(account, account_id, name, owner)), """
_SHOWN_THEN: Final = "JOIN shown s ON s.account = {account}"
_PLANNED: Final = (
    "SELECT DISTINCT {account} AS account FROM contact x {joins} WHERE x.tenant = $1 AND x.outcome = 'planned'"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which plans are meant: of these states, to be done by these CSMs (None: anybody)."""

    states: Sequence[str]
    csms: Sequence[str] | None


async def page(question: Question, chosen: Chosen, after: Place, size: int) -> tuple[list[Mapping[str, Any]], int]:
    """The next plans and how many there are (above 10,000: at least so many). Raises TooManyAccounts,
    TooManyContacts."""
    asked = [question.tenant, question.at, list(chosen.states), chosen.csms]
    await few_contacts(question)
    accounts = [] if question.live else await _then(question)
    rows = await _fetch(question, _PAGE, [*asked, *after, size], accounts)
    counted = await _fetch(question, _COUNT, asked, accounts)
    return rows, int(counted[0][0])


async def _fetch(question: Question, sql: str, asked: list[Any], accounts: list[list[Any]]) -> list[Any]:
    first = len(asked) + 1
    then = _THEN.format(*range(first, first + 4)) if accounts else ""
    told = sql.replace("{then}", then).replace("{shown}", _SHOWN_THEN if accounts else _NOW)
    told = joined(told, accounts=question.terms.joined.accounts, persons=False)
    return await question.conn.fetch(told, *asked, *accounts)


async def _then(question: Question) -> list[list[Any]]:
    """The accounts with plans that existed at T and had not churned: keys, ids, names, owners."""
    sql = joined(_PLANNED, accounts=question.terms.joined.accounts, persons=False)
    planned = [row["account"] for row in await question.conn.fetch(sql, question.tenant)]
    found = await past(question.conn, question.terms, question.at, planned)
    rows = [(key, one.account_id, one.name, one.csm_id) for key, one in sorted(found.items()) if not one.churned]
    return [[row[column] for row in rows] for column in range(4)]
