"""SQL of the account list in any order and of any choice; past lists the same of recomputed accounts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.scoring.accounts.asked import COLUMNS, Asked
from services.scoring.accounts.search import beyond
from services.scoring.accounts.store import FIRST, LIST_COLUMNS, live_total
from services.scoring.asof import Question, past
from services.scoring.assessment import Assessment
from services.scoring.state import orders
from shared.http.answers import EXACT

DEFAULT_ORDER: Final = ("priority_order", "band_order", "acv_order", "account_id")
After = Sequence[Any] | None  # where the page before ended: the values of its order


class Statement:
    """Clauses and arguments of one statement; $1 is the tenant."""

    def __init__(self, tenant: int, asked: Asked) -> None:
        self.args: list[Any] = [tenant]
        self.clauses = ["tenant = $1"]
        if not asked.churned:
            self.clauses.append("NOT churned")
        for name, values in asked.filters.items():
            self.clauses.append(f"{name} = ANY({self.arg(list(values))}::text[])")
        if asked.prefix is not None:
            self._begins(asked.prefix)

    def arg(self, value: Any) -> str:
        """The placeholder of one more argument."""
        self.args.append(value)
        return f"${len(self.args)}"

    def _begins(self, prefix: str) -> None:
        low, end = self.arg(prefix), beyond(prefix)
        high = None if end is None else self.arg(end)
        ranges = [
            f"({name} >= {low}" + (f" AND {name} < {high})" if high else ")") for name in ("id_folded", "name_folded")
        ]
        self.clauses.append(f"({' OR '.join(ranges)})")

    @property
    def where(self) -> str:
        """All clauses."""
        return " AND ".join(self.clauses)


def page_statement(tenant: int, asked: Asked, after: After, limit: int) -> tuple[str, list[Any]]:
    """The statement of the next `limit` rows. The default order reads its own index."""
    told = Statement(tenant, asked)
    if asked.sort is None:
        marks = [told.arg(value) for value in after or FIRST]
        told.clauses.append(f"({', '.join(DEFAULT_ORDER)}) > ({', '.join(marks)})")
        order, extra = ", ".join(DEFAULT_ORDER), ""
    else:
        column = COLUMNS[asked.sort]
        if after is not None:
            told.clauses.append(_beyond(told, asked, after))
        direction = "DESC" if asked.descending else "ASC"
        order, extra = f"sort_value {direction} NULLS LAST, account_id", f", {column.sql} AS sort_value"
    sql = f"SELECT {LIST_COLUMNS}{extra} FROM account_state WHERE {told.where} ORDER BY {order}"
    return f"{sql} LIMIT {told.arg(limit)}", told.args


def _beyond(told: Statement, asked: Asked, after: Sequence[Any]) -> str:
    column, (value, account_id) = COLUMNS[asked.sort or ""], after
    mark = told.arg(account_id)
    if value is None:
        return f"{column.sql} IS NULL AND account_id > {mark}"
    here, than = f"{told.arg(value)}::{column.kind}", "<" if asked.descending else ">"
    same = f"{column.sql} = {here} AND account_id > {mark}"
    return f"({column.sql} {than} {here} OR {same} OR {column.sql} IS NULL)"


async def live_page(question: Question, asked: Asked, after: After, size: int) -> tuple[list[Any], list[Any] | None]:
    """The next rows of account_state, and where they end if more follow."""
    sql, args = page_statement(question.tenant, asked, after, size + 1)
    rows = await question.conn.fetch(sql, *args)
    if len(rows) <= size:
        return rows, None
    return rows[:size], _end_of_row(rows[size - 1], asked)


def _end_of_row(row: Mapping[str, Any], asked: Asked) -> list[Any]:
    if asked.sort is None:
        return [row[name] for name in DEFAULT_ORDER]
    return [row["sort_value"], row["account_id"]]


async def total(question: Question, asked: Asked) -> int:
    """How many are meant; with a filter counted up to 10,001."""
    if asked.unfiltered:
        return await live_total(question)
    told = Statement(question.tenant, asked)
    sql = f"SELECT count(*) FROM (SELECT 1 FROM account_state WHERE {told.where} LIMIT {EXACT + 1}) AS found"
    return int(await question.conn.fetchval(sql, *told.args) or 0)


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
