"""Bulk writes of the fold: COPY into a temporary table, then one INSERT … SELECT in key order.

Tables of the derived state are named without their schema: the connection's search path says which state is meant.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
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


async def merge(conn: Connection, target: Target, rows: Iterable[Sequence[Any]]) -> None:
    """Merges rows (distinct by key) into the table, in key order so that writers cannot deadlock."""
    listed = list(rows)
    if not listed:
        return
    await load(conn, target, listed)
    names = ", ".join(target.names)
    order = ", ".join(str(index + 1) for index in range(target.keys))
    await conn.execute(
        f"INSERT INTO {target.table} ({names}) SELECT {names} FROM {target.temp} ORDER BY {order} {target.conflict}"
    )
