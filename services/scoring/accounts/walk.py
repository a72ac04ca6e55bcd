"""SQL that reads lists in the order of an index, from several places of it at once, and nothing beside the page. Pure.

A lane is a stretch of an index whose keys are fixed (one class, one CSM, one place of the default order): within it
the rows stand in the order asked for. A page is in the `size` lanes that begin first, and in the first `size` of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.scoring.accounts.store import LIST_COLUMNS

_LISTED: Final = ", ".join(f"s.{name.strip()}" for name in LIST_COLUMNS.split(","))


@dataclass(frozen=True, slots=True)
class Lanes:
    """Stretches of an index. `match` says which rows lie in lane `l`, by its `keys` (name, SQL type, one value a lane);
    `turns` are what the list is ordered by before anything else, one number a lane."""

    match: str
    keys: Sequence[tuple[str, str, Sequence[Any]]] = ()
    turns: Sequence[int] = (0,)


@dataclass(frozen=True, slots=True)
class Span:
    """Where to read in each lane: the columns it is ordered by with their SQL types, and where to begin, lane by lane
    (the values of these columns and the id of the last row that is not wanted any more)."""

    columns: Sequence[tuple[str, str]]
    starts: Sequence[Sequence[Any]]
    also: str = ""  # one more condition that keeps to the lane's order
    null: str = ""  # a column that is null here: a plan knows the index's order only by its name

    def row(self, of: str, names: Sequence[str] | None = None) -> str:
        """These columns and the id of a row, as SQL."""
        told = [name for name, _ in self.columns] if names is None else names
        return ", ".join(f"{of}.{name}" for name in (*told, "account_id"))


def forward(lanes: Lanes, span: Span, size: int, more: str = "") -> tuple[str, list[Any]]:
    """The next rows by the span's columns, all upward, then by id. $1 is the tenant; `more`: further columns."""
    lane, args = _lanes(lanes, span)
    marks = [f"at{n}" for n in range(len(span.columns))]
    mark, here = span.row("l", marks), span.row("s")
    order = f"s.{span.null}, {here}" if span.null else here
    named = ", ".join(f"s.{name} AS {mark}" for (name, _), mark in zip(span.columns, marks, strict=True))
    told = f"{named}, s.account_id" if marks else "s.account_id"
    inner = f"SELECT {told} FROM account_state s WHERE s.tenant = $1 AND {lanes.match}{span.also}"
    sql = f"""
WITH lane AS ({lane}),
head AS (SELECT l.*, h.account_id AS first_id{"".join(f", h.{one} AS first_{one}" for one in marks)} FROM lane l
  CROSS JOIN LATERAL ({inner} AND ({here}) > ({mark}) ORDER BY {order} LIMIT 1) h),
best AS (SELECT * FROM head ORDER BY turn{"".join(f", first_{one}" for one in marks)}, first_id LIMIT {size}),
found AS (SELECT l.turn, r.* FROM best l CROSS JOIN LATERAL (
  {inner} AND ({here}) >= ({"".join(f"l.first_{one}, " for one in marks)}l.first_id) ORDER BY {order} LIMIT {size}) r
  ORDER BY l.turn, {span.row("r", marks)} LIMIT {size})
{_shown(more)} ORDER BY f.turn, {span.row("f", marks)}"""
    return sql, args


def backward(
    lanes: Lanes, span: Span, size: int, more: str = "", *, inside: bool
) -> tuple[str, list[Any]]:  # fmt: skip
    """The next rows by the span's one column downward, then by id upward; `inside`: the start is a row, after which
    others of its value may follow. The index runs upward in both, so the last value of a page is read by itself."""
    lane, args = _lanes(lanes, span)
    column = f"s.{span.columns[0][0]}"
    inner = f"FROM account_state s WHERE s.tenant = $1 AND {lanes.match}{span.also}"
    rows = f"SELECT {column} AS at0, s.account_id {inner}"
    same = f"""SELECT r.* FROM lane l CROSS JOIN LATERAL (
  {rows} AND {column} = l.at0 AND s.account_id > l.account_id ORDER BY s.account_id LIMIT {size}) r
  UNION ALL """
    sql = f"""
WITH lane AS ({lane}),
head AS (SELECT l.*, h.first FROM lane l
  CROSS JOIN LATERAL (SELECT {column} AS first {inner} AND {column} < l.at0 ORDER BY {column} DESC LIMIT 1) h),
best AS (SELECT * FROM head ORDER BY first DESC FETCH FIRST {size} ROWS WITH TIES),
last AS (SELECT l.*, (
  SELECT {column} {inner} AND {column} < l.at0 ORDER BY {column} DESC OFFSET {size - 1} LIMIT 1) AS edge FROM best l),
found AS (SELECT * FROM ({same if inside else ""}
  SELECT r.* FROM last l CROSS JOIN LATERAL (
    {rows} AND {column} < l.at0 AND {column} > l.edge ORDER BY {column} DESC LIMIT {size}) r WHERE l.edge IS NOT NULL
  UNION ALL SELECT r.* FROM last l CROSS JOIN LATERAL (
    {rows} AND {column} < l.at0 ORDER BY {column} DESC LIMIT {size}) r WHERE l.edge IS NULL
  UNION ALL SELECT r.* FROM last l CROSS JOIN LATERAL (
    {rows} AND {column} = l.edge ORDER BY s.account_id LIMIT {size}) r WHERE l.edge IS NOT NULL) every
  ORDER BY at0 DESC, account_id LIMIT {size})
{_shown(more)} ORDER BY f.at0 DESC, f.account_id"""
    return sql, args


def _shown(more: str) -> str:
    """The whole rows, fetched one by one: a page's worth of look-ups."""
    return f"""SELECT s.*{more} FROM found f CROSS JOIN LATERAL (
  SELECT {_LISTED} FROM account_state s WHERE s.tenant = $1 AND s.account_id = f.account_id OFFSET 0) s"""


def _lanes(lanes: Lanes, span: Span) -> tuple[str, list[Any]]:
    """The lanes as a row set of `turn`, keys, `at0`… and `account_id`, with its arguments from $2 on."""
    starts = [(f"at{n}", kind, [one[n] for one in span.starts]) for n, (_, kind) in enumerate(span.columns)]
    ids = [one[-1] for one in span.starts]
    told = [("turn", "int", lanes.turns), *lanes.keys, *starts, ("account_id", "text", ids)]
    arrays = ", ".join(f"${n}::{kind}[]" for n, (_, kind, _) in enumerate(told, 2))
    names = ", ".join(name for name, _, _ in told)
    return f"SELECT * FROM unnest({arrays}) AS l({names})", [list(values) for _, _, values in told]
