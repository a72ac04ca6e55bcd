"""What changed a score between two moments, row by row. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]  # a dimension of a health answer, or its cap


def explained(score_from: float | None, before: Sequence[Row], score_to: float | None, after: Sequence[Row]) -> Row:
    """`{score_from, score_to, difference, dimensions}`: of each dimension, and of a cap, the contribution then and now.

    A null contribution counts 0 in its difference. The differences sum to the score's within 1e-9; where either moment
    has no score, the score's difference is null.
    """
    return {
        "score_from": score_from,
        "score_to": score_to,
        "difference": None if score_from is None or score_to is None else score_to - score_from,
        "dimensions": _rows(before, after),
    }


def _rows(before: Sequence[Row], after: Sequence[Row]) -> list[Row]:
    """In the order of the model of the later moment; what only the earlier one has comes after, a cap last."""
    was, now = ({row["name"]: row for row in rows} for rows in (before, after))
    names = sorted(dict.fromkeys([*now, *was]), key=lambda name: name == "cap")
    return [_row(name, was.get(name, {}), now.get(name, {})) for name in names]


def _row(name: str, was: Row, now: Row) -> Row:
    before, after = was.get("contribution"), now.get("contribution")
    return {
        "name": name,
        "from": before,
        "to": after,
        "difference": (after or 0.0) - (before or 0.0),
        "inputs": _inputs(was.get("inputs", {}), now.get("inputs", {})),
    }


def _inputs(was: Row, now: Row) -> Row:
    return {metric: {"from": was.get(metric), "to": now.get(metric)} for metric in dict.fromkeys([*now, *was])}
