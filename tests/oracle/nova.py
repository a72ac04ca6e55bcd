"""DuckDB's own count of the Nova sample, straight from the file."""

from datetime import date
from pathlib import Path

import duckdb

EVENTS = Path(__file__).resolve().parents[2] / "deploy/sample/nova-events-until-2017.csv.gz"
_USAGE = """
SELECT count(*), count(DISTINCT user_id), count(DISTINCT account) FROM events
WHERE day > $day - CAST($days AS INTEGER) AND day <= $day
"""
# Per cut: accounts with 5 events or more in the 90 days up to it, how many, and whether 180 silent days followed.
_SILENT = """
WITH of_account AS (
  SELECT account, count(*) FILTER (WHERE day > $cut - 90 AND day <= $cut) AS events,
         count(*) FILTER (WHERE day > $cut AND day <= $cut + 180) AS later
  FROM events GROUP BY account)
SELECT account, events, later = 0 FROM of_account WHERE events >= 5
"""


class Nova:
    """The sample, with UTC days."""

    def __init__(self, file: Path = EVENTS) -> None:
        self._db = duckdb.connect()
        self._db.execute(
            "CREATE TABLE events AS SELECT *, CAST(to_timestamp(ts) AT TIME ZONE 'UTC' AS DATE) AS day "
            f"FROM read_csv('{file}', types={{'ts': 'BIGINT', 'commit_ts': 'BIGINT'}})"
        )

    def usage(self, day: date, days: int) -> tuple[int, int, int]:
        """(events, distinct persons, distinct accounts) of the `days` days that end with `day`."""
        row = self._db.execute(_USAGE, {"day": day, "days": days}).fetchone()
        assert row is not None
        return row

    def silent_churn(self, cut: date) -> dict[str, tuple[int, bool]]:
        """account → (events in 90 days, silent in the 180 days after)."""
        rows = self._db.execute(_SILENT, {"cut": cut}).fetchall()
        return {account: (events, silent) for account, events, silent in rows}

    def last_day(self) -> date:
        """The day of the latest usage fact."""
        row = self._db.execute("SELECT max(day) FROM events").fetchone()
        assert row is not None
        return row[0]
