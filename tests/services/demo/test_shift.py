"""The sample becomes now: whole weeks, the liveliest weeks before the cut, nothing after now."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.demo.sample import EVENTS, FOLDER, load, read
from services.demo.shift import CUT, WEEK, Shift, liveliest_week, weeks_to


@pytest.mark.parametrize(
    ("now", "weeks"),
    [
        (CUT, 0),
        (CUT + timedelta(days=3, hours=11), 0),
        (CUT + timedelta(days=3, hours=12), 1),
        (CUT + 500 * WEEK, 500),
        (datetime(2026, 3, 7, 9, 30, tzinfo=UTC), 522),
    ],
)
def test_the_offset_is_the_whole_number_of_weeks_that_brings_the_cut_nearest_to_now(now, weeks):
    assert weeks_to(now) == weeks
    assert abs(now - weeks * WEEK - CUT) <= WEEK / 2


def test_the_cut_closes_the_weeks_in_which_most_accounts_of_the_sample_were_active():
    seen = [(datetime.fromtimestamp(int(row["ts"]), UTC).date(), row["account"]) for row in read(FOLDER / EVENTS)]
    assert liveliest_week(seen) == CUT.date()


def test_liveliest_counts_the_days_before_a_monday_not_the_monday_itself():
    monday = date(2024, 1, 8)
    assert liveliest_week([(monday, "a"), (monday - timedelta(days=1), "b")]) == monday + timedelta(weeks=1)


def test_a_moved_day_keeps_its_weekday_and_a_moved_instant_its_time_of_day():
    shift = Shift(3, CUT + 3 * WEEK)
    assert shift.day("2016-02-29") == date(2016, 3, 21)
    assert shift.instant(0) == datetime(1970, 1, 22, tzinfo=UTC)
    assert shift.moment("2016-03-06T23:00:00Z") == datetime(2016, 3, 27, 23, tzinfo=UTC)


def test_nothing_is_sent_that_lies_after_now_and_every_row_is_sent_dropped_or_skipped():
    now = datetime(2026, 3, 7, 9, 30, tzinfo=UTC)
    what = load(Shift(weeks_to(now), now))
    instants = [datetime.fromisoformat(line["at"]) for lines in what.stages.values() for line in lines]
    assert max(instants) <= now
    assert now - max(instants) < timedelta(days=1)
    counted = sum(len(what.stages[name]) for name in ("usage", "contacts", "responses"))
    assert counted + what.dropped + what.skipped == 40_544 + 497 + 102
    assert what.skipped == 7


def test_two_loads_of_one_shift_send_the_same_lines_in_the_same_order():
    shift = Shift(500, CUT + 500 * WEEK)
    assert load(shift) == load(shift)
