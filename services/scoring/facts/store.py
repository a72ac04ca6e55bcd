"""Bulk writes: one INSERT … SELECT in key order, out of arrays, or for many rows out of a temporary table.

A temporary table costs four round trips and is emptied at the commit, which a few hundred rows do not earn back.

Tables of the derived state are named without their schema: the connection's search path says which state is meant.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from shared.postgres import Connection

_BYTES: Final = ' COLLATE "C"'
ARRAY_CELLS: Final = 4_000  # rows × columns up to which arrays are at least as fast as COPY


@dataclass(frozen=True)
class Target:
    """A table that takes merged rows: its columns with types, the key order, and what a conflict does."""

    table: str
    columns: tuple[tuple[str, str], ...]
    conflict: str
    keys: int  # how many leading columns form the key

    @property
    def temp(self) -> str:
        """The name of the temporary table beside it."""
        return "t_" + self.table

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.columns]

    @cached_property
    def arrays(self) -> bool:
        """Whether every column can be one element of an array: an array of ragged arrays cannot be told."""
        return not any(kind.endswith("[]") for _, kind in self.columns)

    @cached_property
    def from_arrays(self) -> str:
        """The merge of one array per column."""
        kinds = (kind.removesuffix(_BYTES) for _, kind in self.columns)
        arrays = ", ".join(f"${index}::{kind}[]" for index, kind in enumerate(kinds, 1))
        return self._insert(f"unnest({arrays}) AS w({', '.join(self.names)})")

    @cached_property
    def from_temp(self) -> str:
        """The merge of the temporary table."""
        return self._insert(self.temp)

    def _insert(self, source: str) -> str:
        names, order = ", ".join(self.names), ", ".join(_sorted(*column) for column in self.columns[: self.keys])
        return f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {source} ORDER BY {order} {self.conflict}"


def _sorted(name: str, kind: str) -> str:
    """A key column as rows are ordered by it: arrays carry no collation, so it is said here for either source."""
    return name + _BYTES if kind.endswith(_BYTES) else name


def columns(text: str) -> tuple[tuple[str, str], ...]:
    """Column names and types out of "tenant int, account int"."""
    pairs = (part.split(None, 1) for part in text.split(","))
    return tuple((name, kind) for name, kind in pairs)


async def load(conn: Connection, target: Target, rows: Sequence[Sequence[Any]]) -> None:
    """Fills the target's temporary table (emptied at commit) with these rows and no others: a transaction may load the
    same target more than once."""
    listed = ", ".join(f"{name} {kind}" for name, kind in target.columns)
    await conn.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {target.temp} ({listed}) ON COMMIT DELETE ROWS; DELETE FROM {target.temp}"
    )
    await conn.copy_records_to_table(target.temp, records=rows, columns=target.names)


async def merge(conn: Connection, target: Target, rows: Iterable[Sequence[Any]]) -> list[Any]:
    """Merges rows (distinct by key) into the table, in key order so that writers cannot deadlock; what it returns is
    what the target's `conflict` ends with RETURNING, if it does."""
    listed = list(rows)
    if not listed:
        return []
    if len(listed) * len(target.columns) <= ARRAY_CELLS and target.arrays:
        return await conn.fetch(target.from_arrays, *zip(*listed, strict=True))
    await load(conn, target, listed)
    return await conn.fetch(target.from_temp)
