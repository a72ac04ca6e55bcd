"""Needs action: what fires, with its figures, since when, and in words."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.account import Touch, UsageAt
from services.scoring.coverage.rules import coverage
from services.scoring.lifecycle.rules import lifecycle
from services.scoring.matrix.actions import (
    RULES_OFF,
    RULES_ON,
    Fired,
    Situation,
    main_rule,
    needs_action,
    reason,
    reason_ja,
    with_drop,
)
from shared.tenant_settings import CoverageSettings
from tests.services.scoring.builders import TODAY, TOKYO, account, at, moment, touch, used

POLICY = CoverageSettings().high


def situation(
    score: float | None = 80,
    usage: UsageAt | None = None,
    touches: tuple[Touch, ...] = (touch(TODAY),),
    started: int = 400,
) -> Situation:
    start = TODAY - timedelta(days=started)
    it = account(customer_since=start, touches=touches)
    cover = coverage(it, lifecycle(it, moment()), POLICY, moment())
    return Situation(TODAY, TOKYO, start, score, 40, usage or UsageAt(), cover, POLICY.window.days(TODAY))


def fired(**told: Any) -> list[tuple[str, float | None, float]]:
    return [(it.rule, it.value, it.threshold) for it in needs_action(situation(**told))]


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_all_is_well() -> None:
    assert fired() == []


@pytest.mark.parametrize(("score", "fires"), [(39.9999, True), (40, False), (None, False), (0, True)])
def test_red_is_below_forty(score: float | None, fires: bool) -> None:
    assert fired(score=score) == ([("red", score, 40)] if fires else [])


SILENT = [(14, 4, True), (13, 4, False), (14, 3, False), (41, 28, True)]


@pytest.mark.parametrize(("days", "before", "fires"), SILENT)
def test_silent_is_fourteen_days_after_steady_use(days: int, before: int, fires: bool) -> None:
    usage = used(days_ago(days), active_days_silent=before)
    assert fired(usage=usage) == ([("silent", days, 14)] if fires else [])


@pytest.mark.parametrize(
    ("now", "before", "fires"), [(1, 3, True), (2, 3, False), (2, 4, True), (3, 4, False), (0, 2, False), (0, 3, True)]
)
def test_a_usage_drop_is_to_half_or_less_of_at_least_three(now: int, before: int, fires: bool) -> None:
    usage = used(active_users_28=now, active_users_28_before=before)
    assert fired(usage=usage) == ([("usage_drop", now, before / 2)] if fires else [])


def test_uncovered_tells_the_days_and_the_window() -> None:
    assert fired(touches=(touch(days_ago(31)),)) == [("uncovered", 31, 31)]
    assert fired(touches=(), started=3) == [("uncovered", None, 31)]


@pytest.mark.parametrize(("days", "left"), [(30, 1), (24, 7), (23, None)])
def test_due_is_covered_for_at_most_seven_days_more(days: int, left: int | None) -> None:
    assert fired(touches=(touch(days_ago(days)),)) == ([("due", left, 7)] if left else [])


@pytest.mark.parametrize(("started", "fires"), [(28, True), (27, False)])
def test_never_contacted_has_four_weeks_of_grace(started: int, fires: bool) -> None:
    found = fired(touches=(touch(TODAY, outcome="no_answer"),), started=started)
    assert found == [("uncovered", None, 31), *([("never_contacted", started, 28)] if fires else [])]


def test_what_has_not_started_is_not_missed() -> None:
    assert fired(touches=(), started=-1) == []


@pytest.mark.parametrize(
    ("score", "before", "points"),
    [(50, 65, 15), (50, 64.999, None), (50, None, None), (None, 65, None), (65, 50, None)],
)
def test_a_drop_is_fifteen_points_in_28_days(score: float | None, before: float | None, points: float | None) -> None:
    expected = (Fired("drop", points, 15),) if points else ()
    assert with_drop((), score, before) == expected
    assert with_drop(with_drop((), score, before), score, before) == expected


def test_rules_are_listed_in_their_order_and_those_of_missing_systems_are_named() -> None:
    usage = used(days_ago(20), active_days_silent=9, active_users_28=0, active_users_28_before=3)
    found = with_drop(needs_action(situation(score=10, usage=usage, touches=())), 10, 90)
    assert [it.rule for it in found] == [rule for rule in RULES_ON if rule != "due"]
    assert RULES_OFF == ("detractor", "renewal_unplanned", "plan_overdue")


def test_since_when_by_time_alone() -> None:
    usage = used(days_ago(20), active_days_silent=9)
    since = {it.rule: it.since for it in needs_action(situation(score=10, usage=usage, touches=(), started=60))}
    assert since == {
        "red": None,
        "silent": at(days_ago(6), 0),
        "uncovered": at(days_ago(60), 0),
        "never_contacted": at(days_ago(32), 0),
    }
    (due,) = needs_action(situation(touches=(touch(days_ago(26)),)))
    assert due.since == at(days_ago(2), 0)
    assert due.as_json() == {"rule": "due", "value": 5, "threshold": 7, "since": "2026-06-12T15:00:00Z"}


WORDS = [
    (Fired("red", 31.96, 40), "health 32, below 40", "ヘルススコア32(40未満)"),
    (Fired("drop", 18.25, 15), "health fell 18.2 points in 28 days", "ヘルススコアが28日で18.2ポイント低下"),
    (Fired("silent", 16, 14), "no usage for 16 days after steady use", "継続利用の後、16日間利用なし"),
    (Fired("usage_drop", 2, 3.5), "active users in 28 days down to 2 from 7", "28日間の利用者が7人から2人に減少"),
    (Fired("uncovered", 45, 31), "last contact 45 days ago, window 31 days", "最終接点から45日(期間31日)"),
    (Fired("uncovered", None, 31), "never contacted", "接点なし"),
    (Fired("due", 3, 7), "contact runs out in 3 days", "あと3日で接点の期限"),
    (Fired("never_contacted", 40, 28), "never contacted, 40 days after the start", "開始から40日、接点なし"),
]


@pytest.mark.parametrize(("it", "english", "japanese"), WORDS)
def test_every_rule_says_why_with_its_figure(it: Fired, english: str, japanese: str) -> None:
    assert (reason(it), reason_ja(it)) == (english, japanese)


def test_the_most_telling_rule_is_the_one_that_is_said() -> None:
    found = (Fired("uncovered", None, 31), Fired("never_contacted", 40, 28))
    assert main_rule(found) == found[1]
    assert main_rule((*found, Fired("drop", 20, 15), Fired("red", 1, 40))) == Fired("red", 1, 40)
    assert main_rule(()) is None
