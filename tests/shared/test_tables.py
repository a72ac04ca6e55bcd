"""SQLModel's statements run on our own connections, with the tenant's rows and nothing else."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import ARRAY, MetaData, Text, any_, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel, col, func

from shared import tables
from shared.postgres import Connection, begin
from tests.conftest import TestDatabase

MOMENT = datetime(2026, 3, 31, 23, 59, 59, 123456, tzinfo=UTC)
DOCUMENT = {"ja": "顧客", "n": [1, 2.5, None], "quote": '"\\', "empty": {}}


class Note(SQLModel, table=True):
    metadata = MetaData(schema="scratch")
    tenant: int = Field(primary_key=True)
    note_id: str = Field(sa_type=tables.IDENT, primary_key=True)
    at: datetime = Field(sa_type=tables.INSTANT)
    day: date
    document: Any = Field(sa_type=JSONB)
    body: bytes | None
    colour: str | None = Field(sa_type=Text, sa_column_kwargs={"server_default": "green"})
    shape: str | None = Field(sa_type=Text, sa_column_kwargs={"default": None})


SCRATCH = """
CREATE SCHEMA scratch;
CREATE TABLE scratch.note (
  tenant int, note_id text COLLATE "C", at timestamptz NOT NULL, day date NOT NULL, document jsonb NOT NULL,
  body bytea, colour text DEFAULT 'green', shape text, PRIMARY KEY (tenant, note_id)
);
"""


@pytest_asyncio.fixture
async def conn(database: TestDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction with an empty table of notes, undone afterwards."""
    conn = await asyncpg.connect(database.owner_dsn)
    await begin(conn, (7,))
    await conn.execute(SCRATCH)
    yield conn
    await conn.execute("ROLLBACK")
    await conn.close()


async def keep(conn: Connection, note_id: str, **more: Any) -> int:
    note = {"tenant": 7, "at": MOMENT, "day": date(2026, 3, 31), "document": DOCUMENT} | more
    return await tables.execute(conn, insert(Note).values(note_id=note_id, **note))


async def test_every_type_comes_back_from_the_database_as_it_was_given(conn: Connection) -> None:
    assert await keep(conn, "a", body=b"\x00\xff") == 1
    found = await tables.row(conn, select(Note))
    assert found is not None
    assert (found["at"], found["day"], found["body"]) == (MOMENT, date(2026, 3, 31), b"\x00\xff")
    assert (found["tenant"], found["note_id"], found["colour"], found["shape"]) == (7, "a", "green", None)
    told = await tables.value(conn, select(func.jsonb_typeof(Note.document)))
    assert told == "object"  # not a string that holds an object
    assert await conn.fetchval("SELECT document->>'ja' FROM scratch.note") == "顧客"
    assert json.loads(found["document"]) == DOCUMENT


async def test_a_constant_statement_takes_other_values_at_each_call(conn: Connection) -> None:
    for note_id in ("b", "B", "あ", "a"):
        await keep(conn, note_id)
    after = select(col(Note.note_id)).where(col(Note.note_id) > bindparam("after")).order_by("note_id")
    assert [row[0] for row in await tables.rows(conn, after, after="")] == ["B", "a", "b", "あ"]  # byte order
    assert [row[0] for row in await tables.rows(conn, after, after="a")] == ["b", "あ"]
    assert await tables.row(conn, after, after="あ") is None
    assert await tables.value(conn, after, after="あ") is None


async def test_a_list_is_one_array_parameter_of_any_length(conn: Connection) -> None:
    for note_id in ("a", "b", "c"):
        await keep(conn, note_id)
    listed = select(Note).where(col(Note.note_id) == any_(bindparam("ids", type_=ARRAY(Text)))).order_by("note_id")
    assert [row["note_id"] for row in await tables.rows(conn, listed, ids=["c", "a", "'; DROP TABLE"])] == ["a", "c"]
    assert await tables.rows(conn, listed, ids=[]) == []
    with pytest.raises(TypeError, match="use any_ with an array"):
        await tables.rows(conn, select(Note).where(col(Note.note_id).in_(["a"])))


async def test_execute_says_how_many_rows_it_concerned(conn: Connection) -> None:
    for note_id in ("a", "b", "c"):
        await keep(conn, note_id)
    repaint = update(Note).where(col(Note.note_id) < bindparam("below")).values(colour="red")
    assert await tables.execute(conn, repaint, below="c") == 2
    assert await tables.execute(conn, repaint, below="A") == 0
    assert await tables.execute(conn, delete(Note).where(col(Note.colour) == "red")) == 2


@pytest.mark.parametrize("values", [{}, {"other": 1}, {"after": "a", "other": 1}])
async def test_a_value_missing_or_too_many_is_refused_before_the_database_is_asked(
    conn: Connection, values: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=r"the statement asks for \['after'\], it got"):
        await tables.rows(conn, select(Note).where(col(Note.note_id) > bindparam("after")), **values)


async def test_a_default_that_python_would_fill_in_is_refused(conn: Connection) -> None:
    class Stamped(SQLModel, table=True):
        metadata = MetaData(schema="scratch")
        note_id: int = Field(primary_key=True)
        at: datetime = Field(sa_type=tables.INSTANT, sa_column_kwargs={"default": lambda: MOMENT})

    with pytest.raises(TypeError, match="Python would fill in at"):
        await tables.execute(conn, insert(Stamped).values(note_id=1))


async def test_what_postgresql_refuses_is_raised_as_it_says_it(conn: Connection) -> None:
    await keep(conn, "a")
    with pytest.raises(asyncpg.UniqueViolationError, match="note_pkey"):
        await keep(conn, "a")
