"""SQL of tiers: reviews, published policies, and what a review reads of the accounts."""

import json
from datetime import date, datetime
from typing import Any, Final

from services.scoring.asof import Question, past
from services.scoring.recheck import ask_all
from services.scoring.tiers.rules import Proposal, Valued
from shared.postgres import Connection

_VALUED: Final = "SELECT account_id, value, tier, csm_id FROM account_state WHERE tenant = $1 AND NOT churned"
# Accounts of each CSM by tier, from the totals.
_LOADS: Final = """
SELECT key, tier, sum(accounts)::int AS accounts FROM counter WHERE tenant = $1 AND dim = 'csm'
GROUP BY key, tier HAVING sum(accounts) > 0
"""
_INSERT: Final = """
INSERT INTO scoring.tier_review
  (tenant, review_id, as_of, n, computed_high, computed_low, moves, load, author, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_SHORT: Final = """
SELECT r.review_id, r.as_of, r.n, r.computed_high, r.computed_low, r.author, r.created_at,
  p.policy_id, p.effective_from, p.high, p.low, p.note, p.author AS published_by, p.published_at {more}
FROM scoring.tier_review r LEFT JOIN scoring.tier_policy p ON p.tenant = r.tenant AND p.review_id = r.review_id
WHERE r.tenant = $1
"""
_ONE: Final = _SHORT.format(more=", r.moves, r.load") + " AND r.review_id = $2"
_PAGE: Final = (
    _SHORT.format(more="")
    + " AND (r.created_at, r.review_id) < ($2, $3) ORDER BY r.created_at DESC, r.review_id DESC LIMIT $4"
)
_TOTAL: Final = "SELECT count(*) FROM scoring.tier_review WHERE tenant = $1"
LOCK: Final = 7_314  # advisory lock class, key = tenant: publications of one tenant take turns
_LOCK: Final = "SELECT pg_advisory_xact_lock($1, $2)"
# policy_id is a running number, so that of two policies published in one instant the later one holds too.
_PUBLISH: Final = """
INSERT INTO scoring.tier_policy
  (tenant, policy_id, review_id, effective_from, high, low, note, author, published_at)
SELECT $1, lpad((count(*) + 1)::text, 9, '0'), $2, $3, $4, $5, $6, $7, $8 FROM scoring.tier_policy WHERE tenant = $1
"""


async def valued(question: Question) -> list[Valued]:
    """The accounts at T that are not churned. A review is the one live question that reads them all."""
    if question.live:
        return [Valued(*row) for row in await question.conn.fetch(_VALUED, question.tenant)]
    found = await past(question.conn, question.terms, question.at)
    return [Valued(one.account_id, one.value, one.tier, one.csm_id) for one in found.values() if one.tier is not None]


async def owned(question: Question) -> list[tuple[str | None, str, int]]:
    """(csm_id, tier, accounts) at T."""
    if question.live:
        rows = await question.conn.fetch(_LOADS, question.tenant)
        return [(row["key"] or None, row["tier"], row["accounts"]) for row in rows]
    return [(one.csm_id, one.tier, 1) for one in await valued(question)]


async def save_review(
    conn: Connection, tenant: int, review_id: str, as_of: datetime, found: Proposal, author: str, now: datetime
) -> None:
    """Keeps what a review found."""
    moves = json.dumps([move.as_json() for move in found.moves])
    load = json.dumps([one.as_json() for one in found.loads])
    amounts = (found.computed.high, found.computed.low)
    await conn.execute(_INSERT, tenant, review_id, as_of, found.n, *amounts, moves, load, author, now)


async def review(conn: Connection, tenant: int, review_id: str) -> Any:
    """One review with what was published of it, or None."""
    return None if "\0" in review_id else await conn.fetchrow(_ONE, tenant, review_id)


async def take_turn(conn: Connection, tenant: int) -> None:
    """Waits until nobody else publishes; call it before reading the review."""
    await conn.execute(_LOCK, LOCK, tenant)


async def page(conn: Connection, tenant: int, after: tuple[datetime, str], limit: int) -> tuple[list[Any], int]:
    """The next reviews, the newest first, and how many there are."""
    return await conn.fetch(_PAGE, tenant, *after, limit), int(await conn.fetchval(_TOTAL, tenant) or 0)


async def publish(
    conn: Connection, tenant: int, review_id: str, effective_from: date, amounts: tuple[int, int],
    note: str, author: str, now: datetime,
) -> None:  # fmt: skip
    """The policy, and the order to judge every account again, in one transaction, which must be a worker's."""
    await conn.execute(_PUBLISH, tenant, review_id, effective_from, *amounts, note, author, now)
    await ask_all(conn, tenant, now, effective_from)
