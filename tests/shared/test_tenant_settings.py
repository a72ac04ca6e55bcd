"""The settings document: its defaults, what it refuses, its windows and its money."""

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.money import MoneyError, convert, minor_digits, to_decimal_text, to_minor
from shared.tenant_settings import TenantSettings, problems, replace_sections
from shared.window import Window

CHANNELS = ["phone", "video", "meeting", "chat", "email", "event"]
DEFAULTS = {
    "time_zone": "Asia/Tokyo",
    "currency": "JPY",
    "fx": {},
    "coverage": {
        "high": {"window": "P1M", "target": 0.8, "channels": CHANNELS, "outcomes": ["reached", "replied"]},
        "low": {"window": "P2M", "target": 0.7, "channels": CHANNELS, "outcomes": ["reached", "replied"]},
        "tech": {
            "window": "P6M",
            "target": 0.5,
            "channels": [*CHANNELS, "tech_touch"],
            "outcomes": ["reached", "replied"],
        },
    },
    "tiers": {"high_percent": 10, "low_percent": 30, "period": "P6M", "load": {"high": [5, 10], "low": [20, 30]}},
    "rank": {"by": "ids", "cuts": {"A": 21, "B": 11, "C": 6, "D": 1}},
    "tenure": {"a": 0, "b": 4, "c": 8, "d": 12},
    "priorities": {
        "Aa": "High", "Ab": "High", "Ac": "High", "Ad": "High",
        "Ba": "High", "Bb": "High", "Bc": "Middle", "Bd": "Middle",
        "Ca": "Middle", "Cb": "Middle", "Cc": "Low", "Cd": "Low",
        "Da": "Low", "Db": "Low", "Dc": "Low", "Dd": "Low",
    },
    "churn_targets": {"high": None, "low": None, "tech": None},
    "silent_churn": {"silent_days": 180, "min_events": 5},
    "value_features": [],
}  # fmt: skip


def test_a_new_tenant_counts_by_the_domains_defaults() -> None:
    assert json.dumps(TenantSettings().document()) == json.dumps(DEFAULTS)


def test_a_document_survives_being_stored() -> None:
    wild = {
        "fx": {"USD": "150.25"},
        "value_features": [{"feature": "report", "weight": 2, "share": 0.5, "events": ["a", "b"], "released_on": None}],
        "smtp": {"host": "mail.example", "port": 25, "tls": "starttls", "user": "cs", "from": "Genki <cs@example.com>"},
        "brand": {"name": {"ja": "元気", "en": "Genki"}},
    }
    settings = replace_sections(TenantSettings(), wild)
    stored = json.loads(json.dumps(settings.document()))
    assert stored == {**DEFAULTS, **wild}
    assert TenantSettings.model_validate(stored) == settings


def test_only_the_named_sections_are_replaced_and_null_removes_an_optional_one() -> None:
    settings = replace_sections(TenantSettings(), {"brand": {"name": {"ja": "元気", "en": "Genki"}}, "currency": "USD"})
    assert settings.document()["currency"] == "USD"
    assert replace_sections(settings, {"brand": None}).document() == {**DEFAULTS, "currency": "USD"}


def test_a_value_feature_is_known_by_its_own_event_unless_told() -> None:
    settings = TenantSettings.model_validate({"value_features": [{"feature": "report"}]})
    assert settings.value_features[0].events == ("report",)


REFUSED = [
    ({"surprise": 1}, "/surprise"),
    ({"time_zone": "Asia/Atlantis"}, "/time_zone"),
    ({"time_zone": "../etc/passwd"}, "/time_zone"),
    ({"currency": "YEN"}, "/currency"),
    ({"fx": {"USD": "0"}}, "/fx/USD"),
    ({"fx": {"USD": "-1"}}, "/fx/USD"),
    ({"fx": {"USD": "1e3"}}, "/fx/USD"),
    ({"fx": {"USD": 150}}, "/fx/USD"),
    ({"fx": {"JPY": "1"}}, ""),
    ({"coverage": {"high": {"window": "P0M", "target": 0.5}}}, "/coverage/high/window"),
    ({"coverage": {"high": {"window": "P1M2D", "target": 0.5}}}, "/coverage/high/window"),
    ({"coverage": {"high": {"window": "PT5M", "target": 0.5}}}, "/coverage/high/window"),
    ({"coverage": {"high": {"window": "P1M", "target": 1.1}}}, "/coverage/high/target"),
    ({"coverage": {"high": {"window": "P1M", "target": 0.5, "channels": []}}}, "/coverage/high/channels"),
    ({"coverage": {"high": {"window": "P1M", "target": 0.5, "channels": ["fax"]}}}, "/coverage/high/channels/0"),
    ({"coverage": {"high": {"window": "P1M", "target": 0.5, "outcomes": ["planned"]}}}, "/coverage/high/outcomes/0"),
    ({"coverage": {"middle": {"window": "P1M", "target": 0.5}}}, "/coverage/middle"),
    ({"coverage": None}, "/coverage"),
    ({"tiers": {"high_percent": 0}}, "/tiers/high_percent"),
    ({"tiers": {"high_percent": 80, "low_percent": 30}}, "/tiers"),
    ({"tiers": {"high_percent": float("nan")}}, "/tiers/high_percent"),
    ({"tiers": {"load": {"high": [10, 5]}}}, "/tiers/load"),
    ({"rank": {"by": "size"}}, "/rank/by"),
    ({"rank": {"cuts": {"A": 5, "B": 11, "C": 6, "D": 1}}}, "/rank/cuts"),
    ({"tenure": {"a": 1}}, "/tenure/a"),
    ({"tenure": {"b": 8, "c": 8}}, "/tenure"),
    ({"priorities": {"Aa": "Urgent"}}, "/priorities/Aa"),
    ({"priorities": {"Zz": "High"}}, "/priorities"),
    ({"churn_targets": {"high": 0.2, "tech": 0.1}}, "/churn_targets"),
    ({"tiers": {"high_percent": 10**400}}, "/tiers/high_percent"),
    ({"tiers": {"high_percent": True}}, "/tiers/high_percent"),
    ({"tiers": {"high_percent": "10"}}, "/tiers/high_percent"),
    ({"silent_churn": {"silent_days": 0}}, "/silent_churn/silent_days"),
    ({"value_features": [{"feature": "r", "share": 0}]}, "/value_features/0/share"),
    ({"value_features": [{"feature": "r", "weight": 0}]}, "/value_features/0/weight"),
    ({"value_features": [{"feature": "r"}, {"feature": "r"}]}, "/value_features"),
    ({"smtp": {"host": "h", "from": "a@b.c\r\nBcc: x@y.z"}}, "/smtp/from"),
    ({"smtp": {"host": "h", "from": "a@b.c", "password": "secret"}}, "/smtp/password"),
    ({"smtp": {"host": "h", "from": "a@b.c", "user": "u", "tls": "none"}}, "/smtp"),
]


@pytest.mark.parametrize(("changes", "pointer"), REFUSED)
def test_a_wrong_part_refuses_the_whole_document_and_is_pointed_at(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(ValidationError) as refused:
        replace_sections(TenantSettings(), {"rank": {"by": "seats"}, **changes})
    assert pointer in [problem["pointer"] for problem in problems(refused.value)]


def test_at_most_twenty_problems_are_told() -> None:
    features = [{"feature": str(i), "weight": 0} for i in range(30)]
    with pytest.raises(ValidationError) as refused:
        TenantSettings.model_validate({"value_features": features})
    assert len(problems(refused.value)) == 20


LEAVING = [
    ("P1M", date(2026, 1, 31), date(2026, 3, 1)),
    ("P1M", date(2026, 2, 28), date(2026, 3, 28)),
    ("P1M", date(2024, 1, 29), date(2024, 2, 29)),
    ("P1M", date(2023, 1, 29), date(2023, 3, 1)),
    ("P1M", date(2026, 12, 15), date(2027, 1, 15)),
    ("P2M", date(2026, 12, 31), date(2027, 3, 1)),
    ("P6M", date(2026, 8, 31), date(2027, 3, 1)),
    ("P1Y", date(2024, 2, 29), date(2025, 3, 1)),
    ("P30D", date(2026, 1, 31), date(2026, 3, 2)),
    ("P2W", date(2026, 1, 31), date(2026, 2, 14)),
]


@pytest.mark.parametrize(("window", "day", "out"), LEAVING)
def test_a_day_leaves_a_window_on_the_first_day_that_is_far_enough(window: str, day: date, out: date) -> None:
    assert Window.parse(window).first_out(day) == out


@given(
    st.sampled_from(["P1M", "P2M", "P5M", "P6M", "P1Y", "P1D", "P30D", "P2W"]),
    st.dates(date(1950, 1, 1), date(2200, 1, 1)),
)
def test_once_out_of_the_window_always_out(text: str, day: date) -> None:
    window = Window.parse(text)
    out = window.first_out(day)
    assert window.start_day(out) >= day > window.start_day(out - timedelta(days=1))
    assert all(window.start_day(out + timedelta(days=n)) >= day for n in range(70))


def test_the_days_of_a_window_are_those_of_the_calendar() -> None:
    month = Window.parse("P1M")
    assert [month.days(day) for day in (date(2026, 3, 1), date(2026, 3, 31), date(2026, 8, 15))] == [28, 31, 31]
    assert month.start_day(date(2026, 3, 31)) == date(2026, 2, 28)
    assert Window.parse("P100Y").start_day(date(50, 1, 1)) == date.min


MONEY = [
    ("0", "JPY", 0),
    ("1200", "JPY", 1200),
    ("1200.00", "JPY", 1200),
    ("12.3", "USD", 1230),
    ("1.234", "KWD", 1234),
    ("999999999999999", "JPY", 999999999999999),
    ("9999999999999.99", "USD", 999999999999999),
    ("-5", "JPY", -5),
    ("000000000000000000012", "JPY", 12),
]


@pytest.mark.parametrize(("text", "currency", "minor"), MONEY)
def test_money_becomes_whole_minor_units(text: str, currency: str, minor: int) -> None:
    assert to_minor(text, currency) == minor
    assert Decimal(to_decimal_text(minor, currency)) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "currency", "code"),
    [
        ("0.5", "JPY", "beyond_minor_unit"),
        ("0.001", "USD", "beyond_minor_unit"),
        ("1000000000000000", "JPY", "too_many_digits"),
        ("99999999999999.99", "USD", "too_many_digits"),
        ("1e3", "JPY", "bad_amount"),
        ("1,000", "JPY", "bad_amount"),
        ("١٢", "JPY", "bad_amount"),
        ("", "JPY", "bad_amount"),
        ("NaN", "JPY", "bad_amount"),
        ("1", "ABC", "unknown_currency"),
        ("1", "jpy", "unknown_currency"),
    ],
)
def test_money_that_is_none_is_refused_with_its_reason(text: str, currency: str, code: str) -> None:
    with pytest.raises(MoneyError) as refused:
        to_minor(text, currency)
    assert refused.value.code == code


def test_money_is_shown_with_all_places_of_its_minor_unit() -> None:
    assert [to_decimal_text(1230, currency) for currency in ("JPY", "USD", "KWD")] == ["1230", "12.30", "1.230"]
    assert [minor_digits(currency) for currency in ("JPY", "USD", "KWD")] == [0, 2, 3]


@pytest.mark.parametrize(
    ("minor", "rate", "yen"),
    [(100, "150.25", 150), (100, "150.5", 150), (100, "151.5", 152), (1, "150.25", 2), (200, "150.25", 300)],
)
def test_foreign_money_is_converted_half_even(minor: int, rate: str, yen: int) -> None:
    assert convert(minor, "USD", "JPY", rate) == yen


def test_money_of_the_reporting_currency_needs_no_rate() -> None:
    assert convert(7, "JPY", "JPY", "3") == 7
