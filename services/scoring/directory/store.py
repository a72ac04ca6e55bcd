"""SQL of persons: their e-mail and the account they belong to."""

from collections.abc import Sequence
from typing import Any, Final

from shared.postgres import Connection

# Of each asked person whom any fact names, ids joined by an alias read as one: the latest e-mail, and the account of
# the latest membership that has not ended (`gone`: all of them have).
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
  SELECT person_id, person, account FROM home UNION SELECT person_id, person, 0 FROM one)
SELECT a.person_id, e.email, k.account_id, coalesce(h.gone, false) AS deactivated
FROM asked a
LEFT JOIN LATERAL (
  SELECT x.value #>> '{}' AS email FROM place p
  JOIN person_attribute x ON x.tenant = $1 AND x.account = p.account AND x.person = p.person AND x.field = 'email'
  WHERE p.person_id = a.person_id ORDER BY x.at DESC, x.id DESC LIMIT 1) e ON true
LEFT JOIN LATERAL (
  SELECT account, gone FROM home WHERE home.person_id = a.person_id ORDER BY gone, day DESC LIMIT 1) h ON true
LEFT JOIN scoring.account_key k ON k.tenant = $1 AND k.account = h.account
"""


async def people(conn: Connection, tenant: int, ids: Sequence[str]) -> list[dict[str, Any]]:
    """`{person_id, email, account_id, deactivated}` of those whom any fact names."""
    return [dict(row) for row in await conn.fetch(_PEOPLE, tenant, ids)]
