"""The consumption gap and what explains a difference, by hand."""

import pytest

from services.scoring.health.explain import explained
from services.scoring.health.gap import consumption_gap, flag_of, seats_of
from shared.tenant_settings import ValueFeature


def feature(name: str, weight: float = 1, share: float = 1) -> ValueFeature:
    return ValueFeature(feature=name, weight=weight, share=share, events=(name,))


def test_the_gap_is_the_weighted_part_of_the_users_that_are_missing() -> None:
    found = consumption_gap([feature("plan", 3), feature("report", 1, 0.5)], {"plan": 2, "report": 9}, 10)
    assert found.gap == 0.6  # 3·(1 − 2/10) + 1·(1 − 1) over 4
    assert [(one.feature, one.users, one.missing) for one in found.features] == [("plan", 2, 0.6), ("report", 9, 0.0)]


def test_a_share_that_no_double_can_hold_is_met_exactly() -> None:
    assert consumption_gap([feature("plan", 1, 0.7)], {"plan": 7}, 10).gap == 0.0


def test_the_largest_part_stands_first_and_equal_ones_by_name() -> None:
    found = consumption_gap([feature("b"), feature("c", 2), feature("a")], {}, 4)
    assert [one.feature for one in found.features] == ["c", "a", "b"]
    assert found.gap == 1.0


def test_without_features_or_seats_there_is_no_gap() -> None:
    assert consumption_gap([], {}, 4).gap is None
    found = consumption_gap([feature("b"), feature("a")], {"a": 1}, None)
    assert (found.gap, [(one.feature, one.missing) for one in found.features]) == (None, [("a", None), ("b", None)])


@pytest.mark.parametrize(("seats", "ids", "expected"), [(5, 2, 5), (0, 2, 2), (None, 2, 2), (None, 0, None)])
def test_ids_stand_in_for_seats(seats: int | None, ids: int, expected: int | None) -> None:
    assert seats_of(seats, ids) == expected


@pytest.mark.parametrize(
    ("gap", "detractors", "flag"),
    [(0.2, 1, "small_gap_with_detractor"), (0.21, 1, None), (0.0, 0, None), (None, 3, None)],
)
def test_a_small_gap_with_a_detractor_is_flagged(gap: float | None, detractors: int, flag: str | None) -> None:
    assert flag_of(gap, detractors) == flag


def test_null_counts_nothing_and_a_cap_is_a_row_at_the_end() -> None:
    before = [{"name": "depth", "contribution": 30.0, "inputs": {"a": 1}}, {"name": "cap", "contribution": -10.0}]
    after = [
        {"name": "depth", "contribution": None, "inputs": {"a": None}},
        {"name": "trend", "contribution": 50.0, "inputs": {"b": 2}},
    ]
    found = explained(20.0, before, 50.0, after)
    assert found["difference"] == 30.0
    assert found["dimensions"] == [
        {"name": "depth", "from": 30.0, "to": None, "difference": -30.0, "inputs": {"a": {"from": 1, "to": None}}},
        {"name": "trend", "from": None, "to": 50.0, "difference": 50.0, "inputs": {"b": {"from": None, "to": 2}}},
        {"name": "cap", "from": -10.0, "to": None, "difference": 10.0, "inputs": {}},
    ]


def test_a_moment_without_a_score_has_no_difference() -> None:
    found = explained(None, [], 50.0, [{"name": "trend", "contribution": 50.0}])
    assert (found["score_from"], found["score_to"], found["difference"]) == (None, 50.0, None)
    assert found["dimensions"][0]["difference"] == 50.0
