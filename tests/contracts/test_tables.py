"""The tables that SQLModel knows are those of the migrated database: PostgreSQL makes both and compares them."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import MetaData
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from services.gateway import tables as gateway
from services.nps import tables as nps
from services.scoring import tables as scoring
from shared.postgres import Connection
from tests.conftest import TestDatabase

KNOWN = {
    f"{table.schema}.{table.name}": metadata
    for metadata in (gateway.METADATA, nps.METADATA, scoring.METADATA)
    for table in metadata.sorted_tables
}
# Columns by name: type, collation, nullability, identity, default.
COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation::text, attnotnull, attidentity::text,
  pg_get_expr(adbin, adrelid)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""
KEYS = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass ORDER BY 1"
INDEXES = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = $1::regclass ORDER BY 1"


@pytest_asyncio.fixture
async def owner(database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """The owner in a transaction that is undone."""
    conn = await asyncpg.connect(database.owner_dsn)
    await conn.execute("BEGIN")
    yield conn
    await conn.execute("ROLLBACK")
    await conn.close()


async def shape(conn: Connection, name: str) -> dict[str, list[Any]]:
    """What PostgreSQL says of a table: columns, keys, indexes."""
    return {query: [tuple(row) for row in await conn.fetch(query, name)] for query in (COLUMNS, KEYS, INDEXES)}


async def make_anew(conn: Connection, metadata: MetaData) -> None:
    """The tables as SQLModel would make them, in the place of the migrated ones."""
    await conn.execute(f"ALTER SCHEMA {metadata.schema} RENAME TO migrated; CREATE SCHEMA {metadata.schema}")
    for table in metadata.sorted_tables:
        for made in (CreateTable(table), *map(CreateIndex, table.indexes)):
            await conn.execute(str(made.compile(dialect=dialect())))


@pytest.mark.parametrize("name", KNOWN)
async def test_the_migrated_table_is_the_one_sqlmodel_would_make(owner: asyncpg.Connection, name: str) -> None:
    migrated = await shape(owner, name)
    await make_anew(owner, KNOWN[name])
    assert migrated == await shape(owner, name)


DRIFTS = {
    "a column more": "ADD COLUMN more text",
    "a column gone": "DROP COLUMN note",
    "another name": "RENAME COLUMN note TO remark",
    "another type": "ALTER COLUMN high TYPE int",
    "another collation": "ALTER COLUMN review_id TYPE text",
    "may be absent": "ALTER COLUMN note DROP NOT NULL",
    "must be there": "ALTER COLUMN low SET NOT NULL",
    "a default": "ALTER COLUMN note SET DEFAULT ''",
    "a key more": "ADD UNIQUE (tenant, review_id)",
    "no key": "DROP CONSTRAINT tier_policy_pkey",
    "a check": "ADD CHECK (high > low)",
}


@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
async def test_a_table_that_drifts_from_its_model_is_noticed(owner: asyncpg.Connection, drift: str) -> None:
    await owner.execute(f"ALTER TABLE scoring.tier_policy {drift}")
    migrated = await shape(owner, "scoring.tier_policy")
    await make_anew(owner, KNOWN["scoring.tier_policy"])
    assert migrated != await shape(owner, "scoring.tier_policy")
