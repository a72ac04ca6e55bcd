"""Which accounts a list means, as stretches of an index or as the clauses of a statement; how many, from the totals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from services.scoring.accounts.asked import Asked
from services.scoring.accounts.classes import DIGITS, chosen, place_of
from services.scoring.accounts.search import beyond
from services.scoring.accounts.store import live_total
from services.scoring.accounts.walk import Lanes, Span
from services.scoring.asof import Question
from services.scoring.facts.read import Reader
from services.scoring.matrix.rules import BANDS, PRIORITIES
from shared.errors import Invalid
from shared.http.answers import EXACT

MOST_SORTED: Final = 20_000
_PLACES: Final = tuple(product(range(len(PRIORITIES)), range(len(BANDS))))
# Each class that any account is in: from one to the next, without looking at what lies between.
_CLASSES: Final = """
WITH RECURSIVE one AS (
  (SELECT class FROM account_state WHERE tenant = $1 ORDER BY class LIMIT 1)
  UNION ALL SELECT (SELECT s.class FROM account_state s WHERE s.tenant = $1 AND s.class > one.class
                    ORDER BY s.class LIMIT 1) FROM one WHERE one.class IS NOT NULL)
SELECT class FROM one WHERE class IS NOT NULL
"""
# What the totals say of one filter; the key '' is nobody's.
_TOTAL: Final = """
SELECT coalesce(sum(accounts), 0)::bigint FROM counter WHERE tenant = $1 AND dim = $2 AND key = ANY($3::text[])
"""
_DIMS: Final[Mapping[str, str]] = {
    "status": "status", "tier": "tier", "rank": "rank", "csm_id": "csm", "team": "team", "priority": "priority",
    "effective_band": "band", "tenure": "cell",
}  # fmt: skip


class TooManyToSort(Invalid):
    """Above 20,000 accounts a list has the default order or that of health, ACV or renewal, and one filter other than
    `q` (or several of status, tier, rank, tenure, priority, band). Choose fewer accounts, or another order."""

    code = "too_many_to_sort"


@dataclass(frozen=True, slots=True)
class Order:
    """An order that an index knows: its column and the type. `reversed`: it holds the value negated and null as LAST.
    `told`: the column of a row that cursors carry."""

    column: str
    kind: str
    told: str
    reversed: bool = False

    def stored(self, value: Any) -> Any:
        """A value as the column holds it."""
        return -value if self.reversed else value


ORDERS: Final[Mapping[str, Order]] = {
    "health": Order("score", "float8", "score"),
    "acv": Order("acv_order", "bigint", "acv", reversed=True),
    "renewal_on": Order("renewal_on", "date", "renewal_on"),
}


class Statement:
    """Clauses and arguments of one statement; $1 is the tenant."""

    def __init__(self, tenant: int) -> None:
        self.args: list[Any] = [tenant]
        self.clauses = ["tenant = $1"]

    def arg(self, value: Any) -> str:
        """The placeholder of one more argument."""
        self.args.append(value)
        return f"${len(self.args)}"

    @property
    def where(self) -> str:
        """All clauses."""
        return " AND ".join(self.clauses)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The accounts meant. `classes` and `owners` (CSMs): None = any. `lanes`: what the list can be walked by; None =
    it must be sorted."""

    asked: Asked
    classes: Sequence[int] | None
    owners: Sequence[str] | None
    lanes: str | None

    def by_default(self, after: Sequence[Any]) -> tuple[Lanes, Span]:
        """The lanes of the default order, with where each begins after such a row."""
        if self.lanes == "owners":
            columns = [("priority_order", "smallint"), ("band_order", "smallint"), ("acv_order", "bigint")]
            return _owned(self.owners or ()), Span(columns, [after] * len(self.owners or ()))
        priority, band, acv, account_id = after
        least = priority * len(BANDS) + band
        held = [one for one in self.classes or () if place_of(one) >= least]
        starts = [(acv, account_id) if place_of(one) == least else (-(2**63), "") for one in held]
        lanes = Lanes("s.class = l.class", [("class", "smallint", held)], [place_of(one) for one in held])
        return lanes, Span([("acv_order", "bigint")], starts)

    def ordered(self, order: Order) -> Lanes:
        """The lanes of another order."""
        if self.lanes == "classes":
            held = list(self.classes or ())
            return Lanes("s.class = l.class", [("class", "smallint", held)], [0] * len(held))
        owners = list(self.owners or ()) if self.lanes == "owners" else None
        if order.reversed:
            return _placed(owners)
        return Lanes("NOT s.churned") if owners is None else _owned(owners)

    def statement(self, tenant: int) -> Statement:
        """The clauses that mean these accounts."""
        told = Statement(tenant)
        if not self.asked.churned:
            told.clauses.append("NOT churned")
        if self.classes is not None:
            told.clauses.append(f"class = ANY({told.arg(list(self.classes))}::smallint[])")
        if self.owners is not None:
            told.clauses.append(f"csm_id = ANY({told.arg(list(self.owners))}::text[])")
        for name, values in self.asked.filters.items():
            if name not in DIGITS and name != "csm_id":
                told.clauses.append(f"{name} = ANY({told.arg(list(values))}::text[])")
        if self.asked.prefix is not None:
            ranges = [_range(told, name, self.asked.prefix) for name in ("id_folded", "name_folded")]
            told.clauses.append(f"({' OR '.join(ranges)})")
        return told


def _owned(owners: Sequence[str]) -> Lanes:
    keys = [("csm_id", "text", list(owners))]
    return Lanes("s.csm_id = l.csm_id AND NOT s.churned", keys, [0] * len(owners))


def _placed(owners: Sequence[str] | None) -> Lanes:
    """ACV stands in the default order within each priority and band."""
    match = "NOT s.churned AND s.priority_order = l.priority AND s.band_order = l.band"
    held = [(csm, *place) for csm in owners or [""] for place in _PLACES] if owners != [] else []
    keys = [("priority", "smallint", [one[1] for one in held]), ("band", "smallint", [one[2] for one in held])]
    if owners is not None:
        match, keys = f"s.csm_id = l.csm_id AND {match}", [("csm_id", "text", [one[0] for one in held]), *keys]
    return Lanes(match, keys, [0] * len(held))


def _range(told: Statement, name: str, prefix: str) -> str:
    """The clause that a folded text begins so."""
    low, end = f"{name} >= {told.arg(prefix)}", beyond(prefix)
    return low if end is None else f"({low} AND {name} < {told.arg(end)})"


async def choose(question: Question, asked: Asked) -> Chosen:
    """The accounts meant, and how to read them. Raises TooManyToSort."""
    by_class = bool(DIGITS.keys() & asked.filters.keys())
    by_owner = bool({"csm_id", "team"} & asked.filters.keys())
    classes = await _classes(question, asked) if by_class else None
    owners = await _owners(question, asked) if by_owner else None
    walkable = asked.prefix is None and not (by_class and by_owner) and asked.sort in (None, *ORDERS)
    lanes = None if not walkable else "classes" if by_class else "owners" if by_owner else "whole"
    some = Chosen(asked, classes, owners, lanes)
    if lanes is None:
        await _refuse_too_many(question, some)
    return some


async def _classes(question: Question, asked: Asked) -> list[int]:
    rows = await question.conn.fetch(_CLASSES, question.tenant)
    return chosen((row["class"] for row in rows), asked.filters)


async def _owners(question: Question, asked: Asked) -> list[str]:
    """The CSMs meant; a team's accounts are those of its CSMs."""
    csms, teams = asked.filters.get("csm_id"), asked.filters.get("team")
    if teams is None:
        return sorted(set(csms or ()))
    reader = Reader(question.conn, question.terms, question.moment)  # which asks no more than T of either
    found = [csm.csm_id for csm in (await reader.csms()).values() if csm.team in teams]
    return sorted(one for one in found if csms is None or one in csms)


async def _refuse_too_many(question: Question, some: Chosen) -> None:
    """Raises TooManyToSort unless one index leads to at most 20,000 accounts."""
    if await live_total(question) <= MOST_SORTED and not some.asked.churned:
        return
    for name, values in some.asked.filters.items():
        if await _told(question, name, values) <= MOST_SORTED:
            return
    if some.asked.prefix is None or await _beginning(question, some.asked.prefix) > MOST_SORTED:
        raise TooManyToSort


async def _beginning(question: Question, prefix: str) -> int:
    """How many names and ids begin so, counted up to 20,001 each; off the indexes in their order, or a plan might
    gather all of them before it counts."""
    found = 0
    for name in ("id_folded", "name_folded"):
        told = Statement(question.tenant)
        told.clauses.append(_range(told, name, prefix))
        found += await _counted(question, told, MOST_SORTED, name)
    return found


async def total(question: Question, asked: Asked, rows: Sequence[Mapping[str, Any]] = ()) -> int:
    """How many are meant: from the totals, and where several filters meet counted up to 10,001. `rows` of a list of all
    may say so themselves."""
    if asked.unfiltered:
        return rows[0]["matches"] if rows and "matches" in rows[0] else await live_total(question)
    if asked.prefix is None and len(asked.filters) == 1:
        ((name, values),) = asked.filters.items()
        return await _told(question, name, values)
    some = await choose(question, asked)
    leading = "csm_id" if some.owners is not None else "class" if some.classes is not None else None
    return await _counted(question, some.statement(question.tenant), EXACT, leading)


async def _told(question: Question, name: str, values: Sequence[str]) -> int:
    keys = [one for one in values if one]
    if name == "tenure":
        keys = [f"{rank or '-'}{one}" for rank in DIGITS["rank"] for one in keys]
    return int(await question.conn.fetchval(_TOTAL, question.tenant, _DIMS[name], keys) or 0)


async def _counted(question: Question, told: Statement, most: int, leading: str | None) -> int:
    """`leading`: the column of the index to be read; without an order a plan might begin with the table."""
    order = f" ORDER BY {leading}" if leading else ""
    sql = f"SELECT count(*) FROM (SELECT 1 FROM account_state WHERE {told.where}{order} LIMIT {most + 1}) AS found"
    return int(await question.conn.fetchval(sql, *told.args) or 0)
