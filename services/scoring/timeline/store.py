"""SQL of what happened with an account: each kind by itself, the newest first, from a place on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.scoring.asof import Question
from services.scoring.facts.read import CONTACT_STANDS, Csm
from services.scoring.joins.sql import joined
from services.scoring.timeline import answers
from services.scoring.timeline.rules import Entry

# Each source: $1 tenant, $2 all ids of the account, $3 T; columns `at`, `id` and the figures.
_CONTACTS: Final = f"""
SELECT x.at, x.id, channel, outcome, csm_id, person_ids, direction, playbook, note, voices FROM contact x
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.at <= $3 AND {CONTACT_STANDS}
"""
# Of each answer the version in force at T.
_RESPONSES: Final = """
SELECT x.at, x.response_id AS id, x.survey_id, p.person_id, x.score, x.comment FROM response x {joins}
LEFT JOIN scoring.person_key p ON p.tenant = $1 AND p.person = {person}
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.at <= $3 AND NOT EXISTS (
  SELECT 1 FROM response v WHERE v.tenant = $1 AND v.response_id = x.response_id AND v.at <= $3
  AND (v.at, v.id) > (x.at, x.id))
"""
# Fields that changed; the same value told again is no change.
_FIELDS: Final = """
SELECT at, field || ' ' || id AS id, field, value, was FROM (
  SELECT at, id, field, value, lag(value) OVER (PARTITION BY field ORDER BY at, id) AS was FROM account_attribute x
  WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND at <= $3 AND field IN ({fields})) v
WHERE value IS DISTINCT FROM was
"""
_OWNERS: Final = _FIELDS.replace("{fields}", "'csm_id'")
SHOWN_FIELDS: Final = ("name", "acv", "potential_acv", "seats", "plan", "renewal_on", "customer_since")
_ATTRIBUTES: Final = _FIELDS.replace("{fields}", ", ".join(f"'{name}'" for name in SHOWN_FIELDS))
# Persons who were first said to belong to it, were deactivated, or came back.
_MEMBERS: Final = """
SELECT t.at, k.person_id || ' ' || t.change AS id, k.person_id, t.change FROM (
  SELECT {person} AS person, min(at) AS at, 'joined' AS change FROM person_attribute x {joins}
  WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND at <= $3 GROUP BY 1
  UNION ALL SELECT person, at, CASE WHEN gone THEN 'left' ELSE 'returned' END FROM (
    SELECT {person} AS person, at, value = 'true' AS gone,
      coalesce(lag(value) OVER (PARTITION BY {person} ORDER BY at, id) = 'true', false) AS was
    FROM person_attribute x {joins}
    WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND at <= $3 AND field = 'deactivated') d
  WHERE gone <> was) t JOIN scoring.person_key k ON k.tenant = $1 AND k.person = t.person
"""
# What was shown as the band, as kept that day.
_BANDS: Final = """
SELECT at, reason AS id, band, effective_band, score, was_band, was_effective, was_score FROM (
  SELECT at, reason, band, effective_band, score, lag(band) OVER w AS was_band,
    lag(effective_band) OVER w AS was_effective, lag(score) OVER w AS was_score
  FROM scoring.health_snapshot x WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND at <= $3
  WINDOW w AS (ORDER BY at, reason)) v
WHERE was_band IS NOT NULL AND (band, effective_band) <> (was_band, was_effective)
"""
_OVERRIDES: Final = """
SELECT x.at, override_id || ' given' AS id, band, reason, author, expires_at, true AS given
FROM scoring.health_override x WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.at <= $3
UNION ALL SELECT least(ended_at, expires_at), override_id || ' ended', band, reason, ended_by, expires_at, false
FROM scoring.health_override x
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.at <= $3 AND least(ended_at, expires_at) <= $3
"""
SOURCES: Final[Mapping[str, str]] = {
    "contact": _CONTACTS, "response": _RESPONSES, "owner": _OWNERS, "attribute": _ATTRIBUTES, "member": _MEMBERS,
    "band": _BANDS, "override": _OVERRIDES,
}  # fmt: skip
_PAGE: Final = """
SELECT * FROM ({source}) e WHERE (at, id COLLATE "C") < ($4, $5) ORDER BY at DESC, id COLLATE "C" DESC LIMIT $6
"""
# Every version of the fields that decide on status and tier.
_MONEY: Final = """
SELECT at, field, value FROM account_attribute x
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND at <= $3 AND field IN ('status', 'acv', 'potential_acv')
ORDER BY at, id
"""


@dataclass(frozen=True, slots=True)
class Named:
    """What the figures need besides their row: who the CSMs are, and the reporting currency with its rates."""

    csms: Mapping[str, Csm]
    settings: Any


async def entries(
    question: Question, members: list[int], named: Named, kinds: Collection[str],
    before: tuple[datetime, str, str], size: int,
) -> tuple[list[Entry], int]:  # fmt: skip
    """The next entries of every kind that a table of its own holds, at most `size` of each, and how many there are."""
    found: list[Entry] = []
    total = 0
    for kind in SOURCES.keys() & kinds:
        sql = joined(SOURCES[kind], accounts=False, persons=question.terms.joined.persons)
        asked = (question.tenant, members, question.at)
        rows = await question.conn.fetch(_PAGE.replace("{source}", sql), *asked, *_place(kind, before), size)
        found += [Entry(kind, row["at"], row["id"], answers.figures(kind, row, named)) for row in rows]
        total += await question.conn.fetchval(f"SELECT count(*) FROM ({sql}) e", *asked) or 0
    return found, total


def _place(kind: str, before: tuple[datetime, str, str]) -> tuple[datetime, str]:
    """Where this kind goes on: entries of one instant stand by kind, the greatest first."""
    at, last, entry_id = before
    if kind == last:
        return at, entry_id
    return (at, "") if kind > last else (at + timedelta(microseconds=1), "")


async def money(question: Question, members: list[int]) -> list[Any]:
    """Every version of status, ACV and potential ACV by T."""
    return await question.conn.fetch(_MONEY, question.tenant, members, question.at)
