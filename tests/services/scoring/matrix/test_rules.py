"""Rank × tenure, priorities and the order of the day."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.account import UsageAt
from services.scoring.matrix.rules import Place, call_first_key, cells, default_list_key, months_since, place
from shared.tenant_settings import TenantSettings
from tests.services.scoring.builders import TODAY, account

DEFAULT = TenantSettings()


def placed(
    settings: TenantSettings = DEFAULT, start: date | None = TODAY, acv: int | None = None, **told: Any
) -> Place:
    return place(account(**told), acv, start, settings, TODAY)


@pytest.mark.parametrize(
    ("ids", "rank"),
    [(0, None), (1, "D"), (5, "D"), (6, "C"), (10, "C"), (11, "B"), (20, "B"), (21, "A"), (5000, "A")],
)
def test_rank_by_ids(ids: int, rank: str | None) -> None:
    assert placed(usage=UsageAt(ids=ids)).rank == rank


AXES = [
    ("seats", {"A": 100, "B": 50, "C": 10, "D": 1}, {"seats": 50}, None, "B"),
    ("seats", {"A": 100, "B": 50, "C": 10, "D": 1}, {}, None, None),
    ("acv", {"A": 1000, "B": 100.5, "C": 10, "D": 1}, {}, 10050, "B"),  # USD 100.50
    ("acv", {"A": 1000, "B": 100.5, "C": 10, "D": 1}, {}, 10049, "C"),
    ("acv", {"A": 1000, "B": 100, "C": 10, "D": 1}, {}, None, None),
    ("trait:sites", {"A": 4, "B": 3, "C": 2, "D": 1}, {"traits": {"sites": 3.5}}, None, "B"),
    ("trait:sites", {"A": 4, "B": 3, "C": 2, "D": 1}, {"traits": {"sites": "many"}}, None, None),
    ("trait:sites", {"A": 4, "B": 3, "C": 2, "D": 1}, {}, None, None),
]


@pytest.mark.parametrize(("by", "cuts", "told", "acv", "rank"), AXES)
def test_the_rank_axis_is_a_setting(
    by: str, cuts: dict[str, float], told: dict[str, Any], acv: int | None, rank: str | None
) -> None:
    settings = TenantSettings.model_validate({"currency": "USD", "rank": {"by": by, "cuts": cuts}})
    assert placed(settings, acv=acv, **told).rank == rank


MONTHS = [
    (date(2026, 1, 31), date(2026, 2, 27), 0),
    (date(2026, 1, 31), date(2026, 2, 28), 1),  # clamped
    (date(2026, 1, 31), date(2026, 3, 30), 1),
    (date(2026, 1, 31), date(2026, 3, 31), 2),
    (date(2024, 2, 29), date(2025, 2, 28), 12),
    (date(2026, 6, 15), date(2026, 6, 15), 0),
    (date(2026, 6, 16), date(2026, 6, 15), None),
    (date(2025, 12, 20), date(2026, 1, 19), 0),
    (None, date(2026, 1, 1), None),
]


@pytest.mark.parametrize(("start", "day", "months"), MONTHS)
def test_months_since_the_start(start: date | None, day: date, months: int | None) -> None:
    assert months_since(start, day) == months


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)), st.integers(0, 4000))
def test_tenure_never_falls_as_time_goes_on(start: date, days: int) -> None:
    day = start + timedelta(days=days)
    now, tomorrow = months_since(start, day), months_since(start, day + timedelta(days=1))
    assert now is not None
    assert tomorrow is not None
    assert now <= tomorrow <= now + 1


@pytest.mark.parametrize(
    ("start", "tenure"),
    [
        (date(2026, 6, 15), "a"),
        (date(2026, 2, 16), "a"),
        (date(2026, 2, 15), "b"),
        (date(2025, 10, 16), "b"),
        (date(2025, 10, 15), "c"),
        (date(2025, 6, 16), "c"),
        (date(2025, 6, 15), "d"),
        (date(1999, 1, 1), "d"),
        (date(2026, 6, 16), None),
        (None, None),
    ],
)
def test_tenure_classes(start: date | None, tenure: str | None) -> None:
    assert placed(start=start, usage=UsageAt(ids=1)).tenure == tenure


def test_priority_is_that_of_the_cell_and_none_outside() -> None:
    assert placed(usage=UsageAt(ids=11)) == Place("B", "a", "High")
    assert placed(usage=UsageAt(ids=0)) == Place(None, "a", None)
    assert placed(start=None, usage=UsageAt(ids=11)) == Place("B", None, None)
    custom = TenantSettings.model_validate({"priorities": {"Ba": "Low"}})
    assert placed(custom, usage=UsageAt(ids=11)).priority == "Low"


def test_all_sixteen_cells_ranks_outer() -> None:
    listed = cells(DEFAULT)
    assert [row + column for row, column, _ in listed] == [row + column for row in "ABCD" for column in "abcd"]
    assert [priority[0] for _, _, priority in listed] == list("HHHHHHMMMMLLLLLL")


ORDERED: list[tuple[Any, ...]] = [
    ("High", "red", 9, "a"),
    ("High", "red", 9, "b"),
    ("High", "red", 0, "a"),
    ("High", "red", None, "a"),
    ("High", "yellow", 99, "a"),
    ("High", "unknown", 99, "a"),
    ("High", "green", 99, "a"),
    ("Middle", "red", 99, "a"),
    ("Low", "red", 99, "a"),
    (None, "red", 99, "a"),
]


def test_the_default_list_goes_by_priority_band_acv_and_id() -> None:
    backwards = ORDERED[::-1]
    assert sorted(backwards, key=lambda row: default_list_key(*row)) == ORDERED


CALLS: list[tuple[Any, ...]] = [  # priority, band, rules fired, ACV, days to the planned contact, id
    ("High", "red", 2, 5, None, "a"),
    ("High", "red", 1, 9, 8, "a"),
    ("High", "red", 1, 5, None, "a"),
    ("High", "red", 1, 5, None, "b"),
    ("High", "red", 1, None, None, "a"),
    ("High", "yellow", 3, 5, None, "a"),
    ("High", "green", 2, 99, None, "a"),
    ("Low", "red", 3, 5, None, "a"),
    (None, "red", 3, 5, None, "a"),
    ("High", "red", 3, 5, 7, "a"),
    ("Low", "red", 3, 5, 0, "a"),
]


def test_whom_to_call_first_and_who_has_a_date_already() -> None:
    for rows in (CALLS[::-1], CALLS[1::2] + CALLS[::2]):
        assert sorted(rows, key=lambda row: call_first_key(*row)) == CALLS
