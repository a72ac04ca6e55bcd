"""Tiers: what is written goes through the tables of reviews and policies, joins and sums over accounts are SQL."""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Text, bindparam, cast, insert, select
from sqlmodel import col, func

from services.scoring.asof import Question, past
from services.scoring.recheck import ask_all
from services.scoring.tables import TierPolicy, TierReview
from services.scoring.tiers.rules import Proposal, Valued
from shared import tables
from shared.postgres import Connection

_VALUED: Final = "SELECT account_id, value, tier, csm_id FROM account_state WHERE tenant = $1 AND NOT churned"
# Accounts of each CSM by tier, from the totals.
_LOADS: Final = """
SELECT key, tier, sum(accounts)::int AS accounts FROM counter WHERE tenant = $1 AND dim = 'csm'
GROUP BY key, tier HAVING sum(accounts) > 0
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
_TOTAL: Final = select(func.count()).select_from(TierReview).where(col(TierReview.tenant) == bindparam("tenant"))
LOCK: Final = 7_315  # advisory lock class, key = tenant: publications of one tenant take turns
_LOCK: Final = "SELECT pg_advisory_xact_lock($1, $2)"
# A running number, so that of two policies published in one instant the later one holds too.
_NEXT_ID: Final = select(func.lpad(cast(func.count() + 1, Text), 9, "0")).select_from(TierPolicy)


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
    row = {
        "review_id": review_id,
        "as_of": as_of,
        "n": found.n,
        "computed_high": found.computed.high,
        "computed_low": found.computed.low,
        "moves": [move.as_json() for move in found.moves],
        "load": [one.as_json() for one in found.loads],
    }
    await tables.execute(conn, insert(TierReview).values(tenant=tenant, author=author, created_at=now, **row))


async def review(conn: Connection, tenant: int, review_id: str) -> Any:
    """One review with what was published of it, or None."""
    return None if "\0" in review_id else await conn.fetchrow(_ONE, tenant, review_id)


async def take_turn(conn: Connection, tenant: int) -> None:
    """Waits until nobody else publishes; call it before reading the review."""
    await conn.execute(_LOCK, LOCK, tenant)


async def page(conn: Connection, tenant: int, after: tuple[datetime, str], limit: int) -> tuple[list[Any], int]:
    """The next reviews, the newest first, and how many there are."""
    return await conn.fetch(_PAGE, tenant, *after, limit), int(await tables.value(conn, _TOTAL, tenant=tenant) or 0)


async def publish(
    conn: Connection, tenant: int, review_id: str, effective_from: date, amounts: tuple[int, int],
    note: str, author: str, now: datetime,
) -> None:  # fmt: skip
    """The policy, and the order to judge every account again, in one transaction, which must be a worker's."""
    policy_id = _NEXT_ID.where(col(TierPolicy.tenant) == tenant).scalar_subquery()
    high, low = amounts
    chosen = {"review_id": review_id, "effective_from": effective_from, "high": high, "low": low, "note": note}
    made = insert(TierPolicy).values(tenant=tenant, policy_id=policy_id, author=author, published_at=now, **chosen)
    await tables.execute(conn, made)
    await ask_all(conn, tenant, now, effective_from)
