"""SQL of an account's people: whoever a person fact, usage or an answer names in it by T, page by page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from services.scoring.asof import Question
from services.scoring.facts.read import CONTACT_STANDS
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members, groups

WINDOW_DAYS: Final = 28
# $2: all ids of the account. `since`: the first time that somebody was said to belong to it.
_NAMED: Final = """
SELECT {person} AS person, min(at) AS since FROM person_attribute x {joins}
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND at <= $3 GROUP BY 1
UNION ALL SELECT {person}, NULL FROM account_user x {joins}
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND first_day <= $4
UNION ALL SELECT {person}, NULL FROM response x {joins}
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.person IS NOT NULL AND at <= $3
"""
_PAGE: Final = f"""
WITH named AS ({_NAMED})
SELECT k.person_id, k.person, min(n.since) AS since FROM named n
JOIN scoring.person_key k ON k.tenant = $1 AND k.person = n.person
WHERE k.person_id > $5 GROUP BY k.person_id, k.person ORDER BY k.person_id LIMIT $6
"""
_COUNT: Final = f"WITH named AS ({_NAMED}) SELECT count(DISTINCT person) FROM named"
# Of the persons asked for all ids ($2), each with the one that stands for them ($3); $4: all ids of the account.
_WHO: Final = "who AS (SELECT * FROM unnest($2::int[], $3::int[]) AS w(person, one))"
# Name, e-mail and title are the person's own, wherever they were told: alone, here, or where the person was before.
_OWN: Final = f"""
WITH {_WHO}, place AS (
  SELECT one, person, 0 AS account FROM who UNION SELECT one, person, here FROM who, unnest($4::int[]) AS a(here)
  UNION SELECT w.one, w.person, m.first_account FROM who w JOIN membership m ON m.tenant = $1 AND m.person = w.person
  UNION SELECT w.one, w.person, m.last_account FROM who w JOIN membership m ON m.tenant = $1 AND m.person = w.person)
SELECT DISTINCT ON (p.one, x.field) p.one AS person, x.field, x.value #>> '{{}}' AS told FROM place p
JOIN person_attribute x ON x.tenant = $1 AND x.account = p.account AND x.person = p.person
WHERE x.field IN ('name', 'email', 'title') AND x.at <= $5 ORDER BY p.one, x.field, x.at DESC, x.id DESC
"""
_HERE: Final = f"""
WITH {_WHO}
SELECT DISTINCT ON (w.one, x.field) w.one AS person, x.field, x.value = 'true' AS told FROM who w
JOIN person_attribute x ON x.tenant = $1 AND x.account = ANY($4::int[]) AND x.person = w.person
WHERE x.field IN ('uses_product', 'deactivated') AND x.at <= $5 ORDER BY w.one, x.field, x.at DESC, x.id DESC
"""
_USED: Final = f"""
WITH {_WHO}
SELECT w.one AS person, min(x.day) AS first_day, max(x.day) AS last_day,
  count(DISTINCT x.day) FILTER (WHERE x.day > $6)::int AS days,
  coalesce(sum(x.events) FILTER (WHERE x.day > $6), 0)::bigint AS events
FROM who w JOIN usage x ON x.tenant = $1 AND x.account = ANY($4::int[]) AND x.person = w.person
WHERE x.day <= $5 GROUP BY 1
"""
# Each person's latest scored answer for the account, of each answer its version in force.
_SCORED: Final = f"""
WITH {_WHO}
SELECT DISTINCT ON (w.one) w.one AS person, r.score, r.at FROM who w
JOIN response r ON r.tenant = $1 AND r.account = ANY($4::int[]) AND r.person = w.person
WHERE r.at <= $5 AND r.score IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM response v WHERE v.tenant = $1 AND v.response_id = r.response_id AND v.at <= $5
  AND (v.at, v.id) > (r.at, r.id))
ORDER BY w.one, r.at DESC, r.response_id DESC
"""
_REACHED: Final = f"""
WITH {_WHO}
SELECT w.one AS person, max(x.at) AS at FROM contact x CROSS JOIN unnest(x.person_ids) AS n(person_id)
JOIN scoring.person_key k ON k.tenant = $1 AND k.person_id = n.person_id JOIN who w ON w.person = k.person
WHERE x.tenant = $1 AND x.account = ANY($4::int[]) AND x.at <= $5 AND x.outcome IN ('reached', 'replied')
  AND {CONTACT_STANDS} GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Person:
    """One person of an account: rows by family, None where nothing is told. `own`: name, email, title; `here`:
    uses_product, deactivated."""

    person_id: str
    since: Any
    own: Mapping[str, str | None]
    here: Mapping[str, bool]
    used: Mapping[str, Any] | None
    scored: Mapping[str, Any] | None
    reached: Any


async def page(question: Question, account: int, after: str, size: int) -> tuple[list[Person], int, bool]:
    """The next persons by id, how many there are in all, and whether more follow."""
    tenant, conn = question.tenant, question.conn
    members = sorted(await account_members(conn, tenant, [account]))
    asked = [tenant, members, question.at, question.day]
    together = question.terms.joined.persons
    total = await conn.fetchval(joined(_COUNT, accounts=False, persons=together), *asked)
    rows = await conn.fetch(joined(_PAGE, accounts=False, persons=together), *asked, after, size + 1)
    return await _told(question, members, rows[:size]), int(total or 0), len(rows) > size


async def _told(question: Question, members: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> list[Person]:
    who = await _who(question, [row["person"] for row in rows])
    asked, at, day = [question.tenant, *who, members], question.at, question.day
    fetch = question.conn.fetch
    own, here = _fields(await fetch(_OWN, *asked, at)), _fields(await fetch(_HERE, *asked, at))
    used = {row["person"]: row for row in await fetch(_USED, *asked, day, day - timedelta(days=WINDOW_DAYS))}
    scored = {row["person"]: row for row in await fetch(_SCORED, *asked, at)}
    reached = {row["person"]: row["at"] for row in await fetch(_REACHED, *asked, at)}
    return [
        Person(
            row["person_id"], row["since"], own.get(key, {}), here.get(key, {}), used.get(key), scored.get(key),
            reached.get(key),
        )
        for row in rows for key in (row["person"],)
    ]  # fmt: skip


async def _who(question: Question, persons: Sequence[int]) -> tuple[list[int], list[int]]:
    """(every id, the one that stands for it) of these persons."""
    if not question.terms.joined.persons:
        return list(persons), list(persons)
    same = await groups(question.conn, question.tenant, persons)
    pairs = [(other, person) for person, others in same.items() for other in others]
    return [other for other, _ in pairs], [person for _, person in pairs]


def _fields(rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row["person"], {})[row["field"]] = row["told"]
    return found
