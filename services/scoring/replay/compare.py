"""Two derived states held against each other, table by table, as one moment saw them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

# What is no part of what the archive says: the dedupe table, the queues, and what listeners were told when.
APART: Final = frozenset({"fact_seen", "dirty", "recheck", "stream", "stream_head", "stream_told"})
_TABLES: Final = """
SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attname) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
  AND NOT a.attisdropped GROUP BY 1 ORDER BY 1
"""
_WHEN: Final = {"account_state": {"computed_at"}}  # columns that say when and not what
_TOTALS: Final = "accounts, acv, eligible, covered, in_use, contacted, scored, score"
_ONLY: Final = {
    # A total that was counted down to nothing says the same as one that never was.
    "counter": f"WHERE ({_TOTALS}) <> (0, 0, 0, 0, 0, 0, 0, 0)",
    # A tenant of which nothing was told yet has a row only once its job ran.
    "first_facts": "WHERE usage_day IS NOT NULL OR contact_at IS NOT NULL",
    # An override that was ended early leaves behind when it would have ended.
    "due": """WHERE NOT EXISTS (SELECT 1 FROM scoring.health_override o WHERE t.kind = 'account'
              AND o.tenant = t.tenant AND o.account::text = t.key AND o.expires_at = t.at)""",
}
# Sums do not depend on the order of the rows: nothing is sorted, whatever the size, and 128 bits tell rows apart.
_TALLY: Final = """
SELECT count(*) AS rows, coalesce(sum(hashtextextended(r, 1)), 0)::text AS one,
  coalesce(sum(hashtextextended(r, 2)), 0)::text AS two FROM ({rows}) AS x(r)
"""
_ROWS: Final = "SELECT ROW({columns})::text FROM {schema}.{table} t {only}"
_APARTS: Final = "SELECT count(*) FROM ({these} EXCEPT ALL {those}) AS x"


@dataclass(frozen=True, slots=True)
class Tally:
    """One table in both states. `only_live` and `only_rebuilt` count rows that the other state does not have."""

    table: str
    live: int
    rebuilt: int
    live_hash: str
    rebuilt_hash: str
    only_live: int = 0
    only_rebuilt: int = 0

    @property
    def equal(self) -> bool:
        return self.live_hash == self.rebuilt_hash


@dataclass(frozen=True, slots=True)
class Comparison:
    """All tables of one moment: `at` is the instant both states were assessed at, `facts` what was folded again."""

    at: str
    facts: int
    repeats: int
    seconds: float
    tables: tuple[Tally, ...]
    swapped: bool = False

    @property
    def equal(self) -> bool:
        return all(one.equal for one in self.tables)

    @property
    def different(self) -> tuple[str, ...]:
        return tuple(one.table for one in self.tables if not one.equal)

    def document(self) -> dict[str, Any]:
        """What `genki replay --json` prints."""
        return {
            "equal": self.equal, "swapped": self.swapped, "assessed_at": self.at, "facts": self.facts,
            "repeats": self.repeats, "seconds": round(self.seconds, 3), "different": list(self.different),
            "tables": [
                {
                    "table": one.table, "live": one.live, "rebuilt": one.rebuilt, "equal": one.equal,
                    "live_hash": one.live_hash, "rebuilt_hash": one.rebuilt_hash, "only_live": one.only_live,
                    "only_rebuilt": one.only_rebuilt,
                }
                for one in self.tables
            ],
        }  # fmt: skip


async def compare(conn: asyncpg.Connection, live: str, rebuilt: str) -> tuple[Tally, ...]:
    """Every table that both states must have alike, as the connection's transaction sees them: it names the tenants and
    should hold one snapshot."""
    tables = [row for row in await conn.fetch(_TABLES, rebuilt) if row["name"] not in APART]
    return tuple([await _tally(conn, row["name"], row["columns"], live, rebuilt) for row in tables])


async def _tally(conn: asyncpg.Connection, table: str, columns: Sequence[str], live: str, rebuilt: str) -> Tally:
    these, those = _rows(table, columns, live), _rows(table, columns, rebuilt)
    (live_rows, live_hash), (rows, rebuilt_hash) = await _hash(conn, these), await _hash(conn, those)
    if live_hash == rebuilt_hash:
        return Tally(table, live_rows, rows, live_hash, rebuilt_hash)
    only_live, only_rebuilt = await _apart(conn, these, those), await _apart(conn, those, these)
    return Tally(table, live_rows, rows, live_hash, rebuilt_hash, only_live, only_rebuilt)


async def _apart(conn: asyncpg.Connection, these: str, those: str) -> int:
    """How many of these rows the others have not."""
    return int(await conn.fetchval(_APARTS.format(these=these, those=those), timeout=None) or 0)


def _rows(table: str, columns: Sequence[str], schema: str) -> str:
    listed = ", ".join(f"t.{name}" for name in columns if name not in _WHEN.get(table, ()))
    return _ROWS.format(columns=listed, schema=schema, table=table, only=_ONLY.get(table, ""))


async def _hash(conn: asyncpg.Connection, rows: str) -> tuple[int, str]:
    row = await conn.fetchrow(_TALLY.format(rows=rows), timeout=None)
    assert row is not None  # an aggregate always answers
    told = f"{row['rows']}|{row['one']}|{row['two']}".encode()
    return row["rows"], hashlib.blake2b(told, digest_size=16).hexdigest()
