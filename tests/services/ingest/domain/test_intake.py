"""The table of what may be sent to /v1/events, and the reason of each refusal."""

import json
import uuid
from typing import Any

import pytest

from services.ingest.domain.intake import MAX_ITEM, admit
from services.ingest.domain.verdict import Accepted, Door, Rejected
from shared.clock import to_micros
from shared.facts import UNSET, Usage

RECEIVED = 1_700_000_000_000_000  # 2023-11-14T22:13:20Z
DOOR = Door(7, "JPY", frozenset({"USD"}), RECEIVED, lambda: "made")
USAGE = {"type": "usage", "id": "u1", "at": "2023-11-14T00:00:00Z", "person_id": "p1", "event": "report"}
ACCOUNT = {"type": "account", "id": "a1", "at": "2023-11-14T00:00:00Z", "account_id": "acme"}
PERSON = {"type": "person", "id": "p1", "at": "2023-11-14T00:00:00Z", "person_id": "ann"}
CONTACT = {
    "type": "contact", "id": "k1", "at": "2023-11-14T00:00:00Z", "account_id": "acme", "channel": "phone",
    "outcome": "reached",
}  # fmt: skip
CONTRACT = {
    "type": "contract", "id": "t1", "account_id": "acme", "effective_on": "2023-04-01", "change": "new",
    "acv_after": "100",
}  # fmt: skip
CSM = {"type": "csm", "id": "c1", "csm_id": "sato", "at": "2023-11-14T00:00:00Z"}
DROP = object()


def judged(base: dict[str, Any], **changes: Any) -> Accepted | Rejected:
    item = {name: value for name, value in (base | changes).items() if value is not DROP}
    return admit(json.dumps(item).encode(), DOOR)


def facts(base: dict[str, Any], **changes: Any) -> tuple[Any, ...]:
    verdict = judged(base, **changes)
    assert isinstance(verdict, Accepted), verdict
    return verdict.facts


def fact(base: dict[str, Any], **changes: Any) -> Any:
    (one,) = facts(base, **changes)
    return one


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (USAGE, {"type": DROP}, "missing_field"),
    (USAGE, {"type": None}, "missing_field"),
    (USAGE, {"type": "visit"}, "unknown_type"),
    (USAGE, {"type": 3}, "unknown_type"),
    (USAGE, {"type": "alias"}, "unknown_type"),
    (USAGE, {"type": "survey_response"}, "unknown_type"),
    (USAGE, {"type": "invitation_sent"}, "unknown_type"),
    (USAGE, {"type": "invitation_bounced"}, "unknown_type"),
    (USAGE, {"event": DROP}, "missing_field"),
    (USAGE, {"event": None}, "missing_field"),
    (USAGE, {"event": ""}, "invalid_event"),
    (USAGE, {"event": "e" * 201}, "invalid_event"),
    (USAGE, {"event": "a\0b"}, "invalid_event"),
    (USAGE, {"event": "\ud800"}, "invalid_event"),
    (USAGE, {"colour": "red"}, "unknown_field"),
    (USAGE, {"colour": None}, "unknown_field"),
    (USAGE, {"tenant": 8}, "unknown_field"),
    (USAGE, {"received": 1}, "unknown_field"),
    (USAGE, {"hash": 1}, "unknown_field"),
    (USAGE, {"count": 0}, "invalid_count"),
    (USAGE, {"count": 1_000_001}, "invalid_count"),
    (USAGE, {"count": 1.5}, "invalid_count"),
    (USAGE, {"count": "1"}, "invalid_count"),
    (USAGE, {"count": True}, "invalid_count"),
    (USAGE, {"count": 2**63}, "invalid_count"),
    (USAGE, {"properties": []}, "invalid_properties"),
    (USAGE, {"properties": "x"}, "invalid_properties"),
    (USAGE, {"id": "i" * 101}, "invalid_id"),
    (USAGE, {"id": 5}, "invalid_id"),
    (USAGE, {"id": ""}, "junk_id"),
    (USAGE, {"person_id": "\u3000anonymous"}, "junk_id"),
    (USAGE, {"id": "a#b"}, "junk_id"),
    (USAGE, {"person_id": "p" * 201}, "invalid_person_id"),
    (USAGE, {"person_id": 12}, "invalid_person_id"),
    (USAGE, {"person_id": "a\0"}, "invalid_person_id"),
    (USAGE, {"account_id": "a#b"}, "junk_id"),
    *((USAGE, {"person_id": junk}, "junk_id") for junk in ("", " ", "null", "NULL", "Undefined", "anonymous", "0")),
    (USAGE, {"person_id": " 0 "}, "junk_id"),
    (USAGE, {"at": "2023-11-14"}, "invalid_at"),
    (USAGE, {"at": "2023-11-14T00:00:00"}, "invalid_at"),
    (USAGE, {"at": "2023-11-14T00:00Z"}, "invalid_at"),
    (USAGE, {"at": "2023-11-14T00:00:00+0900"}, "invalid_at"),
    (USAGE, {"at": "20231114T000000Z"}, "invalid_at"),
    (USAGE, {"at": "2023-02-29T00:00:00Z"}, "invalid_at"),
    (USAGE, {"at": "2023-11-14T24:00:00Z"}, "invalid_at"),
    (USAGE, {"at": "2023-11-13T23:59:60Z"}, "invalid_at"),
    (USAGE, {"at": "1899-12-31T23:59:59Z"}, "invalid_at"),
    (USAGE, {"at": "1900-01-01T00:00:00+00:01"}, "invalid_at"),
    (USAGE, {"at": "0001-01-01T00:00:00+23:59"}, "invalid_at"),
    (USAGE, {"at": 1700000000}, "invalid_at"),
    (USAGE, {"at": "2023-11-14T22:18:20.000001Z"}, "in_future"),
    (USAGE, {"at": "9999-12-31T23:59:59-23:59"}, "in_future"),
    (ACCOUNT, {"status": "gone"}, "invalid_status"),
    (ACCOUNT, {"customer_since": "1899-12-31"}, "invalid_customer_since"),
    (ACCOUNT, {"customer_since": "2023-11-14T00:00:00Z"}, "invalid_customer_since"),
    (ACCOUNT, {"renewal_on": "20231114"}, "invalid_renewal_on"),
    (ACCOUNT, {"renewal_on": "2023-02-29"}, "invalid_renewal_on"),
    (ACCOUNT, {"acv": "12.5"}, "invalid_acv"),
    (ACCOUNT, {"acv": "-1"}, "invalid_acv"),
    (ACCOUNT, {"acv": "1e5"}, "invalid_acv"),
    (ACCOUNT, {"acv": "NaN"}, "invalid_acv"),
    (ACCOUNT, {"acv": "1_000"}, "invalid_acv"),
    (ACCOUNT, {"acv": "１０"}, "invalid_acv"),
    (ACCOUNT, {"acv": ""}, "invalid_acv"),
    (ACCOUNT, {"acv": True}, "invalid_acv"),
    (ACCOUNT, {"acv": "1" * 16}, "invalid_acv"),
    (ACCOUNT, {"potential_acv": "12.345", "currency": "USD"}, "invalid_potential_acv"),
    (ACCOUNT, {"acv": "1", "currency": "EUR"}, "currency_not_reporting"),
    (ACCOUNT, {"currency": "EUR"}, "currency_not_reporting"),
    (ACCOUNT, {"currency": 3}, "invalid_currency"),
    (ACCOUNT, {"seats": -1}, "invalid_seats"),
    (ACCOUNT, {"seats": 2**31}, "invalid_seats"),
    (ACCOUNT, {"features": ["a", ""]}, "invalid_features"),
    (ACCOUNT, {"features": "a"}, "invalid_features"),
    (ACCOUNT, {"traits": []}, "invalid_traits"),
    (ACCOUNT, {"traits": {"a": {"b": ["\0"]}}}, "invalid_traits"),
    (ACCOUNT, {"traits": {"a\0": 1}}, "invalid_traits"),
    (ACCOUNT, {"traits": {"a": "\udfff"}}, "invalid_traits"),
    (ACCOUNT, {"traits": {"a": 2**63}}, "invalid_traits"),
    (ACCOUNT, {"merged_into": "acme"}, "invalid_merged_into"),
    (ACCOUNT, {"merged_into": "null"}, "junk_id"),
    (ACCOUNT, {"csm_id": "0"}, "junk_id"),
    (ACCOUNT, {"account_id": None}, "missing_field"),
    (ACCOUNT, {"at": None}, "missing_field"),
    (PERSON, {"uses_product": True}, "missing_field"),
    (PERSON, {"deactivated": False}, "missing_field"),
    (PERSON, {"account_id": "acme", "uses_product": 1}, "invalid_uses_product"),
    (PERSON, {"account_id": "undefined"}, "junk_id"),
    (CONTACT, {"channel": "fax"}, "invalid_channel"),
    (CONTACT, {"outcome": DROP}, "missing_field"),
    (CONTACT, {"account_ids": ["a"] * 501}, "invalid_account_ids"),
    (CONTACT, {"account_ids": ["null"]}, "junk_id"),
    (CONTACT, {"person_ids": ["a#b"]}, "junk_id"),
    (CONTACT, {"replaces": "k0#acme"}, "junk_id"),
    (CONTACT, {"voices": [{"kind": "rumour"}]}, "invalid_voices"),
    (CONTACT, {"voices": ["x"]}, "invalid_voices"),
    (CONTACT, {"direction": "sideways"}, "invalid_direction"),
    (CONTACT, {"outcome": "planned", "at": "2025-11-14T22:18:21Z"}, "in_future"),
    (CONTACT, {"at": "2023-11-15T00:00:00Z"}, "in_future"),
    (CONTACT, {"recorded_at": "2023-11-15T00:00:00Z"}, "in_future"),
    (CONTACT, {"recorded_at": "yesterday"}, "invalid_recorded_at"),
    (CONTRACT, {"acv_after": DROP}, "missing_field"),
    (CONTRACT, {"acv_after": None}, "missing_field"),
    (CONTRACT, {"change": "churn"}, "invalid_acv_after"),
    (CONTRACT, {"change": "upgrade"}, "invalid_change"),
    (CONTRACT, {"effective_on": "2023-4-1"}, "invalid_effective_on"),
    (CONTRACT, {"term_end": "never"}, "invalid_term_end"),
    (CONTRACT, {"currency": "usd"}, "currency_not_reporting"),
    (CONTRACT, {"at": "2023-11-14T00:00:00Z"}, "unknown_field"),
    (CSM, {"csm_id": "anonymous"}, "junk_id"),
    (CSM, {"active": "yes"}, "invalid_active"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("base", "changes", "code"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_the_contract_does_not_allow_is_refused_with_its_code(
    base: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    verdict = judged(base, **changes)
    assert isinstance(verdict, Rejected), verdict
    assert verdict.code == code
    assert len(verdict.message) <= 120


@pytest.mark.parametrize("raw", [b"3", b'"usage"', b"[]", b"null", b"true"])
def test_an_item_that_is_no_object_is_refused(raw: bytes) -> None:
    assert admit(raw, DOOR) == Rejected("not_an_object", "an item is a JSON object")


def test_an_item_has_32768_bytes_as_received() -> None:
    empty = len(json.dumps(USAGE | {"properties": {"x": ""}}))
    assert isinstance(judged(USAGE, properties={"x": "y" * (MAX_ITEM - empty)}), Accepted)
    refused = judged(USAGE, properties={"x": "y" * (MAX_ITEM - empty + 1)})
    assert isinstance(refused, Rejected)
    assert refused.code == "too_large"


ACCEPTED_INSTANTS = [
    ("2023-11-14T00:00:00Z", 1_699_920_000_000_000),
    ("2023-11-14t00:00:00z", 1_699_920_000_000_000),
    ("2023-11-14 09:00:00+09:00", 1_699_920_000_000_000),
    ("2023-11-14T00:00:00.1234569Z", 1_699_920_000_123_456),
    ("2023-11-14T00:00:00.5-00:00", 1_699_920_000_500_000),
    ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
    ("2017-01-01T08:59:60.5+09:00", 1_483_228_800_000_000),
    ("1900-01-01T00:00:00Z", -2_208_988_800_000_000),
    ("2023-11-14T22:18:20Z", RECEIVED + 300_000_000),
]


@pytest.mark.parametrize(("text", "micros"), ACCEPTED_INSTANTS)
def test_an_instant_is_read_to_the_microsecond_and_further_digits_are_cut(text: str, micros: int) -> None:
    assert fact(USAGE, at=text).at == micros


def test_null_is_absent_where_nothing_can_be_cleared() -> None:
    usage = fact(USAGE, account_id=None, count=None, properties=None, id=None)
    assert (usage.account_id, usage.count, usage.id) == (None, 1, "made")


def test_null_clears_a_field_of_an_account_and_absent_leaves_it() -> None:
    account = fact(ACCOUNT, name=None, acv=None, traits=None, seats=3.0)
    assert (account.name, account.acv, account.traits, account.seats) == (None, None, None, 3)
    assert (account.plan, account.potential_acv, account.currency) == (UNSET, UNSET, UNSET)


def test_the_currency_of_the_tenant_is_stamped_beside_an_amount() -> None:
    assert fact(ACCOUNT, acv="100").currency == "JPY"
    assert fact(ACCOUNT, acv="100", currency=None).currency == "JPY"
    assert fact(ACCOUNT, acv="1.50", currency="USD").currency == "USD"
    assert fact(CONTRACT).currency == "JPY"


def test_money_is_kept_as_canonical_text_and_zeros_beyond_the_minor_unit_are_no_excess() -> None:
    assert [fact(ACCOUNT, acv=sent).acv for sent in ("100", "100.00", 100, "0", "9" * 15)] == [
        "100", "100", "100", "0", "9" * 15,
    ]  # fmt: skip
    assert [fact(ACCOUNT, acv=sent, currency="USD").acv for sent in ("1.5", 1.5, "007")] == ["1.50", "1.50", "7.00"]


def test_of_duplicate_keys_the_last_counts() -> None:
    raw = (
        b'{"type":"account","type":"usage","at":"x","at":"2023-11-14T00:00:00Z","person_id":"p","event":"e","count":2}'
    )
    verdict = admit(raw, DOOR)
    assert isinstance(verdict, Accepted)
    (usage,) = verdict.facts
    assert isinstance(usage, Usage)
    assert usage.count == 2


def test_what_is_not_kept_may_hold_what_the_database_cannot() -> None:
    assert fact(USAGE, properties={"a": "\0", "b": "\ud800", "c": 2**80}).event == "report"
    raw = json.dumps(USAGE)[:-1].encode() + b',"properties":{"huge":1e999}}'
    assert isinstance(admit(raw, DOOR), Accepted)


def test_numbers_that_no_double_holds_are_refused_where_they_are_kept() -> None:
    raw = json.dumps(ACCOUNT)[:-1].encode() + b',"traits":{"huge":1e999}}'
    verdict = admit(raw, DOOR)
    assert isinstance(verdict, Rejected)
    assert verdict.code == "invalid_traits"


def test_a_contact_with_many_accounts_becomes_one_each_under_its_own_id() -> None:
    found = facts(CONTACT, account_ids=["b", "acme", "c", "b"])
    assert [(one.id, one.account_id, one.sent_id) for one in found] == [
        ("k1#acme", "acme", "k1"), ("k1#b", "b", "k1"), ("k1#c", "c", "k1"),
    ]  # fmt: skip
    assert len({one.hash for one in found}) == 1


def test_a_contact_with_one_account_keeps_its_id() -> None:
    assert [(one.id, one.sent_id) for one in (fact(CONTACT), fact(CONTACT, account_ids=[]))] == [("k1", None)] * 2


def test_a_planned_contact_may_lie_two_years_ahead() -> None:
    planned = fact(CONTACT, outcome="planned", at="2025-11-14T22:18:20Z")
    assert planned.at == RECEIVED + 300_000_000 + 731 * 86_400_000_000


def test_days_may_lie_anywhere_between_1900_and_9999() -> None:
    contract = fact(CONTRACT, effective_on="9999-12-31", term_end="1900-01-01")
    assert (contract.effective_on, contract.term_end, contract.contract_id) == ("9999-12-31", "1900-01-01", "default")


def test_a_churn_leaves_nothing() -> None:
    assert fact(CONTRACT, change="churn", acv_after="0").acv_after == "0"
    assert fact(CONTRACT, change="churn", acv_after="0.00", currency="USD").acv_after == "0.00"


def test_a_person_without_account_is_told_of_alone() -> None:
    assert fact(PERSON, name="Ann").account_id is None


def test_the_envelope_comes_from_the_door() -> None:
    usage = fact(USAGE)
    assert (usage.tenant, usage.received) == (7, RECEIVED)


def test_the_same_body_has_the_same_hash_and_another_body_another() -> None:
    same = [fact(USAGE), fact(USAGE), fact(USAGE, account_id=None)]
    other = [
        fact(USAGE, count=2),
        fact(USAGE, event="x"),
        fact(USAGE, properties={"a": 1}),
        fact(USAGE, account_id="a"),
    ]
    assert len({one.hash for one in same}) == 1
    assert len({one.hash for one in same + other}) == 5


def test_a_rejected_item_shows_its_id_cut_and_encodable() -> None:
    long = judged(USAGE, id="i" * 5000)
    odd = judged(USAGE, id="\ud800", event=DROP)
    assert isinstance(long, Rejected)
    assert isinstance(odd, Rejected)
    assert (long.id, odd.id) == ("i" * 100, "?")


def test_a_planned_contact_on_leap_day_looks_ahead_to_the_28th() -> None:
    import datetime as dt

    leap = to_micros(dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC))
    door = Door(7, "JPY", frozenset(), leap, lambda: str(uuid.uuid4()))
    assert door.latest_planned == to_micros(dt.datetime(2026, 2, 28, 12, 5, tzinfo=dt.UTC))
