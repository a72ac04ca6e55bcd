"""Coverage: one account through time, and groups."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.account import Touch
from services.scoring.coverage.rules import Coverage, GroupCoverage, contacted, coverage, group_coverage
from services.scoring.lifecycle.rules import lifecycle
from shared.tenant_settings import CoverageSettings
from tests.services.scoring.builders import TODAY, account, at, contract, moment, touch

POLICIES = CoverageSettings()
LONG_AGO = date(2020, 1, 1)


def seen(*touches: Touch, on: date = TODAY, tier: str = "high", since: date | None = LONG_AGO) -> Coverage:
    told: dict[str, Any] = {"customer_since": since} if since else {}
    known = account(touches=touches, **told)
    return coverage(known, lifecycle(known, moment(on)), POLICIES.of(tier), moment(on))


FALLING_OUT = [
    (date(2026, 1, 31), date(2026, 3, 1)),
    (date(2026, 2, 28), date(2026, 3, 28)),
    (date(2026, 3, 31), date(2026, 5, 1)),
    (date(2026, 4, 30), date(2026, 5, 30)),
    (date(2026, 12, 31), date(2027, 1, 31)),
]


@pytest.mark.parametrize(("contact", "out"), FALLING_OUT)
def test_an_account_falls_out_by_time_alone_on_the_right_day_for_good(contact: date, out: date) -> None:
    call = touch(contact, hour=23)
    day_before = out - timedelta(days=1)
    assert seen(call, on=contact).due_at == seen(call, on=out).due_at == at(out, 0)
    assert [seen(call, on=day).covered for day in (contact, day_before, out)] == [True, True, False]
    assert not any(seen(call, on=out + timedelta(days=n)).covered for n in range(40))


@pytest.mark.parametrize(("tier", "days"), [("high", 31), ("low", 61), ("tech", 182)])
def test_every_tier_has_its_own_window(tier: str, days: int) -> None:
    call = touch(TODAY - timedelta(days=days - 1))
    assert seen(call, tier=tier).covered is True
    assert seen(touch(TODAY - timedelta(days=days)), tier=tier).covered is False


COUNTING = [
    ("reached", "phone", "high", True),
    ("replied", "email", "high", True),
    ("no_answer", "phone", "high", False),
    ("bounced", "email", "high", False),
    ("cancelled", "meeting", "high", False),
    ("planned", "meeting", "high", False),
    ("note", "phone", "high", False),
    ("reached", "tech_touch", "high", False),
    ("reached", "tech_touch", "low", False),
    ("reached", "tech_touch", "tech", True),
]


@pytest.mark.parametrize(("outcome", "channel", "tier", "counts"), COUNTING)
def test_only_what_reached_the_customer_counts(outcome: str, channel: str, tier: str, counts: bool) -> None:
    found = seen(touch(TODAY, channel, outcome), tier=tier)
    assert (found.covered, found.last_contact is not None) == (counts, counts)


def test_the_last_contact_is_the_latest_that_counts_ties_by_id() -> None:
    calls = (
        touch(TODAY, "email", name="b"),
        touch(TODAY, "phone", name="a"),
        touch(TODAY, "chat", "note", 13, name="z"),
    )
    last = seen(*calls).last_contact
    assert last is not None
    assert last.id == "b"


def test_never_contacted_is_due_since_the_start() -> None:
    found = seen(since=date(2026, 6, 1))
    assert (found.eligible, found.covered, found.due_at) == (True, False, at(date(2026, 6, 1), 0))


@pytest.mark.parametrize("since", [TODAY + timedelta(days=1), None])
def test_who_has_not_started_is_not_eligible(since: date | None) -> None:
    found = seen(touch(TODAY), since=since)
    assert (found.eligible, found.covered, found.due_at) == (False, None, None)


def test_who_starts_today_is_eligible_and_who_churned_is_not() -> None:
    assert seen(since=TODAY).eligible is True
    gone = account(contracts=(contract("new", LONG_AGO, 5), contract("churn", TODAY)), touches=(touch(TODAY),))
    found = coverage(gone, lifecycle(gone, moment()), POLICIES.high, moment())
    assert (found.eligible, found.covered) == (False, None)


def test_a_contact_from_before_the_start_covers() -> None:
    assert seen(touch(TODAY - timedelta(days=3)), since=TODAY).covered is True


@pytest.mark.parametrize(
    ("start", "contact", "counts"),
    [(TODAY, TODAY, True), (TODAY, TODAY - timedelta(days=1), False), (None, LONG_AGO, True), (TODAY, None, False)],
)
def test_contacted_means_since_the_start(start: date | None, contact: date | None, counts: bool) -> None:
    assert contacted(start, contact) is counts


GROUPS = [
    ("forty of fifty", {"high": (50, 40)}, None, GroupCoverage(50, 40, 0.8, 0.8, "P1M", 0)),
    ("one fell out", {"high": (50, 39)}, None, GroupCoverage(50, 39, 0.78, 0.8, "P1M", 1)),
    ("rounded up", {"low": (11, 0)}, None, GroupCoverage(11, 0, 0.0, 0.7, "P2M", 8)),
    ("exact seven tenths", {"low": (10, 7)}, None, GroupCoverage(10, 7, 0.7, 0.7, "P2M", 0)),
    ("more than the target", {"tech": (2, 2)}, None, GroupCoverage(2, 2, 1.0, 0.5, "P6M", 0)),
    ("mixed", {"high": (1, 1), "tech": (3, 0)}, None, GroupCoverage(4, 1, 0.25, 0.575, None, 2)),
    (
        "one tier of three has people",
        {"high": (0, 0), "low": (4, 1), "tech": (0, 0)},
        None,
        GroupCoverage(4, 1, 0.25, 0.7, "P2M", 2),
    ),
    ("nobody", {}, None, GroupCoverage(0, 0, None, None, None, 0)),
    ("an empty tier", {}, "low", GroupCoverage(0, 0, None, 0.7, "P2M", 0)),
]


@pytest.mark.parametrize(("tiers", "own", "expected"), [row[1:] for row in GROUPS], ids=[row[0] for row in GROUPS])
def test_a_group_is_held_to_the_mean_of_its_tiers_targets(
    tiers: dict[str, tuple[int, int]], own: str | None, expected: GroupCoverage
) -> None:
    assert group_coverage(tiers, POLICIES, own) == expected


def test_the_shortfall_is_exact_where_doubles_are_not() -> None:
    policy = POLICIES.high.model_copy(update={"target": 0.07})
    settings = POLICIES.model_copy(update={"high": policy})
    assert 0.07 * 100 > 7
    assert group_coverage({"high": (100, 7)}, settings).shortfall == 0
