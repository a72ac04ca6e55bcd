"""AUC: the chance that a kept account scored higher than a churned one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.health.calibration import Auc, auc

KEPT, GONE = False, True
TABLE = [
    ("perfect", [(90.0, KEPT), (10.0, GONE)], Auc(1.0, 2, 1, 0)),
    ("backwards", [(10.0, KEPT), (90.0, GONE)], Auc(0.0, 2, 1, 0)),
    ("a tie is half", [(50.0, KEPT), (50.0, GONE)], Auc(0.5, 2, 1, 0)),
    ("mid-rank", [(1.0, GONE), (2.0, GONE), (2.0, KEPT), (3.0, KEPT)], Auc(3.5 / 4, 4, 2, 0)),
    ("null left out and counted", [(None, GONE), (None, KEPT), (1.0, GONE), (2.0, KEPT)], Auc(1.0, 2, 1, 2)),
    ("nobody churned", [(1.0, KEPT)], Auc(None, 1, 0, 0)),
    ("nothing", [], Auc(None, 0, 0, 0)),
]


@pytest.mark.parametrize(("pairs", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_auc_by_table(pairs: list[tuple[float | None, bool]], expected: Auc) -> None:
    assert auc(pairs) == expected


@given(st.lists(st.tuples(st.integers(0, 5).map(float), st.booleans()), max_size=40))
def test_auc_is_the_share_of_pairs_won(pairs: list[tuple[float, bool]]) -> None:
    kept = [score for score, churned in pairs if not churned]
    gone = [score for score, churned in pairs if churned]
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in kept for b in gone]
    assert auc(pairs).auc == (pytest.approx(sum(wins) / len(wins), abs=1e-12) if wins else None)
