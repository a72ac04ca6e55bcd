"""What concerns a whole tenant, done with its assessments held still: provisional tiers, a CSM's team, new rules."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from services.scoring.account import Amounts
from services.scoring.assess import TENANT_LOCK
from services.scoring.gather import EVER, SHARDS
from services.scoring.joins.store import join_accounts, join_persons
from services.scoring.rulebook import Terms, read_terms
from services.scoring.tiers.rules import positions
from shared.postgres import Connection
from shared.tenant_settings import TenantSettings

_ALONE: Final = "SELECT pg_advisory_xact_lock($1 # hashtext(current_schema()), $2)"
_TAKE: Final = "DELETE FROM recheck WHERE tenant = $1 RETURNING kind, key, since, received"
_MARK_ALL: Final = f"""
INSERT INTO dirty (shard, tenant, account, received, since)
SELECT account % {SHARDS}, tenant, account, $2, $3 FROM account_state WHERE tenant = $1
"""
_MARK_CSMS: Final = f"""
INSERT INTO dirty (shard, tenant, account, received, since)
SELECT account % {SHARDS}, tenant, account, $2, $3 FROM account_state WHERE tenant = $1 AND csm_id = ANY($4)
"""
# Accounts of a replaced contact or contract, and of those that would replace it.
_MARK_REPLACED: Final = f"""
INSERT INTO dirty (shard, tenant, account, received, since)
SELECT account % {SHARDS}, $1, account, $2, $3 FROM (
  SELECT account FROM contact WHERE tenant = $1 AND (sent_id = ANY($4) OR replaces = ANY($4))
  UNION SELECT account FROM contract WHERE tenant = $1 AND (id = ANY($4) OR replaces = ANY($4))) AS concerned
"""
# Accounts whose value lies between an old and a new amount.
_MARK_BETWEEN: Final = f"""
INSERT INTO dirty (shard, tenant, account, received, since)
SELECT account % {SHARDS}, tenant, account, $2, $3 FROM standing
WHERE tenant = $1 AND ago = $4 AND value > 0 AND value >= $5 AND value < $6
"""
_COUNT: Final = "SELECT count(*) FROM standing WHERE tenant = $1 AND ago = $2 AND value > 0"
_AT_POSITION: Final = """
SELECT value FROM standing WHERE tenant = $1 AND ago = $2 AND value > 0 ORDER BY value DESC, account LIMIT 1 OFFSET $3
"""
_STORE: Final = """
INSERT INTO amounts (tenant, ago, day, high, low) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, ago) DO UPDATE SET day = excluded.day, high = excluded.high, low = excluded.low
"""
_BEYOND: Final = 2**63 - 1


async def tenant_job(conn: Connection, tenant: int, base: TenantSettings, now: datetime) -> None:
    """Does what waits for one tenant, in the caller's transaction, which must see the tenant."""
    await conn.execute(_ALONE, TENANT_LOCK, tenant)
    asked = await conn.fetch(_TAKE, tenant)
    if not asked:
        return
    received = min(row["received"] for row in asked)
    since: dict[str, date] = {}
    for row in asked:
        since[row["kind"]] = min(since.get(row["kind"], date.max), row["since"])
    keys: dict[str, set[str]] = {}
    for row in asked:
        keys.setdefault(row["kind"], set()).add(row["key"])
    if "alias" in since:
        await join_persons(conn, tenant, map(int, keys["alias"]), now, received)
    if "merge" in since:
        await join_accounts(conn, tenant, map(int, keys["merge"]), now, received)
    if "replaces" in since:
        await conn.execute(_MARK_REPLACED, tenant, received, EVER, sorted(keys["replaces"]))
    if "csm" in since:
        await conn.execute(_MARK_CSMS, tenant, received, since["csm"], sorted(keys["csm"]))
    if "all" in since:
        await conn.execute(_MARK_ALL, tenant, received, since["all"])
    if "money" in since or "all" in since:
        await _provisional(conn, await read_terms(conn, tenant, base), now, received)


async def _provisional(conn: Connection, terms: Terms, now: datetime, received: datetime) -> None:
    """Reads the two amounts of each moment again and marks the accounts that lie between old and new ones."""
    for ago, moment in terms.moments(now).items():
        found = await _amounts(conn, terms, ago)
        known = terms.provisional.get(ago)
        if known is not None and known == (moment.day, found):
            continue
        await conn.execute(_STORE, terms.tenant, ago, moment.day, found.high, found.low)
        if terms.published(moment.day) is None:
            was = known[1] if known else Amounts(None, None)
            for low, high in between(was, found):
                await conn.execute(_MARK_BETWEEN, terms.tenant, received, moment.day, ago, low, high)


async def _amounts(conn: Connection, terms: Terms, ago: int) -> Amounts:
    n = await conn.fetchval(_COUNT, terms.tenant, ago)
    if not n:
        return Amounts(None, None)
    high, low = positions(n, terms.settings.tiers)
    return Amounts(
        await conn.fetchval(_AT_POSITION, terms.tenant, ago, high - 1),
        await conn.fetchval(_AT_POSITION, terms.tenant, ago, low - 1),
    )


def between(was: Amounts, now: Amounts) -> Iterable[tuple[int, int]]:
    """Half-open ranges [low, high) of values whose side of an amount changed."""
    for before, after in ((was.high, now.high), (was.low, now.low)):
        ends = sorted((_BEYOND if before is None else before, _BEYOND if after is None else after))
        if ends[0] < ends[1]:
            yield ends[0], ends[1]
