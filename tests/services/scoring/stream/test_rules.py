"""What is worth telling: the table of moves."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from services.scoring.stream.rules import (
    Health,
    coverage_event,
    coverage_moved,
    health_event,
    health_moved,
    health_of,
    may_tell,
)

AT = datetime(2026, 6, 15, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=9)))


def row(score: float | None = 50.0, band: str = "yellow", covered: bool | None = True, **more: Any) -> dict[str, Any]:
    told = {"score": score, "band": band, "effective_band": band, "covered": covered, "account_id": "a", "csm_id": "c"}
    return told | more


def health(score: float | None, band: str = "yellow", effective: str | None = None) -> Health:
    return Health(score, band, effective or band)


@pytest.mark.parametrize(
    ("told", "now", "moved"),
    [
        (None, health(50.0), True),
        (None, health(None, "unknown"), True),
        (health(50.0), health(50.0), False),
        (health(50.0), health(50.999), False),
        (health(50.0), health(51.0), True),
        (health(50.0), health(49.0), True),
        (health(50.0), health(49.001), False),
        (health(40.1), health(39.9, "red"), True),
        (health(50.0), health(50.0, "yellow", "green"), True),
        (health(50.0), health(None, "unknown"), True),
        (health(None, "unknown"), health(50.0), True),
        (health(None, "unknown"), health(None, "unknown"), False),
        (health(0.0, "red"), health(None, "red"), True),
    ],
)
def test_health_is_told_when_a_band_changes_or_the_score_is_a_point_away(
    told: Health | None, now: Health, moved: bool
) -> None:
    assert health_moved(told, now) is moved


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (None, None, False),
        (None, False, True),
        (None, True, True),
        (True, True, False),
        (True, False, True),
        (False, True, True),
        (False, None, True),
    ],
)
def test_coverage_is_told_when_it_becomes_another(before: bool | None, after: bool | None, moved: bool) -> None:
    assert coverage_moved(row(covered=before), row(covered=after)) is moved


def test_an_account_seen_first_tells_its_coverage_only_if_it_is_eligible() -> None:
    assert [coverage_moved(None, row(covered=covered)) for covered in (None, True, False)] == [False, True, True]


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [
        (None, row(), True),
        (row(), row(), False),
        (row(), row(csm_id="other", name="new"), False),
        (row(), row(50.1), True),
        (row(), row(covered=False), True),
        (row(), row(effective_band="red"), True),
    ],
)
def test_most_assessments_have_nothing_to_tell(before: Any, after: Any, may: bool) -> None:
    assert may_tell(before, after) is may


def test_an_event_says_what_was_told_before_and_when_in_utc() -> None:
    assert health_event(Health(61.5, "yellow", "yellow"), row(38.0, "red"), AT) == (
        "health",
        "c",
        {
            "account_id": "a", "score": 38.0, "band": "red", "effective_band": "red", "was_score": 61.5,
            "was_band": "yellow", "was_effective_band": "yellow", "at": "2026-06-15T03:00:00.250000Z",
        },
    )  # fmt: skip
    first = health_event(None, row(), AT).body
    assert [first[name] for name in ("was_score", "was_band", "was_effective_band")] == [None, None, None]
    assert coverage_event(row(covered=None), AT).body == {
        "account_id": "a",
        "covered": None,
        "at": "2026-06-15T03:00:00.250000Z",
    }
    assert health_of(row()) == Health(50.0, "yellow", "yellow")
