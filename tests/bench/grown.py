"""A tenant with many accounts: some told by facts and assessed, each of them then copied by SQL, facts and state."""

import asyncio
from typing import Final

import asyncpg

from tests.bench import made
from tests.bench.house import Base, House
from tests.bench.log import drained, held_back, records
from tests.bench.table import say

TOLD: Final = 10_000  # accounts told by facts; every eighth stays in its shard when it is copied
USAGE: Final = 30_000  # usage facts before the copying, of the last 40 days
_STRIDE: Final = 1_000_000  # between the keys of copies
_KEYS: Final = """
INSERT INTO scoring.account_key (tenant, account_id, account) OVERRIDING SYSTEM VALUE
SELECT tenant, 'acct-' || lpad((substr(account_id, 6)::int + {accounts} * i)::text, 6, '0'), account + {stride} * i
FROM scoring.account_key, generate_series(1, {copies}) AS i;
INSERT INTO scoring.person_key (tenant, person_id, person) OVERRIDING SYSTEM VALUE
SELECT tenant, 'user-' || lpad((substr(person_id, 6, 6)::int + {accounts} * i)::text, 6, '0') || substr(person_id, 12),
  person + {stride} * i FROM scoring.person_key, generate_series(1, {copies}) AS i;
ALTER TABLE scoring.account_key ALTER account RESTART WITH 1100000000;
ALTER TABLE scoring.person_key ALTER person RESTART WITH 1100000000;
"""
_NEW: Final = "'acct-' || lpad((substr(account_id, 6)::int + {accounts} * i)::text, 6, '0')"
# Per table the columns that a copy has otherwise.
_COPIED: Final = {
    "usage": {"account": "account + {stride} * i", "person": "person + {stride} * i"},
    "account_user": {"account": "account + {stride} * i", "person": "person + {stride} * i"},
    "account_attribute": {"account": "account + {stride} * i", "id": "id || '-' || i"},
    "contact": {"account": "account + {stride} * i", "id": "id || '-' || i", "sent_id": "sent_id || '-' || i"},
    "standing": {"account": "account + {stride} * i"},
    "stream_told": {"account": "account + {stride} * i"},
    "account_state": {
        "account": "account + {stride} * i", "account_id": _NEW, "id_folded": _NEW,
        "call_order": "replace(call_order, account_id, " + _NEW + ")",
    },
}  # fmt: skip
_COUNTERS: Final = ("accounts", "acv", "eligible", "covered", "in_use", "contacted", "scored", "score")
_MANY: Final = 4  # copies from which indexes are quicker made anew than kept up
_INDEXES: Final = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made FROM pg_index
WHERE indrelid = $1::regclass AND NOT indisprimary
"""
_KEYS_OF: Final = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'p'
"""
_COLUMNS: Final = """
SELECT column_name FROM information_schema.columns WHERE table_schema = 'scoring_state' AND table_name = $1
AND is_generated = 'NEVER' ORDER BY ordinal_position
"""


def grown(house: House, accounts: int, usage: int = USAGE) -> Base:
    """A base with so many accounts (a multiple of 10,000), at rest; nobody is connected to it."""
    base = house.base()
    say(f"grown: {TOLD:,} accounts by facts")
    worker = house.genki(base, "scoring", GENKI_SCORING_BATCH_FACTS="20000")
    asyncio.run(_tell(base, usage))
    worker.end()
    if accounts > TOLD:
        say(f"grown: copied to {accounts:,}")
        asyncio.run(_copy(base, accounts // TOLD - 1))
    return base


async def _tell(base: Base, usage: int) -> None:
    tenant = base.tenant.tenant
    used = [*made.usage(tenant, 3, usage, TOLD, days=40, even=True)]
    async with held_back(base, records([*used, *made.book(tenant, TOLD, used[0].received)])) as conn:
        await conn.execute("COMMIT")
        await drained(conn, assessed=True)


async def _copy(base: Base, copies: int) -> None:
    conn = await asyncpg.connect(base.settings.url, server_settings={"search_path": "scoring_state"})
    filled = {"accounts": TOLD, "stride": _STRIDE, "copies": copies}
    await conn.execute("SET synchronous_commit = off; SET work_mem = '256MB'; SET maintenance_work_mem = '256MB'")
    await conn.execute(_KEYS.format(**filled), timeout=900)
    for table, others in _COPIED.items():
        columns = [str(row[0]) for row in await conn.fetch(_COLUMNS, table)]
        values = ", ".join(others.get(column, column) for column in columns).format(**filled)
        say(f"grown: {table}")
        again = await without_indexes(conn, table) if copies >= _MANY else []
        await conn.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, generate_series(1, {copies}) i",
            timeout=900,
        )
        for statement in again:
            await conn.execute(statement, timeout=900)
    await conn.execute("UPDATE counter SET " + ", ".join(f"{name} = {name} * {copies + 1}" for name in _COUNTERS))
    await conn.execute("VACUUM ANALYZE", timeout=900)
    await conn.execute("CHECKPOINT", timeout=900)
    await conn.close()


async def without_indexes(conn: asyncpg.Connection, table: str) -> list[str]:
    """Drops the table's indexes and its key; the statements that make them again."""
    keys = [tuple(row) for row in await conn.fetch(_KEYS_OF, table)]
    indexes = [tuple(row) for row in await conn.fetch(_INDEXES, table)]
    for name, _ in keys:
        await conn.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name, _ in indexes:
        await conn.execute(f"DROP INDEX {name}")
    return [*(f"ALTER TABLE {table} ADD {told}" for _, told in keys), *(made for _, made in indexes)]
