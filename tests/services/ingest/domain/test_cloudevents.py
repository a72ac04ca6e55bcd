"""CloudEvents in their three modes become the items that /v1/events takes, or are refused with a reason."""

import base64
import json
from typing import Any

import pytest

from services.ingest.domain.cloudevents import Mode, Wrapped, item_of, mode_of, read_events
from services.ingest.domain.intake import MAX_ITEM, admit
from services.ingest.domain.split import Unsound
from services.ingest.domain.verdict import Accepted, Door, Rejected
from shared.facts import Contract, Usage

DOOR = Door(7, "JPY", frozenset(), 1_700_000_000_000_000, lambda: "made")
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "type": "genki.usage",
    "source": "/app",
    "id": "e1",
    "time": "2023-11-14T00:00:00Z",
    "data": {"person_id": "p1", "event": "report", "count": 3},
}
PLAIN = {"type": "usage", "id": "e1", "at": "2023-11-14T00:00:00Z", "person_id": "p1", "event": "report", "count": 3}
BINARY = [
    (f"ce-{name}".encode(), str(EVENT[name]).encode()) for name in ("specversion", "type", "source", "id", "time")
]


def one(event: Any) -> Accepted | Rejected:
    """What becomes of an event in JSON."""
    item = item_of(event if isinstance(event, bytes) else json.dumps(event).encode())
    return item if isinstance(item, Rejected) else admit(item, DOOR)


def bound(headers: list[tuple[bytes, bytes]], body: bytes) -> Accepted | Rejected:
    """What becomes of an event in headers and body."""
    assert mode_of(headers) is Mode.BINARY
    read = read_events(Mode.BINARY, headers, body)
    assert isinstance(read, Wrapped)
    [raw] = read.items.items
    item = read.unwrap(raw)
    return item if isinstance(item, Rejected) else admit(item, DOOR)


def without(name: str) -> list[tuple[bytes, bytes]]:
    return [pair for pair in BINARY if pair[0] != f"ce-{name}".encode()]


def test_an_event_is_the_same_fact_as_the_plain_item_to_the_hash() -> None:
    plain = admit(json.dumps(PLAIN).encode(), DOOR)
    assert isinstance(plain, Accepted)
    assert one(EVENT) == plain
    assert bound(BINARY, json.dumps(EVENT["data"]).encode()) == plain
    packed = {name: value for name, value in EVENT.items() if name != "data"}
    packed["data_base64"] = base64.b64encode(json.dumps(EVENT["data"]).encode()).decode()
    assert one(packed) == plain


def test_another_source_extensions_and_odd_optional_attributes_change_nothing() -> None:
    more: dict[str, Any] = {
        "source": "urn:x",
        "traceparent": "00-ab",
        "Odd": [1],
        "subject": 5,
        "datacontenttype": 7,
        "dataschema": {},
    }
    assert one(EVENT | more) == one(EVENT)
    headers = [*BINARY, (b"ce-traceparent", b"\xff"), (b"ce-subject", b"%zz"), (b"content-type", b"text/plain")]
    assert bound(headers, json.dumps(EVENT["data"]).encode()) == one(EVENT)


def test_a_contract_has_no_at_but_its_event_has_a_time() -> None:
    data = {"account_id": "acme", "effective_on": "2023-04-01", "change": "new", "acv_after": "120.0"}
    taken = one(EVENT | {"type": "genki.contract", "data": data})
    assert isinstance(taken, Accepted)
    [fact] = taken.facts
    assert isinstance(fact, Contract)
    assert (fact.id, fact.acv_after, fact.recorded_at) == ("e1", "120", None)
    refused = one(EVENT | {"type": "genki.contract", "data": data, "time": "yesterday"})
    assert refused == Rejected("invalid_time", "time is not an RFC 3339 instant with offset", "e1", "genki.contract")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"specversion": None}, "missing_field"),
        ({"specversion": "0.3"}, "invalid_specversion"),
        ({"specversion": 1.0}, "invalid_specversion"),
        ({"type": None}, "missing_field"),
        ({"type": "usage"}, "unknown_type"),
        ({"type": "genki.survey_response"}, "unknown_type"),
        ({"type": "genki.genki.usage"}, "unknown_type"),
        ({"type": 5}, "invalid_type"),
        ({"source": None}, "missing_field"),
        ({"source": ""}, "invalid_source"),
        ({"id": None}, "missing_field"),
        ({"id": ""}, "invalid_id"),
        ({"id": 7}, "invalid_id"),
        ({"id": "null"}, "junk_id"),
        ({"id": "x" * 101}, "invalid_id"),
        ({"id": "\ud800"}, "invalid_id"),
        ({"time": None}, "missing_field"),
        ({"time": "2023-11-14"}, "invalid_at"),
        ({"time": "2033-11-14T00:00:00Z"}, "in_future"),
        ({"data": None}, "missing_field"),
        ({"data": "text"}, "invalid_data"),
        ({"data": [EVENT["data"]]}, "invalid_data"),
        ({"data_base64": "e30="}, "invalid_data"),
        ({"data": None, "data_base64": "%"}, "invalid_data"),
        ({"data": None, "data_base64": 5}, "invalid_data"),
        ({"data": None, "data_base64": base64.b64encode(b"\xff").decode()}, "invalid_data"),
        ({"data": EVENT["data"] | {"id": "other"}}, "unknown_field"),
        ({"data": EVENT["data"] | {"color": "red"}}, "unknown_field"),
        ({"data": EVENT["data"] | {"count": 0}}, "invalid_count"),
        ({"data": EVENT["data"] | {"properties": {"x": "x" * MAX_ITEM}}}, "too_large"),
    ],
    ids=str,
)  # fmt: skip
def test_an_invalid_event_is_a_rejected_item(change: dict[str, Any], code: str) -> None:
    refused = one(EVENT | change)
    assert isinstance(refused, Rejected)
    assert refused.code == code


@pytest.mark.parametrize("name", ["specversion", "type", "source", "id", "time"])
def test_a_header_that_is_missing_twice_there_or_unreadable_is_a_rejected_item(name: str) -> None:
    header = f"ce-{name}".encode()
    data = json.dumps(EVENT["data"]).encode()
    codes = [
        one.code if isinstance(one, Rejected) else "accepted"
        for one in (
            bound(without(name), data),
            bound([*BINARY, (header, b"again")], data),
            bound([*without(name), (header, b"%C0%A0")], data),
            bound([*without(name), (header, b"\xff")], data),
        )
    ]
    assert codes == ["missing_field", *[f"invalid_{name}"] * 3]


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("€".encode(), "€"),
        (b'"Euro \\"%E2%82%AC\\" \\\\"', 'Euro "€" \\'),
        (b"100%2525", "100%25"),
        (b"50%", "50%"),
        (b"a+b", "a+b"),
        (b"%22quoted%22", '"quoted"'),
    ],
)
def test_a_header_is_unquoted_and_percent_decoded_once(value: bytes, meant: str) -> None:
    taken = bound([*without("id"), (b"ce-id", value)], json.dumps(EVENT["data"]).encode())
    assert isinstance(taken, Accepted)
    assert taken.id == meant


def test_a_binary_event_without_body_lacks_its_fields_and_other_bodies_are_no_data() -> None:
    for body, code in (
        (b"", "missing_field"),
        (b" {} ", "missing_field"),
        (b"[]", "invalid_data"),
        (b"5", "invalid_data"),
    ):
        refused = bound(BINARY, body)
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.id) == (code, "e1")
    assert isinstance(read_events(Mode.BINARY, BINARY, b"<xml/>"), Unsound)


@pytest.mark.parametrize(
    ("headers", "mode"),
    [
        ([(b"content-type", b"application/json")], None),
        ([(b"content-type", b"Application/CloudEvents+JSON; charset=utf-8")], Mode.STRUCTURED),
        ([(b"content-type", b"application/cloudevents-batch+json")], Mode.BATCH),
        ([(b"content-type", b"application/cloudevents+json"), *BINARY], Mode.STRUCTURED),
        ([(b"content-type", b"application/json"), (b"ce-id", b"1")], Mode.BINARY),
        ([(b"ce-subject", b"1")], None),
        ([], None),
    ],
)
def test_the_headers_tell_the_mode(headers: list[tuple[bytes, bytes]], mode: Mode | None) -> None:
    assert mode_of(headers) is mode


def test_a_format_that_is_not_json_is_refused_whole() -> None:
    assert isinstance(mode_of([(b"content-type", b"application/cloudevents+avro")]), Unsound)


def test_a_batch_is_an_array_and_a_structured_event_is_none() -> None:
    array, single = json.dumps([EVENT, 5, EVENT | {"id": "e2"}]).encode(), json.dumps(EVENT).encode()
    batch = read_events(Mode.BATCH, [], array)
    assert isinstance(batch, Wrapped)
    told = [batch.unwrap(raw) for raw in batch.items.items]
    assert [one.code if isinstance(one, Rejected) else "item" for one in told] == ["item", "not_an_object", "item"]
    for mode, body, code in ((Mode.BATCH, single, "not_an_array"), (Mode.STRUCTURED, array, "not_an_object")):
        read = read_events(mode, [], body)
        assert isinstance(read, Wrapped)
        assert [refused.code for refused in map(read.unwrap, read.items.items) if isinstance(refused, Rejected)] == [
            code
        ]


def test_what_data_says_keeps_its_exact_digits_and_its_last_duplicate() -> None:
    body = json.dumps(EVENT | {"data": 0}).replace(
        '"data": 0', '"data": {"person_id":"a","person_id":"b","event":"x"} '
    )
    taken = one(body.encode())
    assert isinstance(taken, Accepted)
    [fact] = taken.facts
    assert isinstance(fact, Usage)
    assert fact.person_id == "b"
    money = {"account_id": "a", "effective_on": "2023-04-01", "change": "new", "acv_after": "?"}
    text = json.dumps(EVENT | {"type": "genki.contract", "data": money}).replace('"?"', "123456789012345.10")
    refused = one(text.encode())
    assert isinstance(refused, Rejected)
    assert refused.code == "invalid_acv_after"
