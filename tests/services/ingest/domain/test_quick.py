"""The short ways by columns: what they take becomes the very lines of the long way, the rest they leave to it."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.intake import admit
from services.ingest.domain.message import Call, read_call
from services.ingest.domain.quick import Lines, lines_of, read_plain
from services.ingest.domain.quick_tracks import tracker
from services.ingest.domain.segment import admit_call, surroundings
from services.ingest.domain.split import Items, split
from services.ingest.domain.verdict import Accepted, Door, Rejected, to_lines

FIXTURES = Path(__file__).parents[3] / "fixtures"
PARTITIONS = 12
DOOR = Door(7, "JPY", frozenset(), 1_795_294_050_000_000, lambda: "made")  # 2026-11-21T20:47:30Z
USAGE = {
    "type": "usage", "id": "0123456789", "at": "2026-11-14T00:00:00.123Z", "person_id": "person-0001",
    "event": "report", "account_id": "account-01", "properties": {"path": "/a", "n": 1},
}  # fmt: skip
TRACK = {
    "type": "track", "messageId": "message-0001", "userId": "person-0001", "event": "Export Run",
    "timestamp": "2026-11-21T20:47:29.500+00:00", "context": {"groupId": "account-01", "library": {"name": "x"}},
}  # fmt: skip
IDS = st.sampled_from(
    ["", "0", "null", "a#b", "0123456789", " undefined ", "undefined   ", "\u3000anonymous", "x" * 101]
)
TEXTS = IDS | st.text(max_size=30) | st.text('ab#\n "\\{[', min_size=8, max_size=14) | st.sampled_from(["y" * 201])
TIMES = st.sampled_from([
    "2026-11-21T20:47:30Z", "2026-11-21T20:47:30.1234567Z", "2026-11-21T20:47:30.123456+00:00", "2026-11-21 20:47:30Z",
    "2026-11-21T23:47:30.123+09:00", "2016-12-31T23:59:60Z", "2026-11-21T20:47:30", "1899-12-31T00:00:00Z", "soon",
    "2026-11-21T20:52:31Z", "2026-02-30T00:00:00.000Z", "2026-11-21T20:47:30.12Z", "",
])  # fmt: skip
VALUES = st.recursive(TEXTS | st.integers() | st.none() | st.booleans(), lambda one: st.lists(one, max_size=2) | (
    st.dictionaries(TEXTS, one, max_size=2)), max_leaves=5)  # fmt: skip
ITEMS = st.fixed_dictionaries({}, optional={
    "id": TEXTS | VALUES, "at": TIMES, "person_id": TEXTS | VALUES, "event": TEXTS | VALUES,
    "account_id": TEXTS | st.none() | VALUES, "count": st.sampled_from([1, 2, 0, 3.0, 1_000_001, None, "1"]),
    "properties": VALUES, "type": st.sampled_from(["usage", "person", "track"]), "unknown": VALUES,
})  # fmt: skip
MESSAGES = st.fixed_dictionaries({}, optional={
    "messageId": TEXTS | VALUES, "userId": TEXTS | VALUES, "anonymousId": TEXTS | VALUES, "event": TEXTS | VALUES,
    "timestamp": TIMES, "originalTimestamp": TIMES, "sentAt": TIMES, "writeKey": TEXTS, "groupId": st.integers(),
    "context": st.none() | st.fixed_dictionaries({}, optional={"groupId": TEXTS | VALUES, "traits": VALUES}),
    "properties": VALUES | st.fixed_dictionaries({"groupId": TEXTS | VALUES}),
    "type": st.sampled_from(["track", "page", "identify", "nothing"]),
})  # fmt: skip


def judged(verdicts: list[Accepted | Rejected]) -> tuple[list[str | None], Lines]:
    """The ids and lines of the long way."""
    lines: Lines = {}
    for verdict in verdicts:
        for topic, part, line in to_lines(verdict.facts, PARTITIONS) if isinstance(verdict, Accepted) else ():
            lines.setdefault((topic, part), []).append(line)
    return [one.id if isinstance(one, Accepted) else None for one in verdicts], lines


def agree_on(items: list[Any], *, separators: tuple[str, str] = (",", ":")) -> bool:
    """Whether the short way took these items of /v1/events; then it made of them what the long way makes."""
    body = json.dumps(items, ensure_ascii=False, separators=separators).encode("utf-8", "replace")
    plain = read_plain(body, 1_000)
    lines = None if plain is None else lines_of(plain, DOOR, PARTITIONS)
    if plain is None or lines is None:
        return False
    found = split(body)
    assert isinstance(found, Items)
    assert (plain.ids, lines) == judged([admit(raw, DOOR) for raw in found.items])
    return True


def agree_on_call(body: bytes, header: str | None = None) -> bool:
    """The same of a batch of a tracking SDK."""
    call = read_call("batch", body)
    assert isinstance(call, Call)
    if not call.messages:
        return False
    lines: Lines = {}
    ids = tracker(surroundings(call, header), DOOR, PARTITIONS, lines)(call.messages, call.raws)
    if ids is None:
        assert lines == {}
    else:
        assert (list(ids), lines) == judged(admit_call(call, header, DOOR))
    return ids is not None


def test_plain_facts_take_the_short_way() -> None:
    assert agree_on([USAGE, USAGE | {"id": "1123456789", "account_id": None, "count": 3}])
    assert agree_on([{name: value for name, value in USAGE.items() if name not in ("properties", "account_id")}])
    assert agree_on([USAGE | {"at": "2026-11-14T00:00:00.123456+00:00", "person_id": "新しい人の番号です0123"}])


def test_one_fact_that_needs_a_second_look_takes_all_with_it_the_long_way() -> None:
    odds: list[dict[str, Any]] = [
        {"id": None}, {"id": "short"}, {"person_id": "has#inside"}, {"account_id": " undefined "}, {"type": "person"},
        {"person_id": "\u3000anonymous"}, {"account_id": "undefined\u00a0"},
        {"properties": {"a": {}}}, {"properties": [1]}, {"properties": "{"}, {"properties": 5}, {"at": "soon"},
        {"at": "2026-11-21T21:00:00Z"}, {"at": "1890-01-01T00:00:00Z"}, {"event": "a\tb"}, {"x": 1}, {"count": 0},
    ]  # fmt: skip
    for odd in odds:
        assert not agree_on([USAGE, USAGE | odd]), odd
    assert not agree_on([USAGE | {"properties": {"a": "b" * 33_000}}])
    assert not agree_on([USAGE, {name: value for name, value in USAGE.items() if name != "type"}])


def test_a_large_request_of_small_facts_takes_the_short_way_and_one_fact_that_is_too_large_does_not() -> None:
    many = [USAGE | {"id": f"{number:010}", "count": number or None} for number in range(1_000)]
    assert agree_on(many)
    assert agree_on(many, separators=(", ", ": "))
    bare = [{name: fact[name] for name in ("type", "id", "at", "person_id", "event")} for fact in many]
    assert agree_on(bare)
    room = 32_768 - len(json.dumps(USAGE | {"properties": {"a": ""}}, separators=(",", ":")))
    assert agree_on([*bare[1:], USAGE | {"properties": {"a": "b" * (room - 1_100)}}])
    assert not agree_on([*bare[1:], USAGE | {"properties": {"a": "b" * (room + 1)}}])
    assert not agree_on(many + many[:1])


@settings(max_examples=300, deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=3))
def test_whatever_facts_the_short_way_takes_it_makes_what_the_long_way_makes(changes: list[dict[str, Any]]) -> None:
    agree_on([USAGE | change for change in changes])


def batch(*messages: dict[str, Any], **around: Any) -> bytes:
    return json.dumps({"batch": messages, **around}, ensure_ascii=False).encode("utf-8", "replace")


def test_plain_track_calls_take_the_short_way() -> None:
    bare = {name: value for name, value in TRACK.items() if name != "context"}
    assert agree_on_call(batch(TRACK, TRACK | {"messageId": "message-0002"}, sentAt="2026-11-21T20:47:29.900Z"))
    assert agree_on_call(batch(bare, bare | {"userId": None, "anonymousId": "stranger-01"}))
    assert agree_on_call(batch(TRACK | {"sentAt": "2026-11-21T20:47:29.900Z"}, TRACK), "2026-11-21T20:47:29.800Z")


def test_calls_that_need_a_second_look_take_the_long_way() -> None:
    for odd in (
        {"userId": "0"}, {"userId": 12345678901}, {"messageId": None}, {"event": ""}, {"type": "page"},
        {"context": {}, "properties": {"groupId": "other-account"}}, {"context": {"groupId": "null"}},
        {"context": {"groupId": 5}}, {"timestamp": None}, {"timestamp": "2015-2-02"}, {"event": "e" * 201},
        {"messageId": "message-0001\0"}, {"userId": "person-\x000001"}, {"event": "a\0b"}, {"event": "a\\b"},
        {"context": {"groupId": "account\x0001"}}, {"userId": "\u3000anonymous"}, {"userId": "anonymous\u2003"},
    ):  # fmt: skip
        assert not agree_on_call(batch(TRACK, TRACK | odd)), odd
    assert not agree_on_call(batch({**TRACK, "context": {}}, context={"groupId": "of-the-batch"}))


def test_calls_taken_by_parts_join_the_lines_that_other_parts_have_made() -> None:
    call = read_call("batch", batch(*(TRACK | {"messageId": f"message-{number:04}"} for number in range(8))))
    assert isinstance(call, Call)
    lines: Lines = {}
    take = tracker(surroundings(call, None), DOOR, PARTITIONS, lines)
    assert take(call.messages[:4], call.raws[:4])
    for held in lines.values():
        held.append(b"another's")
    assert take(call.messages[4:], call.raws[4:])
    made = [line for held in lines.values() for line in held]
    assert len(made) == 9
    (whole,) = judged(admit_call(call, None, DOOR))[1].values()  # one person, one partition
    assert [line for line in made if line != b"another's"] == whole


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.none() | TIMES, st.none() | TIMES)
def test_whatever_calls_the_short_way_takes_it_makes_what_the_long_way_makes(
    changes: list[dict[str, Any]], sent_at: str | None, header: str | None
) -> None:
    agree_on_call(batch(*(TRACK | change for change in changes), sentAt=sent_at), header)


def test_track_calls_that_real_sdks_sent_become_the_same_either_way() -> None:
    lines = (FIXTURES / "sdk-captures.jsonl").read_text("utf-8").splitlines()
    bodies = [json.loads(one["body"]) for line in lines if (one := json.loads(line))["m"] == "POST"]
    calls = [call for body in bodies for call in body.get("batch", [body])]
    tracks = [call | {"userId": "person-0001", "sentAt": None} for call in calls if call.get("type") == "track"]
    assert len(tracks) > 3
    assert sum(agree_on_call(batch(call, sentAt="2026-11-21T20:47:29.900Z")) for call in tracks) > 3
