"""The cells of the matrix: live from the totals, past from the accounts as they stood."""

from collections.abc import Mapping
from typing import Any, Final

from services.scoring.asof import Question, past
from services.scoring.matrix.rules import CellKey, CellTotal
from services.scoring.state import nano

# What the accounts of each cell add up to now; the key is rank and tenure, each a minus sign where there is none.
_CELLS: Final = """
SELECT key, sum(accounts)::int AS accounts, sum(acv)::bigint AS acv, sum(eligible)::int AS eligible,
  sum(covered)::int AS covered, sum(scored)::int AS scored, sum(score)::bigint AS score
FROM counter WHERE tenant = $1 AND dim = 'cell' GROUP BY key HAVING sum(accounts) > 0
"""


async def totals(question: Question) -> dict[CellKey, CellTotal]:
    """Every cell that has accounts, and those without rank or tenure. Raises TooManyAccounts."""
    if not question.live:
        return await _past(question)
    rows = await question.conn.fetch(_CELLS, question.tenant)
    return {(_none(row["key"][0]), _none(row["key"][1])): _of_row(row) for row in rows}


def _none(letter: str) -> str | None:
    return None if letter == "-" else letter


def _of_row(row: Mapping[str, Any]) -> CellTotal:
    return CellTotal(row["accounts"], row["acv"], row["eligible"], row["covered"], row["scored"], row["score"])


async def _past(question: Question) -> dict[CellKey, CellTotal]:
    found: dict[CellKey, CellTotal] = {}
    for one in (await past(question.conn, question.terms, question.at)).values():
        if not one.churned:
            total = found.setdefault((one.rank, one.tenure), CellTotal())
            total.add(one.acv, one.covered, None if one.score is None else nano(one.score))
    return found
