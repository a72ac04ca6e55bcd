"""SQL of usage figures and of usage that waits for its account; and the facts sent again with another body."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, select
from sqlmodel import col, func

from services.scoring.asof import Question, refuse_too_many
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members
from services.scoring.tables import Conflict
from shared import tables

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
_LISTED: Final = (col(Conflict.tenant) == bindparam("tenant"), col(Conflict.at) >= bindparam("since"))
_OLDEST: Final = select(col(Conflict.seq)).where(*_LISTED).order_by(col(Conflict.seq).desc()).offset(KEPT).limit(1)
_CONFLICTS: Final = (
    select(*map(col, (Conflict.seq, Conflict.at, Conflict.type, Conflict.id, Conflict.payload)))
    .where(*_LISTED, col(Conflict.seq) < bindparam("before"), col(Conflict.seq) > bindparam("oldest"))
    .order_by(col(Conflict.seq).desc())
    .limit(bindparam("limit"))
)
_CONFLICT_COUNT: Final = select(func.count()).select_from(Conflict).where(*_LISTED)


async def window(
    question: Question, days: int, accounts: Sequence[int] | None, events: Sequence[str]
) -> dict[str, int]:
    """`events`, `active_users`, `active_accounts` of the trailing window. `accounts` None: all of the tenant. Raises
    TooManyAccounts for all of more than 100,000: distinct persons are no total that could be kept."""
    if accounts is None:
        await refuse_too_many(question.conn, question.tenant)
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
    asked: dict[str, Any] = {"tenant": question.tenant, "since": since}
    oldest = await tables.value(question.conn, _OLDEST, **asked) or 0
    return await tables.rows(question.conn, _CONFLICTS, **asked, before=before, oldest=oldest, limit=limit)


async def conflict_count(question: Question, since: datetime) -> int:
    """How many there are, also beyond those listed."""
    return int(await tables.value(question.conn, _CONFLICT_COUNT, tenant=question.tenant, since=since) or 0)
