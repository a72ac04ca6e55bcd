"""SQLModel's statements on our own connections, inside the tenant's transaction: no second pool, no session."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from asyncpg import Record
from sqlalchemy import ClauseElement, DateTime, Text
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.sql.compiler import SQLCompiler

from shared.postgres import Connection

IDENT: Final = Text(collation="C")  # ids and names that are compared and paged by: byte order, in reach of an index
INSTANT: Final = DateTime(timezone=True)
_DIALECT: Final = dialect()
_Bind = Callable[[Any], Any]


class _Compiled(NamedTuple):
    """A statement as asyncpg takes it: SQL with $1…, and by position each parameter's name and how it is bound."""

    sql: str
    names: tuple[str, ...]
    binds: tuple[_Bind | None, ...]
    embedded: dict[str, Any]  # the values that the statement brings itself


# Compiling takes longer than asking: a statement that is a constant is compiled once, one made in a call dies with it.
_COMPILED: Final = WeakKeyDictionary[ClauseElement, _Compiled]()


async def rows(conn: Connection, statement: ClauseElement, **values: Any) -> list[Record]:
    """Every row, as asyncpg gives it (jsonb as text). `values` are those of the statement's `bindparam` names."""
    compiled = _compile(statement)
    return await conn.fetch(compiled.sql, *_positional(compiled, values))


async def row(conn: Connection, statement: ClauseElement, **values: Any) -> Record | None:
    """The first row, or None."""
    compiled = _compile(statement)
    return await conn.fetchrow(compiled.sql, *_positional(compiled, values))


async def value(conn: Connection, statement: ClauseElement, **values: Any) -> Any:
    """The first column of the first row, or None."""
    compiled = _compile(statement)
    return await conn.fetchval(compiled.sql, *_positional(compiled, values))


async def execute(conn: Connection, statement: ClauseElement, **values: Any) -> int:
    """Runs it; how many rows it concerned. Raises what SQL raises."""
    compiled = _compile(statement)
    status = await conn.execute(compiled.sql, *_positional(compiled, values))
    return int(status.rpartition(" ")[2])


def _positional(compiled: _Compiled, values: dict[str, Any]) -> list[Any]:
    given = compiled.embedded | values
    if given.keys() != set(compiled.names):
        raise TypeError(f"the statement asks for {sorted(compiled.names)}, it got {sorted(given)}")
    bound = zip(compiled.names, compiled.binds, strict=True)
    return [given[name] if bind is None else bind(given[name]) for name, bind in bound]


def _compile(statement: ClauseElement) -> _Compiled:
    """Raises TypeError for what would need an execution of SQLAlchemy's own: a default that Python fills in (here the
    database does), `in_`, whose text depends on the values (here `any_` with one array)."""
    if found := _COMPILED.get(statement):
        return found
    compiled = cast("SQLCompiler", statement.compile(dialect=_DIALECT))
    if compiled.prefetch:
        raise TypeError(f"Python would fill in {', '.join(column.name for column in compiled.prefetch)}")
    if compiled.post_compile_params:
        raise TypeError("in_ has another text for each length: use any_ with an array")
    parameters = [(name, compiled.binds[name]) for name in compiled.positiontup or ()]
    binds = tuple(one.type.dialect_impl(_DIALECT).bind_processor(_DIALECT) for _, one in parameters)
    embedded = {name: one.effective_value for name, one in parameters if not one.required}
    _COMPILED[statement] = found = _Compiled(compiled.string, tuple(name for name, _ in parameters), binds, embedded)
    return found
