"""The agenda from a picture: which points there are, with which figures, in which words."""

from datetime import date, timedelta

import pytest

from services.scoring.matrix.actions import Fired
from services.scoring.talking import words
from services.scoring.talking.rules import Change, Comment, FeatureUse, Picture, Since, agenda, feature_moves
from shared.tenant_settings import ValueFeature
from tests.services.scoring.builders import TODAY, at


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def feature(name: str, released_on: date | None = None, *events: str) -> ValueFeature:
    return ValueFeature.model_validate({"feature": name, "events": events or [name], "released_on": released_on})


def kinds(seen: Picture) -> list[str]:
    return [point.kind for point in agenda(seen)]


def test_without_data_only_usage_and_contact_are_spoken_of():
    points = agenda(Picture(TODAY, 0, 0))
    assert [(point.kind, point.words.en) for point in points] == [
        ("usage", "Nobody was active in the last 56 days."),
        ("since_last_contact", "No contact so far (0)."),
    ]


@pytest.mark.parametrize(
    ("users", "before", "direction", "en", "ja"),
    [
        (6, 3, "up", "6 users active in 28 days, 100 % more than in the 28 before.", "100%増えました"),
        (1, 4, "down", "1 user active in 28 days, 75 % fewer than in the 28 before.", "75%減りました"),
        (2, 2, "same", "2 users active in 28 days, as many as in the 28 before.", "同じです"),
        (2, 0, "up", "2 users active in 28 days, none in the 28 before.", "0人でした"),
    ],
)
def test_usage_goes_up_or_down_with_its_figures(users: int, before: int, direction: str, en: str, ja: str):
    [point, _] = agenda(Picture(TODAY, users, before))
    assert point.figures == {"active_users_28": users, "active_users_28_before": before, "direction": direction}
    assert point.words.en == en
    assert ja in point.words.ja


def test_the_features_that_moved_most_are_named_both_ways():
    used = [FeatureUse(name, now, 1, before) for name, now, before in (
        ("a", 9, 0), ("b", 5, 1), ("c", 2, 1), ("d", 3, 2), ("e", 0, 8), ("f", 4, 4),
    )]  # fmt: skip
    up, down = feature_moves(used)
    assert ([one.feature for one in up], [one.feature for one in down]) == (["a", "b", "c"], ["e"])
    point = agenda(Picture(TODAY, 1, 1, used))[1]
    assert point.words.en == "More: a (0 → 9), b (1 → 5), c (1 → 2). Less: e (8 → 0)."
    assert point.words.ja == "増えた機能: a (0 → 9)、b (1 → 5)、c (1 → 2)。減った機能: e (8 → 0)。"
    assert kinds(Picture(TODAY, 1, 1, used[5:])) == ["usage", "since_last_contact"]


def test_a_value_feature_is_unused_until_any_of_its_events_was_ever_used():
    mine = [feature("report", None, "report_viewed", "report_made"), feature("map"), feature("new", ago(89))]
    seen = Picture(TODAY, 1, 1, entitled=mine, ever=frozenset(("report_made",)))
    found = {point.kind: point for point in agenda(seen)}
    assert found["never_used"].figures == {"count": 2, "features": ["map", "new"]}
    assert found["never_used"].words.en == "2 value features never used: map, new."
    assert found["new_unused"].figures == {"count": 1, "features": [{"feature": "new", "released_on": ago(89)}]}
    older = Picture(TODAY, 1, 1, entitled=[feature("new", ago(90))])
    assert "new_unused" not in kinds(older)


def test_seats_nobody_uses_are_counted_and_never_below_none():
    assert agenda(Picture(TODAY, 6, 6, seats=20))[1].figures == {"seats": 20, "active_users_28": 6, "unused": 14}
    assert agenda(Picture(TODAY, 6, 6, seats=4))[1].figures["unused"] == 0
    assert kinds(Picture(TODAY, 6, 6, seats=0)) == ["usage", "since_last_contact"]


def test_the_rest_of_the_agenda_stands_in_its_order():
    seen = Picture(
        TODAY, 1, 1, seats=3, comment=Comment(4, "slow", at(ago(9)), ago(9), "s", "ana"), renewal_on=ago(1),
        alerts=[Fired("red", 20.0, 40), Fired("uncovered", None, 30)],
        since=Since(at(ago(5)), ago(5), "phone", [Change("score", 50.04, 39.0), Change("csm_id", None, "ken")], 2, 1),
    )  # fmt: skip
    points = agenda(seen)
    assert [point.kind for point in points] == [
        "usage", "seats", "nps_comment", "renewal", "alert", "alert", "since_last_contact",
    ]  # fmt: skip
    assert [point.words.en for point in points[2:6]] == [
        "Survey comment of 2026-06-06 (score 4): “slow”",
        "The renewal date 2026-06-14 passed 1 day ago.",
        "Health 20, below 40.",
        "Never contacted.",
    ]
    assert points[6].words.en == (
        "Since the contact of 2026-06-10 (5 days ago): health 50 → 39; CSM – → ken; "
        "survey answers: 2; contract changes: 1."
    )
    assert points[6].words.ja == (
        "前回の接点（2026年6月10日、5日前）から: ヘルススコアが50から39に、担当が–からkenに、"
        "アンケート回答2件、契約の変更1件。"
    )
    assert points[3].figures == {"renewal_on": ago(1), "days_left": -1}


def test_nothing_changed_is_said_too():
    point = agenda(Picture(TODAY, 1, 1, since=Since(at(TODAY), TODAY, "chat", [], 0, 0)))[-1]
    assert point.words.en == "Since the contact of 2026-06-15 (0 days ago): no change."
    assert point.words.ja.endswith("変化はありません。")


def test_renewals_are_said_in_both_languages():
    assert words.renewal(ago(-7), TODAY).ja == "契約の更新日は2026年6月22日、あと7日です。"
    assert words.renewal(ago(2), TODAY).ja == "契約の更新日（2026年6月13日）を2日過ぎています。"
