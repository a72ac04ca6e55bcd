"""SQL of usage figures, of usage that waits for its account, and of facts sent again with another body."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from services.scoring.asof import Question
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members

KEPT: Final = 10_000
KEPT_FOR: Final = timedelta(days=7)
# The window of n days that ends with T's day; account 0 is usage whose account is not known yet.
_WINDOW: Final = """
SELECT coalesce(sum(events), 0)::bigint AS events, count(DISTINCT {person}) AS active_users,
  count(DISTINCT {account}) AS active_accounts
FROM usage x {joins} WHERE x.tenant = $1 AND x.account <> 0 AND day > $2 AND day <= $3
"""
_ACCOUNTS: Final = "SELECT account FROM scoring.account_key WHERE tenant = $1 AND account_id = ANY($2::text[])"
_FEATURES: Final = "SELECT feature FROM scoring.feature_key WHERE tenant = $1 AND event = ANY($2::text[])"
_UNASSIGNED: Final = """
SELECT coalesce(sum(events), 0)::bigint FROM usage WHERE tenant = $1 AND account = 0 AND day <= $2
"""
# The newest 10,000 of the days that are kept.
_OLDEST: Final = """
SELECT coalesce(
  (SELECT seq FROM scoring.conflict WHERE tenant = $1 AND at >= $2 ORDER BY seq DESC OFFSET $3 LIMIT 1), 0)
"""
_CONFLICTS: Final = """
SELECT seq, at, type, id, payload FROM scoring.conflict
WHERE tenant = $1 AND at >= $2 AND seq < $3 AND seq > $4 ORDER BY seq DESC LIMIT $5
"""
_CONFLICT_COUNT: Final = "SELECT count(*) FROM scoring.conflict WHERE tenant = $1 AND at >= $2"


async def window(
    question: Question, days: int, accounts: Sequence[int] | None, events: Sequence[str]
) -> dict[str, int]:
    """`events`, `active_users`, `active_accounts` of the trailing window. `accounts` None: all of the tenant."""
    asked: list[Any] = [question.tenant, question.day - timedelta(days=days), question.day]
    together = question.terms.joined
    sql = joined(_WINDOW, accounts=together.accounts, persons=together.persons)
    if accounts is not None:
        asked.append(sorted(await account_members(question.conn, question.tenant, accounts)))
        sql += f" AND x.account = ANY(${len(asked)}::int[])"
    if events:
        asked.append([row["feature"] for row in await question.conn.fetch(_FEATURES, question.tenant, events)])
        sql += f" AND feature = ANY(${len(asked)}::int[])"
    found = await question.conn.fetchrow(sql, *asked)
    return dict(found or {})


async def keys_of(question: Question, account_ids: Sequence[str]) -> list[int]:
    """The integer keys of those ids that any fact has named."""
    return [row["account"] for row in await question.conn.fetch(_ACCOUNTS, question.tenant, account_ids)]


async def unassigned(question: Question) -> int:
    """Σ `count` of usage up to T's day whose account is not known."""
    return int(await question.conn.fetchval(_UNASSIGNED, question.tenant, question.day) or 0)


async def conflicts(question: Question, since: datetime, before: int, limit: int) -> list[Any]:
    """The next conflicts, the newest first, none beyond the newest 10,000."""
    oldest = await question.conn.fetchval(_OLDEST, question.tenant, since, KEPT)
    return await question.conn.fetch(_CONFLICTS, question.tenant, since, before, oldest, limit)


async def conflict_count(question: Question, since: datetime) -> int:
    """How many there are, also beyond those listed."""
    return int(await question.conn.fetchval(_CONFLICT_COUNT, question.tenant, since) or 0)
