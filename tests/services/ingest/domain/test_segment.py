"""Tracking calls as SDKs and the specification's own pages send them, and the facts they become."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.ingest.domain.message import Call, read_call
from services.ingest.domain.segment import admit_call
from services.ingest.domain.split import Unsound
from services.ingest.domain.verdict import Accepted, Door, Rejected
from shared.facts import UNSET, Account, Alias, Person, Usage, decode, encode

FIXTURES = Path(__file__).parents[3] / "fixtures"
RECEIVED = 1_795_294_050_000_000  # 2026-11-21T20:47:30Z
DOOR = Door(7, "JPY", frozenset(), RECEIVED, lambda: "made")
SHORT = {"t": "track", "i": "identify", "g": "group", "p": "page", "s": "screen", "a": "alias", "b": "batch"}


def long_name(name: str) -> str:
    return SHORT.get(name, name)


def read(kind: str, body: Any) -> Call:
    call = read_call(kind, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert isinstance(call, Call), call
    return call


def verdicts(kind: str, body: Any, header: str | None = None) -> list[Accepted | Rejected]:
    return admit_call(read(kind, body), header, DOOR)


def facts(kind: str, body: Any, header: str | None = None) -> list[Any]:
    (verdict,) = verdicts(kind, body, header)
    assert isinstance(verdict, Accepted), verdict
    return list(verdict.facts)


def code(kind: str, body: Any) -> str:
    (verdict,) = verdicts(kind, body)
    assert isinstance(verdict, Rejected), verdict
    return verdict.code


def spec_payloads() -> list[Any]:
    return [
        json.loads(line)["payload"] for line in (FIXTURES / "segment-spec-payloads.ndjson").read_text().splitlines()
    ]


def kind_of(payload: dict[str, Any]) -> str:
    told = "batch" if "batch" in payload else payload.get("type") or payload.get("action")
    if told:
        return told
    signs = {"previousId": "alias", "groupId": "group", "event": "track", "traits": "identify"}
    return next((kind for sign, kind in signs.items() if sign in payload), "page")


@pytest.mark.parametrize("payload", spec_payloads())
def test_a_payload_of_the_specification_is_accepted_unless_it_names_nobody_or_no_time(payload: dict[str, Any]) -> None:
    messages = payload.get("batch", [payload])
    for message, verdict in zip(messages, verdicts(kind_of(payload), payload), strict=True):
        nobody = not {"userId", "anonymousId", "groupId"} & message.keys()
        if "2015-2-02" in str(message.get("timestamp")):
            assert isinstance(verdict, Rejected)
            assert verdict.code == "invalid_timestamp"
        elif nobody:
            assert isinstance(verdict, Rejected)
            assert verdict.code == "missing_field"
        else:
            assert isinstance(verdict, Accepted)
            assert all(decode(encode(fact)) == fact for fact in verdict.facts)


def captured() -> list[dict[str, Any]]:
    lines = (FIXTURES / "sdk-captures.jsonl").read_text().splitlines()
    requests: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [request for request in requests if request["m"] == "POST"]


@pytest.mark.parametrize("request_", captured(), ids=lambda request: request["path"])
def test_what_an_sdk_really_sends_is_accepted_whole(request_: dict[str, Any]) -> None:
    name = request_["path"].removeprefix("/v1/")
    found = verdicts(long_name(name), request_["body"].encode(), request_["h"].get("SentAt"))
    assert [verdict for verdict in found if isinstance(verdict, Rejected)] == []
    for verdict in found:
        assert isinstance(verdict, Accepted)
        times: list[int] = [getattr(fact, "at", 0) for fact in verdict.facts]
        assert all(RECEIVED - 2_000_000 <= at <= RECEIVED for at in times)


def test_the_captures_hold_every_call_and_each_becomes_its_facts() -> None:
    kinds: set[tuple[str, ...]] = set()
    for request in captured():
        name = request["path"].removeprefix("/v1/")
        for verdict in verdicts(long_name(name), request["body"].encode()):
            assert isinstance(verdict, Accepted)
            kinds.add(tuple(type(fact).__name__ for fact in verdict.facts))
    assert kinds == {("Usage",), ("Person",), ("Account", "Person"), ("Alias",)}


USER = {"userId": "u1", "messageId": "m1"}


def test_a_track_call_is_usage_of_its_event() -> None:
    (usage,) = facts("track", USER | {"event": "Export Run", "context": {"groupId": "g1"}})
    assert usage == Usage(
        tenant=7, id="m1", received=RECEIVED, hash=usage.hash, at=RECEIVED, person_id="u1", event="Export Run",
        account_id="g1",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_a_page_is_usage_of_its_name_or_of_its_kind(kind: str) -> None:
    assert facts(kind, USER | {"name": "Home"})[0].event == "Home"
    assert facts(kind, USER | {"name": ""})[0].event == kind
    assert facts(kind, USER | {"name": None})[0].event == kind
    assert facts(kind, USER)[0].event == kind


ACCOUNT_OF_USAGE: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"context": {"groupId": "c"}, "properties": {"groupId": "p"}}, "c"),
    ({"properties": {"groupId": "p"}}, "p"),
    ({"properties": {"groupId": 12}}, "12"),
    ({"context": {"groupId": "null"}, "properties": {"groupId": "p"}}, "p"),
    ({"context": {"groupId": "0"}}, None),
    ({"properties": {"groupId": {"a": 1}}}, None),
    ({"properties": {"groupId": "a#b"}}, None),
    ({"properties": [], "context": []}, None),
    ({"groupId": "top"}, None),
]


@pytest.mark.parametrize(("extra", "account"), ACCOUNT_OF_USAGE)
def test_usage_belongs_to_the_group_of_its_context_else_of_its_properties(
    extra: dict[str, Any], account: str | None
) -> None:
    assert facts("track", USER | {"event": "e"} | extra)[0].account_id == account


def test_a_batch_lends_its_context_to_its_messages() -> None:
    batch = [{"type": "track", "event": "e", "userId": "u", "context": context} for context in ({}, {"groupId": "own"})]
    found = verdicts("batch", {"batch": batch, "context": {"groupId": "batch"}})
    usages = [fact for one in found if isinstance(one, Accepted) for fact in one.facts]
    assert [fact.account_id for fact in usages if isinstance(fact, Usage)] == ["batch", "own"]


PERSONS: list[tuple[dict[str, Any], str]] = [
    ({"userId": "u", "anonymousId": "a"}, "u"),
    ({"userId": None, "anonymousId": "a"}, "a"),
    ({"userId": "", "anonymousId": "a"}, "a"),
    ({"userId": "Undefined", "anonymousId": "a"}, "a"),
    ({"userId": 0, "anonymousId": "a"}, "a"),
    ({"userId": 42}, "42"),
]


@pytest.mark.parametrize(("ids", "person"), PERSONS)
def test_user_id_wins_and_a_junk_one_falls_through(ids: dict[str, Any], person: str) -> None:
    assert facts("track", ids | {"event": "e"})[0].person_id == person


def test_an_identify_call_tells_the_person_and_a_membership_only_by_context() -> None:
    traits = {"firstName": "Ann", "lastName": "Lee", "email": "a@b.c", "title": "CTO", "plan": 3, "huge": 2**80}
    (alone,) = facts("identify", USER | {"traits": traits})
    assert alone == Person(
        tenant=7, id="m1", received=RECEIVED, hash=alone.hash, person_id="u1", at=RECEIVED, name="Ann Lee",
        email="a@b.c", title="CTO",
    )  # fmt: skip
    (inside,) = facts("identify", USER | {"traits": {"name": "Ann", "firstName": "X"}, "context": {"groupId": "g"}})
    assert (inside.name, inside.account_id) == ("Ann", "g")


def test_traits_in_the_context_count_and_those_beside_it_win() -> None:
    body = USER | {"context": {"traits": {"email": "old", "title": "CEO"}}, "traits": {"email": "new"}}
    (person,) = facts("identify", body)
    assert (person.email, person.title) == ("new", "CEO")


def test_a_group_call_is_an_account_and_a_membership() -> None:
    traits = {
        "name": "Initech", "industry": "Tech", "plan": "gold", "employees": 420, "acv": "9", "csm_id": "c",
        "status": "churned", "none": None,
    }  # fmt: skip
    account, person = facts("group", USER | {"groupId": "g1", "traits": traits})
    assert account == Account(
        tenant=7, id="m1", received=RECEIVED, hash=account.hash, account_id="g1", at=RECEIVED, name="Initech",
        industry="Tech", plan="gold", traits={"employees": 420, "acv": "9", "csm_id": "c", "status": "churned"},
    )  # fmt: skip
    assert (account.acv, account.csm_id, account.status) == (UNSET, UNSET, UNSET)
    assert (person.id, person.person_id, person.account_id) == ("m1", "u1", "g1")


@pytest.mark.parametrize("ids", [{}, {"userId": None}, {"userId": "null", "anonymousId": ""}])
def test_a_group_call_without_any_person_is_an_account_only(ids: dict[str, Any]) -> None:
    assert [type(fact) for fact in facts("group", ids | {"groupId": "g1"})] == [Account]


def test_an_alias_call_joins_two_ids() -> None:
    (alias,) = facts("alias", USER | {"previousId": "anon", "anonymousId": "other"})
    assert alias == Alias(
        tenant=7, id="m1", received=RECEIVED, hash=alias.hash, person_id="u1", previous_id="anon", at=RECEIVED
    )


T1, T2 = "2026-11-21T20:00:00Z", "2026-11-21T20:10:00Z"
TIMES: list[tuple[dict[str, Any], str | None, int]] = [
    ({}, None, 0),
    ({"timestamp": T1}, None, -2_850_000_000),
    ({"timestamp": T1, "sentAt": T2}, None, -600_000_000),
    ({"timestamp": T1}, T2, -600_000_000),
    ({"timestamp": T1, "sentAt": T2}, "2026-11-21T20:30:00Z", -600_000_000),
    ({"timestamp": T2, "originalTimestamp": T1, "sentAt": T2}, None, -600_000_000),
    ({"timestamp": T1, "sentAt": "soon"}, None, -2_850_000_000),
    ({"timestamp": T2, "sentAt": T1}, None, 0),  # a result in the future is clamped
    ({"timestamp": "2030-01-01T00:00:00Z"}, None, 0),
    ({"timestamp": "1990-01-01T00:00:00Z", "sentAt": "1990-01-01T00:00:01Z"}, None, -1_000_000),
]


@pytest.mark.parametrize(("times", "header", "offset"), TIMES)
def test_the_clock_of_the_client_is_corrected_by_when_it_sent(
    times: dict[str, Any], header: str | None, offset: int
) -> None:
    (usage,) = facts("track", USER | {"event": "e"} | times, header)
    assert usage.at - RECEIVED == offset


def test_the_batch_knows_when_it_was_sent() -> None:
    body = {"batch": [{"type": "track", "userId": "u", "event": "e", "timestamp": T1}], "sentAt": T2}
    assert facts("batch", body, "2026-11-21T20:30:00Z")[0].at - RECEIVED == -600_000_000


def test_a_retry_has_the_same_hash_and_another_call_another() -> None:
    def stamp(**changes: Any) -> int:
        return facts("track", USER | {"event": "e", "timestamp": T1, "writeKey": "k"} | changes)[0].hash

    assert len({stamp(), stamp(sentAt=T2), stamp(sentAt="x"), stamp(writeKey=None), stamp(channel="web")}) == 1
    assert len({stamp(), stamp(timestamp=T2), stamp(properties={"a": 1}), stamp(event="f"), stamp(userId="u2")}) == 5


REFUSED: list[tuple[str, Any, str]] = [
    ("track", USER, "missing_field"),
    ("track", USER | {"event": ""}, "missing_field"),
    ("track", USER | {"event": 5}, "invalid_event"),
    ("track", USER | {"event": "e" * 201}, "invalid_event"),
    ("track", USER | {"event": "e\0"}, "invalid_event"),
    ("track", USER | {"event": "\ud800"}, "invalid_text"),
    ("track", {"event": "e"}, "missing_field"),
    ("track", {"event": "e", "userId": "null", "anonymousId": "0"}, "junk_id"),
    ("track", {"event": "e", "userId": "u" * 201}, "invalid_userId"),
    ("track", {"event": "e", "userId": "u\0"}, "invalid_userId"),
    ("track", {"event": "e", "userId": "u", "messageId": "m" * 101}, "invalid_messageId"),
    ("track", {"event": "e", "userId": "u", "messageId": "a#b"}, "junk_id"),
    ("track", USER | {"event": "e", "timestamp": "yesterday"}, "invalid_timestamp"),
    ("track", USER | {"event": "e", "timestamp": "2026-11-21T20:00:00"}, "invalid_timestamp"),
    ("track", USER | {"event": "e", "timestamp": 1_700_000_000}, "invalid_timestamp"),
    ("track", USER | {"event": "e", "originalTimestamp": "1850-01-01T00:00:00Z"}, "invalid_originalTimestamp"),
    ("track", 5, "not_an_object"),
    ("group", USER, "missing_field"),
    ("group", USER | {"groupId": "undefined"}, "junk_id"),
    ("group", USER | {"groupId": "g", "traits": {"a": 2**63}}, "invalid_traits"),
    ("group", USER | {"groupId": "g", "traits": {"a": "\0"}}, "invalid_traits"),
    ("group", b'{"groupId":"g","traits":{"a":1e999}}', "invalid_traits"),
    ("identify", {"traits": {}}, "missing_field"),
    ("identify", USER | {"traits": {"name": "n" * 201}}, "invalid_name"),
    ("identify", USER | {"traits": {"email": "\ud800"}}, "invalid_email"),
    ("alias", USER, "missing_field"),
    ("alias", {"previousId": "p", "anonymousId": "a"}, "missing_field"),
    ("alias", USER | {"previousId": "null"}, "junk_id"),
    ("batch", {"batch": [USER]}, "missing_field"),
    ("batch", {"batch": [USER | {"type": "merge"}]}, "unknown_type"),
    ("batch", {"batch": [USER | {"type": "track", "event": "e", "x": "y" * 33_000}]}, "too_large"),
    ("batch", {"batch": [None]}, "not_an_object"),
]


@pytest.mark.parametrize(("kind", "body", "expected"), REFUSED)
def test_a_message_that_cannot_be_a_fact_is_refused_alone(kind: str, body: Any, expected: str) -> None:
    assert code(kind, body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", "no_batch"), (b'{"batch":{}}', "no_batch"), (b"{}", "no_batch"), (b"3", "no_batch"),
        (b'{"batch":[NaN]}', "not_json"), (b"\xff", "not_json"), (b"", "not_json"),
        (b'{"batch":[' + b"[" * 99 + b"]" * 99 + b"]}", "too_deep"),
        (b'{"batch":[],"integrations":' + b"[" * 100 + b"]" * 100 + b"}", "too_deep"),
    ],
)  # fmt: skip
def test_a_batch_that_is_none_refuses_the_request(body: bytes, expected: str) -> None:
    found = read_call("batch", body)
    assert isinstance(found, Unsound)
    assert found.code == expected


def test_the_route_says_the_type_of_a_single_call() -> None:
    assert [type(fact) for fact in facts("track", USER | {"type": "identify", "event": "e"})] == [Usage]


def test_a_broken_message_leaves_its_neighbours_alone() -> None:
    batch = [USER | {"type": "track", "event": event} for event in ("a", "\ud800", "c")]
    found = verdicts("batch", {"batch": batch})
    assert [type(one) for one in found] == [Accepted, Rejected, Accepted]


def test_every_write_key_of_a_request_is_found() -> None:
    batch = [
        USER | {"type": "page", "writeKey": "k1"},
        USER | {"type": "page"},
        {"writeKey": "k2", "event": 5, "type": 7},
    ]
    assert read("batch", {"batch": batch, "writeKey": "k1"}).keys == {"k1"}
    batch[2] = {"writeKey": "k2", "context": "odd"}
    assert read("batch", {"batch": batch, "writeKey": "k1"}).keys == {"k1", "k2"}
    assert read("track", {"writeKey": "k3"}).keys == {"k3"}
    assert read("track", {"writeKey": None}).keys == frozenset()
