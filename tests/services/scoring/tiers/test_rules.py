"""Tiers by money, strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.account import Amounts
from services.scoring.tiers.rules import amounts, load, loads, moves, positions, tier_of
from shared.tenant_settings import LoadSettings, TierSettings

DEFAULT = TierSettings()


@pytest.mark.parametrize(
    ("n", "high", "low"),
    [
        (1, 1, 1),
        (2, 1, 1),
        (3, 1, 2),
        (9, 1, 4),
        (10, 1, 4),
        (11, 2, 5),
        (20, 2, 8),
        (25, 3, 10),
        (30, 3, 12),
        (101, 11, 41),
    ],
)
def test_the_amounts_stand_at_the_rounded_up_tenth_and_four_tenths(n: int, high: int, low: int) -> None:
    assert positions(n, DEFAULT) == (high, low)
    values = [1000 - place for place in range(1, n + 1)]
    assert amounts(values, DEFAULT) == Amounts(1000 - high, 1000 - low)


def test_percentages_are_taken_as_written_not_as_doubles() -> None:
    assert positions(1000, TierSettings(high_percent=0.1, low_percent=0.2)) == (1, 3)  # 0.1 + 0.2 is 0.3 here
    assert positions(10, TierSettings(high_percent=30, low_percent=70)) == (3, 10)


def test_accounts_without_value_stand_outside() -> None:
    assert amounts([0, 0, 5, 0], DEFAULT) == Amounts(5, 5)
    assert amounts([0, 0], DEFAULT) == Amounts(None, None)
    assert amounts([], DEFAULT) == Amounts(None, None)


@pytest.mark.parametrize(
    ("value", "tier"), [(101, "high"), (100, "high"), (99, "low"), (40, "low"), (39, "tech"), (1, "tech"), (0, "tech")]
)
def test_ties_fall_upward_and_nothing_is_tech(value: int, tier: str) -> None:
    assert tier_of(value, Amounts(100, 40)) == tier


def test_without_amounts_everyone_is_tech() -> None:
    assert tier_of(5, Amounts(None, None)) == "tech"


@given(st.lists(st.integers(0, 20), max_size=60))
def test_at_least_a_tenth_is_high_and_equals_share_a_tier(values: list[int]) -> None:
    in_force = amounts(values, DEFAULT)
    tiers = [(value, tier_of(value, in_force)) for value in values]
    n = len([value for value in values if value])
    assert 10 * len([1 for _, tier in tiers if tier == "high"]) >= n
    assert 10 * len([1 for _, tier in tiers if tier in ("high", "low")]) >= 4 * n
    assert len(set(tiers)) == len(set(values))


def test_a_review_names_who_would_move() -> None:
    was = {"a": "high", "b": "low", "c": "tech", "gone": "low"}
    now = {"c": "low", "b": "low", "a": "tech", "new": "tech"}
    assert [move.as_json() for move in moves(was, now)] == [
        {"account_id": "a", "from": "high", "to": "tech"},
        {"account_id": "c", "from": "tech", "to": "low"},
        {"account_id": "new", "from": None, "to": "tech"},
    ]


@pytest.mark.parametrize(
    ("high", "low", "utilisation", "over", "under"),
    [
        (0, 0, 0.0, False, True),
        (10, 0, 1.0, False, False),
        (11, 0, 1.1, True, False),
        (7, 9, 1.0, False, False),  # 0.7 + 0.3: exactly full
        (7, 10, 31 / 30, True, False),
        (4, 0, 0.4, False, True),
        (5, 0, 0.5, False, False),
        (0, 19, 19 / 30, False, True),
        (1, 16, 19 / 30, False, False),  # 1/5 + 16/20 is exactly enough
    ],
)
def test_load_is_full_at_the_upper_ends_and_thin_below_the_lower(
    high: int, low: int, utilisation: float, over: bool, under: bool
) -> None:
    found = load("c", {"high": high, "low": low, "tech": 500}, LoadSettings())
    assert (found.over, found.under, found.tech) == (over, under, 500)
    assert found.utilisation == pytest.approx(utilisation, abs=1e-12)


def test_loads_are_listed_by_csm_and_nobody_last() -> None:
    found = loads([("b", "high"), (None, "high"), ("a", "tech"), ("b", "low")], LoadSettings())
    assert [(it.csm_id, it.high, it.low, it.tech) for it in found] == [("a", 0, 0, 1), ("b", 1, 1, 0), (None, 1, 0, 0)]
