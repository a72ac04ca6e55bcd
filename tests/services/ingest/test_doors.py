"""Both doors over the real log and database: answers, refusals, what is on the log after them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.ingest.settings import IngestSettings
from shared.bus import BusUnavailable
from shared.facts import Contact
from tests.conftest import TestDatabase
from tests.services.ingest.asking import TRACK, USAGE, basic, send, track
from tests.services.ingest.conftest import House, opened


async def test_every_item_is_answered_in_order_and_the_good_ones_are_on_the_log(house: House) -> None:
    await house.new_facts()
    answer = await send(house, [USAGE | {"id": "a"}, USAGE | {"id": "b", "count": 0}, USAGE | {"id": "c"}, 5, USAGE])
    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [(one["status"], one["id"]) for one in results[:4]] == [
        ("accepted", "a"), ("rejected", "b"), ("accepted", "c"), ("rejected", None),
    ]  # fmt: skip
    assert results[1] == {
        "id": "b", "status": "rejected", "code": "invalid_count", "message": "count is not what the contract says",
    }  # fmt: skip
    assert sorted(fact.id for fact in await house.new_facts()) == sorted(["a", "c", results[4]["id"]])


async def test_one_fact_needs_no_array_and_no_content_type(house: House) -> None:
    headers = house.key("server") | {"content-type": "text/plain"}
    answer = await send(house, USAGE | {"id": "single"}, headers=headers)
    assert answer.json() == {"results": [{"id": "single", "status": "accepted"}]}
    assert (await send(house, [])).json() == {"results": []}


async def test_the_tenant_comes_from_the_key_alone(house: House) -> None:
    await house.new_facts()
    await send(house, USAGE | {"id": "theirs"}, headers=house.key("server", 1) | {"x-tenant": str(house.tenants[0])})
    assert [(fact.tenant, fact.id) for fact in await house.new_facts()] == [(house.tenants[1], "theirs")]


async def test_a_contact_with_many_accounts_is_one_result_and_many_facts(house: House) -> None:
    await house.new_facts()
    contact = {
        "type": "contact", "id": "k", "at": "2023-11-14T00:00:00Z", "account_id": "a", "account_ids": ["b", "c"],
        "channel": "tech_touch", "outcome": "reached",
    }  # fmt: skip
    assert (await send(house, contact)).json() == {"results": [{"id": "k", "status": "accepted"}]}
    facts = await house.new_facts()
    assert {type(fact) for fact in facts} == {Contact}
    assert sorted(fact.id for fact in facts) == ["k#a", "k#b", "k#c"]


UNSOUND: list[tuple[bytes, int, str]] = [
    (b"", 400, "not_json"),
    (b"[NaN]", 400, "not_json"),
    (b"\xff", 400, "not_json"),
    ("[]".encode("utf-16"), 400, "not_json"),
    (b"[" * 101 + b"]" * 101, 400, "too_deep"),
    (b"[" + b",".join([b"{}"] * 1_001) + b"]", 413, "too_large"),
    (b"[" + b" " * 4_194_304 + b"]", 413, "too_large"),
    (gzip.compress(b"[" + b" " * 4_194_304 + b"]"), 413, "too_large"),
    (gzip.compress(b"[]")[:-3], 400, "bad_gzip"),
]


@pytest.mark.parametrize(("body", "status", "code"), UNSOUND, ids=range(len(UNSOUND)))
async def test_an_unsound_request_is_refused_whole_as_a_problem(
    house: House, body: bytes, status: int, code: str
) -> None:
    answer = await send(house, body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    members = {"type", "title", "status", "detail", "code", "message", "request_id", "errors"}
    assert set(problem) == members
    assert len(answer.content) < 1_000


async def test_packed_bodies_are_told_by_their_first_bytes(house: House) -> None:
    body = json.dumps([USAGE | {"id": "packed"}]).encode()
    for packed in (gzip.compress(body), gzip.compress(body[:9]) + gzip.compress(body[9:])):
        assert (await send(house, packed)).json() == {"results": [{"id": "packed", "status": "accepted"}]}


async def test_the_key_is_looked_at_before_the_body(house: House) -> None:
    async def never() -> AsyncIterator[bytes]:
        for _ in range(1):
            raise AssertionError("the body was read")
        yield b""

    for headers, status in (({}, 401), ({"authorization": "Bearer nobody"}, 401), (house.key("write"), 403)):
        answer = await house.client.post("/v1/events", content=never(), headers=headers)
        assert answer.status_code == status
    answer = await house.client.post("/v1/track", content=never(), headers=basic("nobody"))
    assert answer.status_code == 401


@pytest.mark.parametrize(("kind", "status"), [("server", 200), ("write", 403), ("viewer", 403), ("admin", 403)])
async def test_the_event_door_opens_to_server_keys_only(house: House, kind: str, status: int) -> None:
    assert (await send(house, USAGE, headers=house.key(kind))).status_code == status


async def test_what_was_refused_is_listed_to_its_tenant_alone_the_newest_first(house: House) -> None:
    await house.flush()
    await house.owner.execute("SET session_replication_role = DEFAULT; DELETE FROM ingest.rejection")
    await send(house, [USAGE | {"id": f"r{n}", "count": -n} for n in range(5)])
    await track(house, "t", {"userId": "u", "messageId": "m\0", "event": "e", "x": "y" * 3_000}, house.key("write"))
    await house.flush()
    first = (await house.client.get("/v1/ingest/rejections?limit=4", headers=house.key("viewer"))).json()
    assert (len(first["items"]), first["total"]) == (4, 6)
    newest, *others = first["items"]
    assert newest["route"] == "/v1/track"
    assert (newest["code"], newest["type"], newest["index"]) == ("invalid_messageId", "track", 0)
    assert len(newest["payload"]) == 2_048
    assert [(one["id"], one["index"], one["code"], one["route"]) for one in others] == [
        (f"r{n}", n, "invalid_count", "/v1/events") for n in (4, 3, 2)
    ]
    assert set(newest) == {"at", "route", "index", "type", "id", "code", "message", "payload"}
    rest = await house.client.get(
        "/v1/ingest/rejections", params={"cursor": first["next_cursor"]}, headers=house.key("viewer")
    )
    assert [one["id"] for one in rest.json()["items"]] == ["r1", "r0"]
    assert rest.json()["next_cursor"] is None
    other = await house.client.get("/v1/ingest/rejections", headers=house.key("admin", 1))
    assert (other.json()["items"], other.json()["total"]) == ([], 0)


async def test_the_list_of_refusals_asks_for_a_key_that_reads(house: House) -> None:
    for kind, status in (("write", 403), ("server", 403), ("viewer", 200)):
        assert (await house.client.get("/v1/ingest/rejections", headers=house.key(kind))).status_code == status
    assert (await house.client.get("/v1/ingest/rejections")).status_code == 401


async def test_refusals_beyond_ten_thousand_are_only_counted(house: House) -> None:
    async def told() -> tuple[int, int]:
        headers = house.key("viewer", 1)
        listed = (await house.client.get("/v1/ingest/rejections?limit=1", headers=headers)).json()["total"]
        return listed, (await house.client.get("/internal/rejections/count?hours=24", headers=headers)).json()["count"]

    _, before = await told()
    for _ in range(11):
        await send(house, [7] * 1_000, headers=house.key("server", 1))
    await house.flush()
    assert await told() == (10_000, before + 11_000)


async def test_refusals_are_forgotten_after_seven_days(house: House) -> None:
    await send(house, [5])
    await house.flush()
    rejections: Any = house.service.parts["rejections"]
    await house.owner.execute("UPDATE ingest.rejection SET at = at - interval '7 days 1 minute'")
    listed = await house.client.get("/v1/ingest/rejections", headers=house.key("viewer"))
    assert listed.json()["total"] == 0
    await rejections.prune_once()
    assert await house.owner.fetchval("SELECT count(*) FROM ingest.rejection") == 0


async def test_a_log_that_does_not_confirm_is_a_503_with_retry_after_and_never_a_200(database: TestDatabase) -> None:
    class Away:
        id, partitions = "pg", 4

        async def publish(self, records: Any, timeout: float) -> None:
            raise BusUnavailable("away on purpose")

        async def ping(self) -> None:
            raise BusUnavailable("away on purpose")

    bus: Any = Away()
    async with opened(database, IngestSettings(), bus) as house:
        await house.add_tenant("third")
        event = await send(house, USAGE)
        call = await track(house, "track", TRACK, house.key("write"))
        ready = await house.client.get("/readyz")
        healthy = await house.client.get("/healthz")
        refused = await send(house, [5])
    for answer in (event, call):
        assert (answer.status_code, answer.json()["code"]) == (503, "log_unavailable")
        assert answer.headers["retry-after"] == "1"
    assert (ready.status_code, ready.json()["dependencies"]["database"]) == (503, "ok")
    assert (healthy.status_code, refused.status_code) == (200, 200)


async def test_every_answered_fact_is_on_the_log_under_many_requests_at_once(house: House) -> None:
    await house.new_facts()
    ids = [f"many-{n}" for n in range(200)]
    answers = await asyncio.gather(*(send(house, USAGE | {"id": one, "person_id": one}) for one in ids))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(fact.id for fact in await house.new_facts()) == sorted(ids)


async def test_health_and_metrics_are_there(house: House) -> None:
    assert (await house.client.get("/readyz")).json()["dependencies"] == {"log": "ok", "database": "ok"}
    counted = (await house.client.get("/metrics")).text
    assert 'genki_ingest_items_total{door="events",outcome="accepted"}' in counted


async def test_the_openapi_document_names_every_public_route(house: House) -> None:
    told = (await house.client.get("/openapi.json")).json()
    own = {"/openapi.json", "/healthz", "/readyz", "/metrics", "/sourceConfig", "/internal/rejections/count"}
    assert set(told["paths"]) == house.service.parts["paths"] - own


CLOUD_EVENT = {
    "specversion": "1.0", "type": "genki.usage", "source": "/app", "id": "ce", "time": "2023-11-14T00:00:00Z",
    "data": {"person_id": "p1", "event": "report"},
}  # fmt: skip


async def test_cloudevents_pass_the_same_door_in_all_three_modes(house: House) -> None:
    await house.new_facts()
    key = house.key("server")
    structured = key | {"content-type": "application/cloudevents+json; charset=UTF-8"}
    batch = key | {"content-type": "application/cloudevents-batch+json"}
    binary = key | {"content-type": "application/json", "ce-specversion": "1.0", "ce-type": "genki.usage"}
    binary |= {"ce-source": "/app", "ce-id": "%E2%82%AC", "ce-time": "2023-11-14T00:00:00Z"}
    assert (await send(house, CLOUD_EVENT | {"id": "s"}, headers=structured)).json() == {
        "results": [{"id": "s", "status": "accepted"}]
    }
    answer = await send(house, [CLOUD_EVENT | {"id": "b1"}, {}, CLOUD_EVENT | {"id": "b2"}], headers=batch)
    assert [(one["id"], one["status"], one.get("code")) for one in answer.json()["results"]] == [
        ("b1", "accepted", None), (None, "rejected", "missing_field"), ("b2", "accepted", None),
    ]  # fmt: skip
    assert (await send(house, CLOUD_EVENT["data"], headers=binary)).json() == {
        "results": [{"id": "€", "status": "accepted"}]
    }
    assert (await send(house, [], headers=batch)).json() == {"results": []}
    assert sorted(fact.id for fact in await house.new_facts()) == ["b1", "b2", "s", "€"]


async def test_invalid_cloudevents_answer_200_and_unsound_requests_do_not(house: House) -> None:
    key = house.key("server")
    structured, batch = (key | {"content-type": f"application/cloudevents{more}"} for more in ("+json", "-batch+json"))
    no_time = {name: value for name, value in CLOUD_EVENT.items() if name != "time"}
    answer = await send(house, no_time, headers=structured)
    assert (answer.status_code, answer.json()["results"]) == (200, [
        {"id": "ce", "status": "rejected", "code": "missing_field", "message": "time is missing"}
    ])  # fmt: skip
    answer = await send(house, {"person_id": "p1"}, headers=key | {"ce-id": "x"})
    assert (answer.status_code, answer.json()["results"][0]["code"]) == (200, "missing_field")
    for headers, body, status, code in (
        (structured, b"nonsense", 400, "not_json"),
        (key | {"ce-id": "x"}, b"<xml/>", 400, "not_json"),
        (key | {"content-type": "application/cloudevents+avro"}, b"{}", 400, "unknown_format"),
        (batch, json.dumps([CLOUD_EVENT] * 1_001).encode(), 413, "too_large"),
        (house.key("write") | structured | house.key("write"), b"{}", 403, "forbidden"),
    ):
        answer = await send(house, body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
