"""What a score was shown as, kept first-hand by the assessment: at each local midnight and at each change of band."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from shared.postgres import Connection

# Copied from the accounts' rows as they stand, with no way through Python.
_KEEP: Final = """
INSERT INTO scoring.health_snapshot
  (tenant, account, day, at, reason, score, band, effective_band, confidence, model_id, model_version)
SELECT tenant, account, day, $3, $4, score, band, effective_band, confidence, model->>'id', (model->>'version')::int
FROM (SELECT *, health::json->'model' AS model FROM account_state WHERE tenant = $1 AND account = ANY($2) OFFSET 0) s
ORDER BY account ON CONFLICT DO NOTHING
"""
_READ: Final = """
SELECT day, at, reason, score, band, effective_band, confidence, model_id, model_version FROM scoring.health_snapshot
WHERE tenant = $1 AND account = $2 AND day >= $3 AND day <= $4 AND at <= $5 ORDER BY at, reason
"""


async def keep_day(
    conn: Connection, tenant: int, old: Mapping[int, Mapping[str, Any]], day: date, midnight: datetime
) -> None:
    """Call it before the rows of `old` are written over. An account's first assessment of a new day finds the row as it
    was last shown on the day before: that is its snapshot of `day`, at the day's last microsecond. A row of an earlier
    day says that Genki was down at `midnight`, so there is none. Churned accounts have no score to keep."""
    ended = [account for account, row in old.items() if row["day"] == day and not row["churned"]]
    await _keep(conn, tenant, ended, midnight, "day")


async def keep_bands(
    conn: Connection, tenant: int, old: Mapping[int, Mapping[str, Any]], new: Mapping[int, Mapping[str, Any]],
    now: datetime,
) -> None:  # fmt: skip
    """Call it after the rows of `new` are written: those whose band or effective band is another one than in `old`."""
    moved = [account for account, row in new.items() if account in old and _bands(old[account]) != _bands(row)]
    await _keep(conn, tenant, moved, now, "band")


def _bands(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["band"], row["effective_band"]


async def _keep(conn: Connection, tenant: int, accounts: Iterable[int], at: datetime, reason: str) -> None:
    listed = sorted(accounts)
    if listed:
        await conn.execute(_KEEP, tenant, listed, at, reason)


async def snapshots(conn: Connection, tenant: int, account: int, days: tuple[date, date], at: datetime) -> list[Any]:
    """Those of the days `days` (first, last) that were kept by T, in order of time."""
    return await conn.fetch(_READ, tenant, account, *days, at)
