"""Weeks and working days."""

from datetime import date, timedelta

import pytest

from services.scoring.activity.rules import answer_due, iso_week, mondays
from tests.services.scoring.builders import TOKYO, at

FRIDAY, MONDAY = date(2026, 6, 12), date(2026, 6, 15)


@pytest.mark.parametrize(
    ("came", "due"),
    [
        (FRIDAY, date(2026, 6, 16)),  # the first working day after Friday is Monday: over when Tuesday begins
        (FRIDAY + timedelta(days=1), date(2026, 6, 16)),
        (FRIDAY + timedelta(days=2), date(2026, 6, 16)),
        (MONDAY, date(2026, 6, 17)),
    ],
)
def test_one_working_day_ends_with_the_first_weekday_after(came: date, due: date):
    for hour in (0, 23):
        assert answer_due(at(came, hour), TOKYO) == at(due, 0)


def test_weeks_are_named_as_iso_does():
    assert iso_week(date(2026, 12, 28)) == "2026-W53"
    assert iso_week(date(2024, 12, 30)) == "2025-W01"
    assert mondays(date(2026, 6, 14), MONDAY) == [date(2026, 6, 8), MONDAY]
