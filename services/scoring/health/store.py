"""SQL of health beyond the score itself: users of features, manual bands."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ARRAY, Integer, any_, insert, literal, update
from sqlmodel import col

from services.scoring.account import Override
from services.scoring.asof import Question
from services.scoring.gather import SHARDS
from services.scoring.health.gap import WINDOW_DAYS
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members
from services.scoring.tables import HealthOverride
from shared import tables
from shared.postgres import Connection
from shared.tenant_settings import ValueFeature

# Distinct persons by value feature, of an account's usage in (D - 28, D]; a feature is any of its events.
_USERS: Final = """
SELECT f.name, count(DISTINCT {person}) AS users FROM usage x {joins}
JOIN scoring.feature_key k ON k.tenant = $1 AND k.feature = x.feature
JOIN unnest($5::text[], $6::text[]) AS f(name, event) ON f.event = k.event
WHERE x.tenant = $1 AND x.account = ANY($2) AND day > $3 AND day <= $4 GROUP BY f.name
"""
_MARK: Final = "INSERT INTO dirty (shard, tenant, account, received, since) VALUES ($1, $2, $3, $4, $5)"


async def feature_users(question: Question, account: int, features: Sequence[ValueFeature]) -> Mapping[str, int]:
    """How many persons used each of the features in the 28 days that end with T's day; 0 is left out."""
    pairs = [(one.feature, event) for one in features for event in one.events]
    if not pairs:
        return {}
    members = sorted(await account_members(question.conn, question.tenant, [account]))
    sql = joined(_USERS, accounts=False, persons=question.terms.joined.persons)
    since = question.day - timedelta(days=WINDOW_DAYS)
    names, events = [name for name, _ in pairs], [event for _, event in pairs]
    rows = await question.conn.fetch(sql, question.tenant, members, since, question.day, names, events)
    return {row["name"]: row["users"] for row in rows}


async def give_override(
    conn: Connection, tenant: int, account: int, given: Override, now: datetime, today: date
) -> None:
    """The manual band from now on; one that held ends. The account waits for its assessment in the same transaction,
    which must be a worker's."""
    await _end(conn, tenant, account, given.author, now)
    told = {"band": given.band, "reason": given.reason, "author": given.author, "expires_at": given.expires_at}
    await tables.execute(conn, insert(HealthOverride).values(tenant=tenant, account=account, at=now, **told))
    await conn.execute(_MARK, account % SHARDS, tenant, account, now, today)


async def end_override(
    conn: Connection, tenant: int, account: int, author: str, now: datetime, today: date
) -> Mapping[str, Any] | None:
    """Ends the manual band that holds, which stays in the history: its row, or None where none holds. A worker's
    transaction too."""
    ended = await _end(conn, tenant, account, author, now)
    await conn.execute(_MARK, account % SHARDS, tenant, account, now, today)
    return max(ended, key=lambda row: (row["at"], row["override_id"]), default=None)


async def _end(conn: Connection, tenant: int, account: int, author: str, now: datetime) -> list[Any]:
    members = sorted(await account_members(conn, tenant, [account]))
    held = (
        col(HealthOverride.tenant) == tenant,
        col(HealthOverride.account) == any_(literal(members, ARRAY(Integer))),
        col(HealthOverride.expires_at) > now,
        col(HealthOverride.ended_at).is_(None),
    )
    end = update(HealthOverride).where(*held).values(ended_at=now, ended_by=author).returning(HealthOverride)
    return await tables.rows(conn, end)
