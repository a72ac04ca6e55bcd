"""Rows of the sample become facts of the public contract."""

from datetime import UTC, datetime

import pytest

from services.demo import rows
from services.demo.shift import CUT, WEEK, Shift

SHIFT = Shift(1, CUT + WEEK)
BEFORE = str(int(datetime(2016, 3, 1, 12, tzinfo=UTC).timestamp()))
AFTER = str(int(datetime(2016, 3, 7, 0, 0, 1, tzinfo=UTC).timestamp()))
BOOK = {
    "account_id": "acme.jp", "name": "アクメ", "industry": "software", "acv_jpy": "1200000", "potential_acv_jpy": "",
    "seats": "10", "customer_since": "2015-01-31", "csm_id": "sato", "renewal_on": "2016-05-01", "churned_on": "",
}  # fmt: skip


def event(**other):
    return {"event_id": "e1", "account": "acme.jp", "user_id": "u1", "event": "commit:doc", "ts": BEFORE} | other


def touchpoint(**other):
    return {
        "touchpoint_id": "t1", "account": "acme.jp", "from_user": "u1", "to_account": "bolt.com", "to_user": "u2",
        "ts": BEFORE, "kind": "co_author",
    } | other  # fmt: skip


def test_an_event_is_usage_of_its_own_id_a_week_later():
    assert rows.usage(event(), SHIFT) == {
        "type": "usage", "id": "e1", "at": "2016-03-08T12:00:00Z", "account_id": "acme.jp", "person_id": "u1",
        "event": "commit:doc",
    }  # fmt: skip


def test_an_event_after_now_is_not_sent():
    assert rows.usage(event(ts=AFTER), SHIFT) is None


@pytest.mark.parametrize(
    ("row", "whom"),
    [
        (touchpoint(), ("bolt.com", "u2")),
        (touchpoint(to_account="individual"), ("acme.jp", "u1")),
        (touchpoint(account="individual"), ("bolt.com", "u2")),
        (touchpoint(account="individual", to_account="individual"), None),
    ],
)
def test_a_touchpoint_speaks_of_the_company_it_went_to_else_of_the_one_it_came_from(row, whom):
    assert rows.touched(row) == whom


def test_a_touchpoint_is_a_meeting_that_reached_its_account_held_by_the_owner():
    assert rows.contact(touchpoint(), SHIFT, {"bolt.com": "sato"}) == {
        "type": "contact", "id": "t1", "at": "2016-03-08T12:00:00Z", "account_id": "bolt.com", "channel": "meeting",
        "outcome": "reached", "person_ids": ["u2"], "csm_id": "sato",
    }  # fmt: skip


def test_a_touchpoint_of_an_account_without_owner_names_no_csm():
    assert "csm_id" not in (rows.contact(touchpoint(), SHIFT, {"bolt.com": ""}) or {"csm_id": "none sent"})


def test_an_account_starts_in_onboarding_with_its_figures_and_is_active_ninety_days_later():
    start, active = rows.account(BOOK, SHIFT)
    assert start == {
        "type": "account", "id": "book-acme.jp-start", "at": "2015-02-07T00:00:00+09:00", "account_id": "acme.jp",
        "name": "アクメ", "industry": "software", "customer_since": "2015-02-07", "status": "onboarding",
        "acv": "1200000", "currency": "JPY", "csm_id": "sato", "seats": 10, "renewal_on": "2016-05-08",
    }  # fmt: skip
    assert active == {
        "type": "account", "id": "book-acme.jp-active", "at": "2015-05-08T00:00:00+09:00", "account_id": "acme.jp",
        "status": "active",
    }  # fmt: skip


def test_an_account_that_ended_is_churned_that_day_and_never_active_after_it():
    told = [fact["status"] for fact in rows.account(BOOK | {"churned_on": "2015-03-01"}, SHIFT)]
    assert told == ["onboarding", "churned"]


def test_an_account_that_starts_after_now_is_not_told():
    assert list(rows.account(BOOK | {"customer_since": "2016-03-08"}, SHIFT)) == []


def test_an_account_started_lately_is_still_in_onboarding():
    assert [fact["status"] for fact in rows.account(BOOK | {"customer_since": "2016-01-10"}, SHIFT)] == ["onboarding"]
