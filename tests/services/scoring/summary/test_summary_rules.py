"""One sentence to begin a call with: the first that holds, with its figure, and not the reason again."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.summary.rules import Talk, talking_point
from tests.services.scoring.builders import TODAY

QUIET: dict[str, float | None] = {"active_days_28": 12}


def talk(renewal_on: date | None = None, users: int = 6, said: str | None = None, **metrics: Any) -> Talk:
    return Talk(TODAY, renewal_on, users, {**QUIET, **metrics}, contacted_ever=True, said=said)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (talk(), "Used on 12 of the last 28 days."),
        (talk(active_days_28=0), None),
        (talk(TODAY + timedelta(days=90)), "Renewal on 2026-09-13, in 90 days."),
        (talk(TODAY + timedelta(days=91)), "Used on 12 of the last 28 days."),
        (talk(TODAY - timedelta(days=1)), "The renewal date 2026-06-14 passed 1 day ago."),
        (talk(TODAY, payment_overdue_days=12), "Payment is 12 days overdue."),
        (talk(active_users_ratio_28=0.5), "6 users active in 28 days, 50 % fewer than in the 28 before."),
        (talk(active_users_ratio_28=0.5, said="usage_drop"), "Used on 12 of the last 28 days."),
        (talk(active_users_ratio_28=1.5), "6 users active in 28 days, 50 % more than in the 28 before."),
        (talk(active_users_per_seat_28=0.3), "6 of 20 seats used in 28 days."),
        (talk(users=0, active_users_per_seat_28=0.0), "None of the seats was used in 28 days."),
        (talk(days_since_usage=20), "Last used 20 days ago."),
        (talk(days_since_usage=20, said="silent"), "Used on 12 of the last 28 days."),
        (talk(features_used_ratio_28=0.25), "25 % of the value features used in 28 days."),
        (talk(nps_weighted=6.25), "Recent survey scores average 6.2 of 10."),
        (Talk(TODAY, None, 0, {}, contacted_ever=False), "No contact so far (0)."),
        (Talk(TODAY, None, 0, {}, contacted_ever=False, said="never_contacted"), None),
    ],
)
def test_the_first_point_that_holds_is_said(given: Talk, words: str | None):
    assert talking_point(given) == words
