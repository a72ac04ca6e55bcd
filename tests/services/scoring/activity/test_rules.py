"""Weeks, working days, and what asks for an answer."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.scoring.activity.rules import Inbound, answer_due, answering, iso_week, mondays, overdue, week_of
from tests.services.scoring.builders import TOKYO, at

FRIDAY, MONDAY = date(2026, 6, 12), date(2026, 6, 15)


def inbound(day: date, hour: int = 12, channel: str = "email", outcome: str = "replied", after: float | None = None):
    came = at(day, hour)
    answered = None if after is None else came + timedelta(seconds=after)
    return Inbound("acme", "c", came, channel, outcome, None, None, answered)


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
    assert not overdue(inbound(came), at(due, 0) - timedelta(microseconds=1), TOKYO)
    assert overdue(inbound(came), at(due, 0), TOKYO)


def test_days_are_those_of_the_zone():
    new_york = ZoneInfo("America/New_York")
    friday_night = datetime(2026, 6, 13, 3, 0, tzinfo=UTC)  # Friday 23:00 there, Saturday noon in Tokyo
    assert week_of(friday_night, new_york) == date(2026, 6, 8)
    sunday = datetime(2026, 6, 14, 15, 30, tzinfo=UTC)  # Monday half past midnight in Tokyo
    assert (week_of(sunday, TOKYO), week_of(sunday, new_york)) == (MONDAY, date(2026, 6, 8))


def test_weeks_are_named_as_iso_does():
    assert iso_week(date(2026, 12, 28)) == "2026-W53"
    assert iso_week(date(2024, 12, 30)) == "2025-W01"
    assert mondays(date(2026, 6, 14), MONDAY) == [date(2026, 6, 8), MONDAY]


def test_a_call_that_took_place_asks_for_nothing_more():
    taken, missed = (
        inbound(MONDAY, channel="phone", outcome="reached"),
        inbound(MONDAY, channel="phone", outcome="no_answer"),
    )
    told = answering([taken, missed, inbound(MONDAY, after=60), inbound(MONDAY, after=600)], at(MONDAY, 20), TOKYO)
    assert (told.came, told.waiting, told.answered, told.median_s, told.open, told.overdue) == (4, 3, 2, 330.0, 1, 0)


def test_without_any_answer_there_is_no_median():
    told = answering([inbound(FRIDAY)], at(date(2026, 6, 16), 0), TOKYO)
    assert (told.median_s, told.open, told.overdue) == (None, 1, 1)
