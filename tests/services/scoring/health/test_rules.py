"""Health: curves, what has data, how parts make a score, caps and bands."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.account import AccountAt, Moment, Override
from services.scoring.coverage.rules import coverage
from services.scoring.health.compiled import Part
from services.scoring.health.model import Bands, HealthModel, preset
from services.scoring.health.readings import Reading, number, readings_of, weighted_score
from services.scoring.health.rules import Health, band_of, effective_band, evaluate
from services.scoring.lifecycle.rules import lifecycle
from shared.tenant_settings import TenantSettings
from tests.services.scoring.builders import TODAY, account, at, moment, score, touch, used

DEFAULT = preset("default")
FEATURES = [
    {"feature": "report", "events": ["report_viewed", "report_sent"]},
    {"feature": "plan"},
    {"feature": "later", "released_on": (TODAY + timedelta(days=1)).isoformat()},
    {"feature": "today", "released_on": TODAY.isoformat()},
]
SETTINGS = TenantSettings.model_validate({"value_features": FEATURES})
NO_USAGE: dict[str, Any] = {"first_usage_day": None}
NO_CONTACTS: dict[str, Any] = {"first_contact_at": None}


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def read(
    it: AccountAt, now: Moment | None = None, tier: str = "high", settings: TenantSettings = SETTINGS
) -> dict[str, Reading]:
    now = now or moment()
    life, policy = lifecycle(it, now), settings.coverage.of(tier)
    return readings_of(it, life, coverage(it, life, policy, now), policy, settings, now)


def health(it: AccountAt, now: Moment | None = None, model: HealthModel = DEFAULT) -> Health:
    return evaluate(model, read(it, now))


def row(it: Health, name: str) -> dict[str, Any]:
    return next(dimension for dimension in it.dimensions if dimension["name"] == name)


CURVES = {
    "active_days_28": [(0, 0), (1, 20), (2, 30), (4, 50), (6, 60), (8, 70), (12, 85), (20, 100), (28, 100)],
    "active_days_90": [(0, 0), (3, 20), (10, 50), (20, 75), (30, 87.5), (40, 100), (90, 100)],
    "days_since_usage": [(0, 100), (7, 80), (14, 60), (21, 45), (28, 30), (44, 15), (60, 0), (400, 0)],
    "features_used_ratio_28": [(0, 0), (0.25, 40), (0.5, 70), (0.65, 85), (0.8, 100), (1, 100)],
    "active_users_per_seat_28": [(0, 0), (0.1, 15), (0.2, 30), (0.5, 65), (0.8, 100), (3, 100)],
    "contact_age_ratio": [(0, 100), (0.5, 100), (0.75, 80), (1, 60), (1.5, 30), (2, 0), (9, 0)],
    "nps_weighted": [(0, 0), (3, 15), (6, 30), (7, 55), (8, 70), (9, 90), (10, 100)],
    "active_users_ratio_28": [(0, 0), (0.5, 40), (0.75, 55), (1, 70), (5, 70)],
    "step_age_ratio": [(0, 100), (1, 100), (1.5, 50), (2, 0)],
    "renewal": [(-400, 0), (-1, 0), (0, 30), (45, 50), (90, 70), (400, 70)],
    "payment_overdue_days": [(-5, 100), (0, 100), (15, 75), (30, 50), (45, 25), (60, 0), (90, 0)],
}


def test_the_default_models_curves_are_the_domains() -> None:
    curves = {part.metric: part.curve for dimension in DEFAULT.dimensions for part in dimension.metrics}
    assert {
        name: [(x, Part(name, 1, curves[name]).points(x)) for x, _ in points] for name, points in CURVES.items()
    } == {name: [(x, pytest.approx(y, abs=1e-9)) for x, y in points] for name, points in CURVES.items()}
    assert curves.keys() == CURVES.keys()


def test_the_default_models_weights_are_the_domains() -> None:
    weights = {dimension.name: dimension.weight for dimension in DEFAULT.dimensions}
    assert weights == {
        "frequency": 35, "breadth": 15, "depth": 15, "relationship": 10,
        "sentiment": 10, "trend": 5, "journey": 5, "commercial": 5,
    }  # fmt: skip
    assert [part.share for part in DEFAULT.dimensions[0].metrics] == [0.4, 0.4, 0.2]


def test_a_full_house_scores_a_hundred_and_says_why() -> None:
    busy = used(active_days_28=20, active_days_90=40, active_users_28=8, active_users_28_before=8,
                events_used_28=frozenset({"report_sent", "plan", "today"}))  # fmt: skip
    it = account(customer_since=days_ago(400), usage=busy, seats=10, touches=(touch(TODAY),), scores=(score(10, 0),),
                 traits={"payment_overdue_days": 0})  # fmt: skip
    found = health(it)
    values = {dimension["name"]: dimension["value"] for dimension in found.dimensions}
    assert values == {
        "frequency": 100, "breadth": 100, "depth": 100, "relationship": 100,
        "sentiment": 100, "trend": 70, "journey": None, "commercial": 100,
    }  # fmt: skip
    assert found.score == pytest.approx((90 * 100 + 5 * 70) / 95, abs=1e-9)
    assert (found.band, found.confidence) == ("green", 0.95)
    assert row(found, "depth") == {
        "name": "depth",
        "value": 100.0,
        "weight": 15 / 95,
        "model_weight": 15,
        "contribution": pytest.approx(100 * 15 / 95, abs=1e-9),
        "inputs": {"active_users_per_seat_28": 0.8},
    }
    assert row(found, "journey") == {
        "name": "journey",
        "value": None,
        "weight": None,
        "model_weight": 5,
        "contribution": None,
        "inputs": {"step_age_ratio": None},
    }


def test_nothing_known_is_unknown_and_lists_every_dimension_empty() -> None:
    found = health(account(), moment(**NO_USAGE, **NO_CONTACTS), DEFAULT)
    breadth = row(found, "breadth")
    assert breadth["value"] == 0  # entitled to value features, none used: that much is known
    bare = evaluate(DEFAULT, {})
    assert (bare.score, bare.band, bare.confidence) == (None, "unknown", 0.0)
    assert [dimension["value"] for dimension in bare.dimensions] == [None] * 8


FREQUENCY = [
    ("used today", used(active_days_28=8, active_days_90=20), None, {}, (8, 20, 0), 0.4 * 70 + 0.4 * 75 + 0.2 * 100),
    ("used 30 days ago", used(days_ago(30), active_days_90=3), None, {}, (0, 3, 30), 0.4 * 20 + 0.2 * 28.125),
    ("used long ago", used(days_ago(500)), None, {}, (0, 0, 500), 0.0),
    ("never, started 28 days ago", None, 28, {}, (0, 0, None), 0.0),
    ("never, started 27 days ago", None, 27, {}, (None, None, None), None),
    ("never, no start", None, None, {}, (None, None, None), None),
    ("never, the tenant sends no usage", None, 28, NO_USAGE, (None, None, None), None),
]


@pytest.mark.parametrize(
    ("usage", "started", "known", "inputs", "value"), [it[1:] for it in FREQUENCY], ids=[it[0] for it in FREQUENCY]
)
def test_silence_is_a_value_and_never_no_data(
    usage: Any, started: int | None, known: dict[str, Any], inputs: tuple[Any, ...], value: float | None
) -> None:
    told: dict[str, Any] = {"usage": usage} if usage else {}
    if started is not None:
        told["customer_since"] = days_ago(started)
    frequency = row(health(account(**told), moment(**known)), "frequency")
    assert tuple(frequency["inputs"].values()) == inputs
    assert frequency["value"] == (None if value is None else pytest.approx(value, abs=1e-9))


TREND = [(3, 3, 1.0), (6, 3, 2.0), (0, 3, 0.0), (5, 2, None), (5, 0, None)]


@pytest.mark.parametrize(("users", "before", "ratio"), TREND)
def test_a_trend_needs_three_users_before(users: int, before: int, ratio: float | None) -> None:
    usage = used(active_users_28=users, active_users_28_before=before)
    assert read(account(usage=usage))["active_users_ratio_28"].input == ratio


@pytest.mark.parametrize(("seats", "ratio"), [(10, 0.4), (2, 2.0), (0, None), (None, None)])
def test_depth_needs_seats(seats: int | None, ratio: float | None) -> None:
    told: dict[str, Any] = {} if seats is None else {"seats": seats}
    assert read(account(usage=used(active_users_28=4), **told))["active_users_per_seat_28"].input == ratio


@pytest.mark.parametrize(
    ("features", "ratio"),
    [
        (None, 1 / 3),
        (["report"], 1.0),
        (["plan"], 0.0),
        (["report", "plan"], 0.5),
        ([], None),
        (["later"], None),
        (["unheard"], None),
    ],
)
def test_breadth_counts_entitled_and_released_value_features(features: list[str] | None, ratio: float | None) -> None:
    told: dict[str, Any] = {} if features is None else {"features": features}
    usage = used(events_used_28=frozenset({"report_viewed", "later", "page"}))
    assert read(account(usage=usage, **told))["features_used_ratio_28"].input == ratio


def test_without_value_features_breadth_has_no_data() -> None:
    assert not read(account(usage=used()), settings=TenantSettings())["features_used_ratio_28"].has_data


RELATIONSHIP = [
    ("talked today", (touch(TODAY),), 90, {}, 0.0, 100.0),
    ("half a window ago", (touch(days_ago(31)),), 90, {}, 1.0, 60.0),  # 15 May … 15 June: 31 days in the window
    ("two windows ago", (touch(days_ago(62)),), 90, {}, 2.0, 0.0),
    ("never, others were", (), 90, {}, None, 0.0),
    ("never, on the first day", (), 0, {}, None, 0.0),
    ("never, nobody was", (), 90, NO_CONTACTS, None, None),
    ("never, not started", (), -1, {}, None, None),
    ("only tried", (touch(TODAY, outcome="no_answer"),), 90, {}, None, 0.0),
]


@pytest.mark.parametrize(
    ("touches", "started", "known", "ratio", "value"),
    [it[1:] for it in RELATIONSHIP],
    ids=[it[0] for it in RELATIONSHIP],
)
def test_relationship_is_the_age_of_the_last_contact_in_windows(
    touches: Any, started: int, known: dict[str, Any], ratio: float | None, value: float | None
) -> None:
    it = account(customer_since=days_ago(started), touches=touches)
    found = row(health(it, moment(**known)), "relationship")
    assert (found["inputs"]["contact_age_ratio"], found["value"]) == (ratio, value)


SENTIMENT = [
    ([(9, 0)], 9.0),
    ([(9, 179)], 9.0),
    ([(9, 180)], None),
    ([(10, 0), (4, 90)], (10 + 2) / 1.5),
    ([(10, 0), (0, 180)], 10.0),
    ([], None),
]


@pytest.mark.parametrize(("told", "mean"), SENTIMENT)
def test_the_voice_of_each_person_fades_over_180_days(told: list[tuple[int, int]], mean: float | None) -> None:
    scores = [score(value, age) for value, age in told]
    assert weighted_score(scores, TODAY) == (None if mean is None else pytest.approx(mean, abs=1e-12))
    assert weighted_score(scores, TODAY) == weighted_score(scores[::-1], TODAY)


COMMERCIAL = [
    ({"renewal_on": TODAY + timedelta(days=90)}, 70.0),
    ({"renewal_on": TODAY}, 30.0),
    ({"renewal_on": days_ago(1)}, 0.0),
    ({"traits": {"payment_overdue_days": 30}}, 50.0),
    ({"traits": {"payment_overdue_days": "30"}}, 50.0),
    ({"traits": {"payment_overdue_days": "much"}}, None),
    ({"traits": {"payment_overdue_days": True}}, None),
    ({"renewal_on": TODAY + timedelta(days=90), "traits": {"payment_overdue_days": 45}}, 25.0),
    ({"renewal_on": TODAY, "traits": {"payment_overdue_days": 0}}, 30.0),
    ({"traits": {"size": 3}}, None),
]


@pytest.mark.parametrize(("told", "value"), COMMERCIAL)
def test_commercial_is_the_worse_of_renewal_and_payment(told: dict[str, Any], value: float | None) -> None:
    assert row(health(account(**told)), "commercial")["value"] == value


CAPS = [
    ("27 days without usage", used(days_ago(27), active_days_28=20, active_days_90=40), {}, None),
    ("28 days", used(days_ago(28), active_days_90=40), {}, 69),
    ("59 days", used(days_ago(59), active_days_90=40), {}, 69),
    ("60 days", used(days_ago(60), active_days_90=40), {}, 39),
    ("never, started 28 days ago", None, {"customer_since": days_ago(28)}, 69),
    ("never, started 60 days ago", None, {"customer_since": days_ago(60)}, 39),
    ("never, started 27 days ago", None, {"customer_since": days_ago(27)}, None),
]
LOVED: dict[str, Any] = {"touches": (touch(TODAY),), "scores": (score(10, 0),), "traits": {"payment_overdue_days": 0}}


@pytest.mark.parametrize(("usage", "told", "cap"), [it[1:] for it in CAPS], ids=[it[0] for it in CAPS])
def test_silence_caps_the_score_and_the_cap_is_a_row(usage: Any, told: dict[str, Any], cap: float | None) -> None:
    model = DEFAULT.model_copy(update={"dimensions": DEFAULT.dimensions[3:]})  # without usage: 100 but for the cap
    it = account(**LOVED, **told, **({"usage": usage} if usage else {}))
    found = evaluate(model, read(it, settings=TenantSettings()))
    assert found.score == (cap or 100)
    rows = [dimension["contribution"] for dimension in found.dimensions if dimension["name"] == "cap"]
    assert rows == ([cap - 100] if cap else [])


def test_a_tenant_without_usage_facts_caps_nobody() -> None:
    it = account(**LOVED, customer_since=days_ago(400))
    assert evaluate(DEFAULT, read(it, moment(**NO_USAGE), settings=TenantSettings())).score == 100


def test_a_cap_above_the_score_does_not_show() -> None:
    found = health(account(usage=used(days_ago(70))))
    assert found.score == 0
    assert "cap" not in [dimension["name"] for dimension in found.dimensions]


metrics = st.fixed_dictionaries(
    {name: st.none() | st.floats(-10, 500, allow_nan=False) for name in CURVES},
)


@given(metrics, st.sampled_from(["default", "monthly_rhythm"]))
def test_contributions_sum_to_the_score_and_weights_to_one(inputs: dict[str, float | None], name: str) -> None:
    found = evaluate(preset(name), {metric: Reading(value) for metric, value in inputs.items()})
    told = [dimension["contribution"] for dimension in found.dimensions if dimension["contribution"] is not None]
    weights = [dimension["weight"] for dimension in found.dimensions if dimension.get("weight") is not None]
    assert len([dimension for dimension in found.dimensions if dimension["name"] != "cap"]) == 8
    if found.score is None:
        assert (told, weights, found.confidence) == ([], [], 0.0)
    else:
        assert sum(told) == pytest.approx(found.score, abs=1e-9)
        assert sum(weights) == pytest.approx(1, abs=1e-12)
        assert -1e-9 <= found.score <= 100 + 1e-9


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (100, "green"),
        (70, "green"),
        (69.999999, "yellow"),
        (40, "yellow"),
        (39.999, "red"),
        (0, "red"),
        (None, "unknown"),
    ],
)
def test_bands_begin_at_their_threshold(value: float | None, band: str) -> None:
    assert band_of(value, Bands()) == band


def test_an_override_shows_beside_the_computed_band_until_it_expires() -> None:
    now = moment()
    manual = Override("red", "sponsor left", "mori", now.at + timedelta(microseconds=1))
    assert effective_band("green", manual, now) == "red"
    over = Override("red", "sponsor left", "mori", now.at)
    assert effective_band("green", over, now) == effective_band("green", None, now) == "green"


def test_a_product_used_once_a_month_is_green_in_the_monthly_rhythm() -> None:
    monthly = used(days_ago(25), active_days_28=1, active_days_90=3)
    it = account(usage=monthly, **LOVED)
    assert row(health(it), "frequency")["value"] < 40
    assert row(health(it, model=preset("monthly_rhythm")), "frequency")["value"] > 75


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        (3, 3),
        (2.5, 2.5),
        ("3", 3),
        ("-2.5", -2.5),
        ("3 days", None),
        (True, None),
        (None, None),
        ([], None),
        (float("nan"), None),
        (10**400, None),
        ("inf", None),
    ],
)
def test_a_trait_is_a_number_only_when_it_plainly_is(value: object, read_as: float | None) -> None:
    assert number(value) == read_as


def test_days_are_those_of_the_tenants_zone() -> None:
    late = touch(TODAY, hour=23)  # 14:00 UTC of the same day; half past midnight UTC would be the day after
    just_after = datetime.fromisoformat("2026-06-14T15:30:00+00:00")
    it = account(customer_since=days_ago(90), touches=(late.__class__(just_after, "x", "phone", "reached"),))
    assert read(it)["contact_age_ratio"].input == 0.0
    assert at(TODAY, 0) <= just_after
