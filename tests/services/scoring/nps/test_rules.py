"""NPS: whose answer counts, and the figure."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.nps.rules import (
    Nps,
    Response,
    answers,
    category,
    figure,
    in_period,
    of_counts,
    per_person,
    per_person_and_account,
    per_person_and_survey,
    response_rate,
)

TOKYO = ZoneInfo("Asia/Tokyo")
NOON = datetime(2026, 6, 1, 3, tzinfo=UTC)


def said(
    name: str,
    score: int | None,
    day: int = 0,
    person: str | None = "p",
    account: str = "a",
    survey: str = "s",
    edit: str = "1",
) -> Response:
    return Response(name, f"{name}-{edit}", survey, NOON + timedelta(days=day), score, account, person)


def ids(responses: list[Response]) -> list[str]:
    return sorted(response.id for response in responses)


@pytest.mark.parametrize(
    ("score", "name"),
    [
        (0, "detractor"),
        (6, "detractor"),
        (7, "passive"),
        (8, "passive"),
        (9, "promoter"),
        (10, "promoter"),
        (None, None),
    ],
)
def test_categories(score: int | None, name: str | None) -> None:
    assert category(score) == name


FIGURES = [
    ([10] * 7 + [8] * 2 + [3], 60.0),
    ([10], 100.0),
    ([0], -100.0),
    ([7, 8], 0.0),
    ([9, 6], 0.0),
    ([9, 7, 7], 100 / 3),
]


@pytest.mark.parametrize(("scores", "value"), FIGURES)
def test_nps_is_promoters_less_detractors(scores: list[int], value: float) -> None:
    assert figure(scores).nps == value


def test_the_interval_is_the_adjusted_wald_one() -> None:
    found = of_counts(7, 2, 1)  # n' = 13, p' = 7.75/13, d' = 1.75/13
    assert found.interval == pytest.approx((7.039408347067, 85.268283960626), abs=1e-9)


def test_the_interval_is_cut_at_a_hundred() -> None:
    assert of_counts(200, 0, 0).interval == (pytest.approx(96.484148043504, abs=1e-9), 100.0)
    assert of_counts(0, 0, 200).interval == (-100.0, pytest.approx(-96.484148043504, abs=1e-9))


def test_no_responses_have_no_figure() -> None:
    assert figure([]) == Nps(0, 0, 0, 0, None, None)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=80))
def test_the_figure_lies_in_its_interval_mirrored_by_the_mirrored_answers(scores: list[int]) -> None:
    found = figure(scores)
    assert found.nps is not None
    assert found.interval is not None
    assert -100 <= found.interval[0] <= found.interval[1] <= 100
    mirrored = of_counts(found.detractors, found.passives, found.promoters)
    assert mirrored.interval == pytest.approx((-found.interval[1], -found.interval[0]), abs=1e-9)


def test_the_latest_edit_counts_and_an_edit_after_t_does_not_yet() -> None:
    versions = [said("r", 3, day=0), said("r", 9, day=5, edit="2"), said("r", 1, day=9, edit="3")]
    assert [answer.score for answer in answers(versions, NOON + timedelta(days=6))] == [9]
    assert [answer.score for answer in answers(versions[::-1], NOON + timedelta(days=9))] == [1]


def test_edits_at_one_instant_are_decided_by_id() -> None:
    versions = [said("r", 9, edit="2"), said("r", 3, edit="1")]
    assert ids(answers(versions, NOON)) == ids(answers(versions[::-1], NOON)) == ["r-2"]


def test_an_answer_edited_after_the_period_left_it() -> None:
    versions = [said("r", 3), said("r", 9, day=5, edit="2")]
    now = NOON + timedelta(days=30)
    assert in_period(answers(versions, now), date(2026, 6, 1), date(2026, 6, 5), TOKYO) == []
    assert ids(in_period(answers(versions, now), date(2026, 6, 6), date(2026, 6, 6), TOKYO)) == ["r-2"]


def test_the_days_of_a_period_are_the_tenants_and_both_ends_belong() -> None:
    first = Response("r", "r", "s", datetime(2026, 5, 31, 15, tzinfo=UTC), 9)  # 00:00 of 1 June in Tokyo
    last = Response("q", "q", "s", datetime(2026, 6, 1, 14, 59, 59, 999999, tzinfo=UTC), 9)
    late = Response("t", "t", "s", datetime(2026, 6, 1, 15, tzinfo=UTC), 9)
    assert ids(in_period([first, last, late], date(2026, 6, 1), date(2026, 6, 1), TOKYO)) == ["q", "r"]


def test_a_comment_without_score_is_never_counted_nor_hides_an_older_score() -> None:
    answered = in_period([said("old", 9), said("new", None, day=1)], date(2026, 1, 1), date(2026, 12, 31), TOKYO)
    assert ids(per_person(answered)) == ["old-1"]


def test_a_person_counts_once_but_once_in_each_account_and_each_survey() -> None:
    told = [said("1", 9), said("2", 3, day=1, account="b"), said("3", 8, day=2, survey="t")]
    assert ids(per_person(told)) == ["3-1"]
    assert ids(per_person_and_account(told)) == ["2-1", "3-1"]
    assert ids(per_person_and_survey(told)) == ["2-1", "3-1"]


def test_answers_without_person_are_persons_of_their_own() -> None:
    told = [said("1", 9, person=None), said("2", 3, person=None), said("3", 3, person="1")]
    assert ids(per_person(told)) == ["1-1", "2-1", "3-1"]


def test_equal_times_of_one_person_are_decided_by_id() -> None:
    told = [said("b", 9), said("a", 3)]
    assert ids(per_person(told)) == ids(per_person(told[::-1])) == ["b-1"]


def test_a_rate_of_nothing_sent_is_null() -> None:
    assert (response_rate(0, 0), response_rate(4, 1)) == (None, 0.25)
