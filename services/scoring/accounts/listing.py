"""The account list page by page, in any order and of any choice; past lists the same of recomputed accounts.

The default order and those of health, ACV and renewal are read off an index, be the list whole or chosen by classes,
CSMs or teams. Everything else sorts what is chosen, if that is at most 20,000 accounts.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from services.scoring.accounts import chosen
from services.scoring.accounts.asked import COLUMNS, Asked
from services.scoring.accounts.chosen import ORDERS, Chosen, Order
from services.scoring.accounts.store import FIRST, LIST_COLUMNS, MATCHES
from services.scoring.accounts.walk import Span, backward, forward
from services.scoring.asof import Question, past
from services.scoring.assessment import Assessment
from services.scoring.state import LAST, orders

DEFAULT_ORDER: Final = ("priority_order", "band_order", "acv_order", "account_id")
_DEFAULT: Final = ", ".join(DEFAULT_ORDER)
After = Sequence[Any] | None  # where the page before ended: the values of its order
# The default order of all reads its own index from one place on.
_WHOLE: Final = f"""
SELECT {LIST_COLUMNS}{MATCHES} FROM account_state WHERE tenant = $1 AND NOT churned AND ({_DEFAULT}) > ($2, $3, $4, $5)
ORDER BY {_DEFAULT} LIMIT $6
"""
_LEAST: Final[Mapping[str, Any]] = {"float8": float("-inf"), "bigint": -(2**63), "date": date.min}
_MOST: Final[Mapping[str, Any]] = {"float8": float("inf"), "bigint": LAST, "date": date.max}


async def live_page(question: Question, asked: Asked, after: After, size: int) -> tuple[list[Any], list[Any] | None]:
    """The next rows of account_state, and where they end if more follow. Raises TooManyToSort."""
    rows = await _rows(question, asked, after, size + 1)
    if len(rows) <= size:
        return rows, None
    return rows[:size], _end_of_row(rows[size - 1], asked)


async def _rows(question: Question, asked: Asked, after: After, size: int) -> list[Any]:
    if asked.unfiltered and asked.sort is None:
        return await question.conn.fetch(_WHOLE, question.tenant, *(after or FIRST), size)
    some = await chosen.choose(question, asked)
    if asked.sort is None and some.lanes is not None:
        return await _default(question, some, after, size)
    if asked.sort in ORDERS and some.lanes is not None:
        return await _ordered(question, some, asked, after, size)
    sql, args = sorted_page(question.tenant, asked, some, after, size)
    return await question.conn.fetch(sql, *args)


async def _default(question: Question, some: Chosen, after: After, size: int) -> list[Any]:
    lanes, span = some.by_default(after or FIRST)
    if not lanes.turns:
        return []
    sql, args = forward(lanes, span, size)
    return await question.conn.fetch(sql, question.tenant, *args)


async def _ordered(question: Question, some: Chosen, asked: Asked, after: After, size: int) -> list[Any]:
    """First the rows with a value, then those without."""
    order, rows = ORDERS[asked.sort or ""], list[Any]()
    value, account_id = after or (None, "")
    if after is None or value is not None:
        rows = await _valued(question, some, order, asked, (value, account_id), size, inside=after is not None)
        account_id = ""
    if len(rows) < size:
        rows += await _unvalued(question, some, order, account_id, size - len(rows))
    return rows


async def _valued(
    question: Question, some: Chosen, order: Order, asked: Asked, after: Sequence[Any], size: int, *, inside: bool
) -> list[Any]:
    upward = asked.descending == order.reversed
    value, account_id = after
    least, most = _LEAST[order.kind], _MOST[order.kind]
    start = [order.stored(value) if inside else least if upward else most, account_id]
    lanes = some.ordered(order)
    if not lanes.turns:
        return []
    also = f" AND s.{order.column} < {LAST}" if order.reversed else f" AND s.{order.column} IS NOT NULL"
    span = Span([(order.column, order.kind)], [start] * len(lanes.turns), also if upward else "")
    more = MATCHES if asked.unfiltered else ""
    sql, args = forward(lanes, span, size, more) if upward else backward(lanes, span, size, more, inside=inside)
    return await question.conn.fetch(sql, question.tenant, *args)


async def _unvalued(question: Question, some: Chosen, order: Order, account_id: str, size: int) -> list[Any]:
    lanes = some.ordered(order)
    if not lanes.turns:
        return []
    missing = f" AND s.{order.column} = {LAST}" if order.reversed else f" AND s.{order.column} IS NULL"
    null = "" if order.reversed else order.column
    sql, args = forward(lanes, Span([], [[account_id]] * len(lanes.turns), missing, null), size)
    return await question.conn.fetch(sql, question.tenant, *args)


def sorted_page(tenant: int, asked: Asked, some: Chosen, after: After, limit: int) -> tuple[str, list[Any]]:
    """The statement of the next `limit` rows where what is chosen has to be sorted."""
    told = some.statement(tenant)
    if asked.sort is None:
        marks = [told.arg(value) for value in after or FIRST]
        told.clauses.append(f"({_DEFAULT}) > ({', '.join(marks)})")
        order, extra = _DEFAULT, ""
    else:
        column = COLUMNS[asked.sort]
        if after is not None:
            told.clauses.append(_beyond(told, asked, after))
        direction = "DESC" if asked.descending else "ASC"
        order, extra = f"sort_value {direction} NULLS LAST, account_id", f", {column.sql} AS sort_value"
    sql = f"SELECT {LIST_COLUMNS}{extra} FROM account_state WHERE {told.where} ORDER BY {order}"
    return f"{sql} LIMIT {told.arg(limit)}", told.args


def _beyond(told: chosen.Statement, asked: Asked, after: Sequence[Any]) -> str:
    column, (value, account_id) = COLUMNS[asked.sort or ""], after
    mark = told.arg(account_id)
    if value is None:
        return f"{column.sql} IS NULL AND account_id > {mark}"
    here, than = f"{told.arg(value)}::{column.kind}", "<" if asked.descending else ">"
    same = f"{column.sql} = {here} AND account_id > {mark}"
    return f"({column.sql} {than} {here} OR {same} OR {column.sql} IS NULL)"


def _end_of_row(row: Mapping[str, Any], asked: Asked) -> list[Any]:
    if asked.sort is None:
        return [row[name] for name in DEFAULT_ORDER]
    return [row[ORDERS[asked.sort].told] if asked.sort in ORDERS else row["sort_value"], row["account_id"]]


async def past_list(question: Question, asked: Asked) -> list[Assessment]:
    """All that are meant as they stood at T, in the order asked for. Raises TooManyAccounts."""
    found = await past(question.conn, question.terms, question.at, changes=True)
    kept = sorted((one for one in found.values() if asked.holds(one)), key=lambda one: one.account_id)
    if asked.sort is None:
        return sorted(kept, key=default_end)
    of = COLUMNS[asked.sort].of
    valued = sorted((one for one in kept if of(one) is not None), key=of, reverse=asked.descending)
    return valued + [one for one in kept if of(one) is None]


def past_page(
    listed: Sequence[Assessment], asked: Asked, after: After, size: int
) -> tuple[Sequence[Assessment], list[Any] | None]:
    """The part of such a list that follows, and where it ends if more do."""
    start = 0
    if after is not None:
        start = next((index for index, one in enumerate(listed) if _follows(one, asked, after)), len(listed))
    part = listed[start : start + size]
    return part, _end_of(part[-1], asked) if part and len(listed) > start + size else None


def default_end(one: Assessment) -> list[Any]:
    """Where an account stands in the default order."""
    placed = {**orders(one), "account_id": one.account_id}
    return [placed[name] for name in DEFAULT_ORDER]


def _end_of(one: Assessment, asked: Asked) -> list[Any]:
    return default_end(one) if asked.sort is None else [COLUMNS[asked.sort].of(one), one.account_id]


def _follows(one: Assessment, asked: Asked, after: Sequence[Any]) -> bool:
    if asked.sort is None:
        return default_end(one) > list(after)
    (value, account_id), mine = after, COLUMNS[asked.sort].of(one)
    if mine is None or value is None or mine == value:
        return (mine is None and value is not None) or (mine == value and one.account_id > account_id)
    return (mine < value) if asked.descending else (mine > value)
