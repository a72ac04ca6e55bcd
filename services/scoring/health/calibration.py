"""Does the score tell in advance who leaves? The area under the curve. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Auc:
    """`auc` = the chance that a kept account scored higher than a churned one, a tie is half; None when either side is
    empty. `left_out` counts the pairs without a score, which are in neither `n` nor `churned`."""

    auc: float | None
    n: int
    churned: int
    left_out: int


def auc(pairs: Iterable[tuple[float | None, bool]]) -> Auc:
    """The AUC of (score, churned), higher scores meaning safer; ties by mid-rank (Mann–Whitney), in exact integers."""
    kept_at: dict[float, int] = {}
    churned_at: dict[float, int] = {}
    left_out = 0
    for score, churned in pairs:
        if score is None:
            left_out += 1
            continue
        side = churned_at if churned else kept_at
        side[score] = side.get(score, 0) + 1
    n_kept, n_churned = sum(kept_at.values()), sum(churned_at.values())
    value = _doubled_wins(kept_at, churned_at) / (2 * n_kept * n_churned) if n_kept and n_churned else None
    return Auc(value, n_kept + n_churned, n_churned, left_out)


def _doubled_wins(kept_at: dict[float, int], churned_at: dict[float, int]) -> int:
    wins = below = 0
    for score in sorted(kept_at.keys() | churned_at.keys()):
        tied = churned_at.get(score, 0)
        wins += kept_at.get(score, 0) * (2 * below + tied)
        below += tied
    return wins
