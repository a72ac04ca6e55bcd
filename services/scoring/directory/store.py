"""SQL of persons: their e-mail and the account they belong to; who belongs to accounts of a choice."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.postgres import Connection

# Of each asked person whom any fact names, ids joined by an alias read as one (`also`: all of them): the latest e-mail,
# and the account of the latest membership that has not ended (`gone`: all of them have).
_PEOPLE: Final = """
WITH asked AS (SELECT person_id, person FROM scoring.person_key WHERE tenant = $1 AND person_id = ANY($2::text[])),
one AS (
  SELECT a.person_id, coalesce(o.person, a.person) AS person FROM asked a
  LEFT JOIN person_join m ON m.tenant = $1 AND m.person = a.person
  LEFT JOIN person_join o ON o.tenant = $1 AND o.canonical = m.canonical),
home AS (
  SELECT o.person_id, m.person, m.day, m.last_account AS account, coalesce((
    SELECT d.value = 'true' FROM person_attribute d
    WHERE d.tenant = $1 AND d.account = m.last_account AND d.person = m.person AND d.field = 'deactivated'
    ORDER BY d.at DESC, d.id DESC LIMIT 1), false) AS gone
  FROM one o JOIN membership m ON m.tenant = $1 AND m.person = o.person),
place AS (
  SELECT person_id, person, account FROM home UNION SELECT person_id, person, 0 FROM one),
reached AS (
  SELECT DISTINCT ON (p.person_id) p.person_id, x.value #>> '{}' AS email FROM place p
  JOIN person_attribute x ON x.tenant = $1 AND x.account = p.account AND x.person = p.person AND x.field = 'email'
  ORDER BY p.person_id, x.at DESC, x.id DESC),
here AS (SELECT DISTINCT ON (person_id) person_id, account, gone FROM home ORDER BY person_id, gone, day DESC),
same AS (
  SELECT o.person_id, array_agg(q.person_id ORDER BY q.person_id) AS also FROM one o
  JOIN scoring.person_key q ON q.tenant = $1 AND q.person = o.person AND q.person_id <> o.person_id GROUP BY 1)
SELECT a.person_id, r.email, k.account_id, coalesce(h.gone, false) AS deactivated,
       coalesce(s.churned, false) AS churned, s.csm_id, b.also, coalesce(j.canonical, h.account) AS account
FROM asked a LEFT JOIN reached r USING (person_id) LEFT JOIN here h USING (person_id) LEFT JOIN same b USING (person_id)
LEFT JOIN scoring.account_key k ON k.tenant = $1 AND k.account = h.account
LEFT JOIN account_join j ON j.tenant = $1 AND j.account = h.account
LEFT JOIN account_state s ON s.tenant = $1 AND s.account = coalesce(j.canonical, h.account)
"""
_ACCOUNTS: Final = "SELECT account FROM account_state WHERE {clauses}"
# Whoever was ever a member of these accounts, joined ids named once, by the one that stands for all.
_MEMBERS: Final = """
WITH told AS (
  SELECT unnest($2::int[]) AS account UNION
  SELECT account FROM account_join WHERE tenant = $1 AND canonical = ANY($2::int[])),
found AS (
  SELECT DISTINCT coalesce(j.canonical, m.person) AS person FROM membership m
  LEFT JOIN person_join j ON j.tenant = $1 AND j.person = m.person
  WHERE m.tenant = $1 AND m.last_account IN (SELECT account FROM told))
SELECT k.person_id FROM found f JOIN scoring.person_key k ON k.tenant = $1 AND k.person = f.person
ORDER BY k.person_id COLLATE "C" LIMIT $3
"""


async def people(conn: Connection, tenant: int, ids: Sequence[str]) -> list[dict[str, Any]]:
    """`{person_id, email, account_id, deactivated, churned, csm_id, also}` of those whom any fact names: `churned` and
    `csm_id` speak of the account, `also` are the ids that are the same person's."""
    return [told(row) for row in await conn.fetch(_PEOPLE, tenant, ids)]


async def audience(
    conn: Connection, tenant: int, filters: Mapping[Any, Sequence[str]], limit: int
) -> list[dict[str, Any]] | None:
    """The same of those who belong now to an account that meets every filter (columns of account_state), in order of
    id; None when more than `limit` persons would have to be looked at."""
    clauses = ["tenant = $1", *(f"{name} = ANY(${n}::text[])" for n, name in enumerate(filters, 2))]
    chosen = await conn.fetch(_ACCOUNTS.format(clauses=" AND ".join(clauses)), tenant, *filters.values())
    accounts = {row["account"] for row in chosen}
    ids = [row["person_id"] for row in await conn.fetch(_MEMBERS, tenant, list(accounts), limit + 1)]
    if len(ids) > limit:
        return None
    found = await conn.fetch(_PEOPLE, tenant, ids)
    return sorted((told(row) for row in found if row["account"] in accounts), key=lambda one: one["person_id"])


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A person as the answer shows them."""
    plain = ("person_id", "email", "account_id", "deactivated", "churned", "csm_id")
    return {**{name: row[name] for name in plain}, "also": row["also"] or []}
