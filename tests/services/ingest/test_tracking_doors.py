"""The tracking doors over the real log and database: keys wherever SDKs put them, browsers, real SDKs' requests."""

import base64
import gzip
import json
from typing import Any

import pytest

from services.ingest.settings import IngestSettings
from shared.facts import Account, Alias, Person, Usage
from tests.conftest import TestDatabase
from tests.services.ingest.asking import FIXTURES, TRACK, basic, track
from tests.services.ingest.conftest import House, opened


@pytest.mark.parametrize(("kind", "status"), [("server", 200), ("write", 200), ("viewer", 403), ("admin", 403)])
async def test_the_tracking_doors_open_to_write_and_server_keys(house: House, kind: str, status: int) -> None:
    assert (await track(house, "track", TRACK, house.key(kind))).status_code == status


PLACES = ["basic", "bearer", "body", "foreign bearer"]


@pytest.mark.parametrize("place", PLACES)
async def test_the_write_key_is_found_wherever_an_sdk_puts_it(house: House, place: str) -> None:
    key = house.keys[0]["write"]
    headers = {
        "basic": basic(key), "bearer": house.key("write"), "body": {},
        "foreign bearer": {"authorization": "Bearer e30"},
    }[place]  # fmt: skip
    body = TRACK | ({"writeKey": key} if place in ("body", "foreign bearer") else {})
    answer = await track(house, "track", body, headers)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "accepted": 1, "rejected": []})


async def test_a_write_key_in_an_item_of_a_batch_is_enough(house: House) -> None:
    answer = await track(house, "batch", {"batch": [TRACK, TRACK | {"writeKey": house.keys[0]["write"]}]})
    assert (answer.status_code, answer.json()["accepted"]) == (200, 2)


async def test_two_different_write_keys_are_refused_and_beside_a_bearer_the_write_key_counts(house: House) -> None:
    await house.new_facts()
    first, second = (keys["write"] for keys in house.keys)
    for path, body, headers in (
        ("track", TRACK | {"writeKey": second}, basic(first)),
        ("batch", {"batch": [TRACK | {"writeKey": second}], "writeKey": first}, {}),
        ("batch", {"batch": [TRACK | {"writeKey": first}, TRACK | {"writeKey": second}]}, {}),
    ):
        answer = await track(house, path, body, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "two_write_keys")
    assert await house.new_facts() == []
    await track(house, "track", TRACK | {"writeKey": second}, house.key("write"))
    assert [fact.tenant for fact in await house.new_facts()] == [house.tenants[1]]


async def test_a_tracking_call_without_any_key_is_refused(house: House) -> None:
    for body in (TRACK, TRACK | {"writeKey": "nobody"}):
        assert (await track(house, "track", body)).status_code == 401


async def test_keyless_calls_of_one_address_are_limited(database: TestDatabase) -> None:
    async with opened(database, IngestSettings(keyless_per_minute=3)) as house:
        answers = [await track(house, "track", TRACK) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert answers[4].headers["retry-after"] == answers[4].headers["x-ratelimit-reset"] == "60"


async def test_refused_messages_are_named_and_the_rest_is_taken(house: House) -> None:
    batch = [TRACK, TRACK | {"event": None, "messageId": "m2"}, {"type": "merge"}, TRACK]
    answer = await track(house, "batch", {"batch": batch}, house.key("write"))
    assert answer.json() == {
        "success": True,
        "accepted": 2,
        "rejected": [
            {"index": 1, "messageId": "m2", "code": "missing_field", "message": "event is missing"},
            {"index": 2, "messageId": None, "code": "unknown_type", "message": "no such call"},
        ],
    }


async def test_a_batch_has_2500_messages(house: House) -> None:
    for count, status in ((2_500, 200), (2_501, 413)):
        answer = await track(house, "b", {"batch": [TRACK] * count}, house.key("write"))
        assert answer.status_code == status


def captures() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FIXTURES / "sdk-captures.jsonl").read_text().splitlines()]


async def test_requests_of_real_sdks_work_unchanged_but_for_the_key(house: House) -> None:
    await house.new_facts()
    key = house.keys[0]["write"]
    for request in captures():
        headers = {
            name: value for name, value in request["h"].items() if name.lower() not in ("content-length", "host")
        }
        body = request["body"]
        if "Authorization" in headers:
            old = base64.b64decode(headers["Authorization"].split()[1]).decode().rstrip(":")
            headers |= {"Authorization": basic(key)["authorization"]}
            body = body.replace(f'"{old}"', f'"{key}"')
        packed = headers.get("Content-Encoding") == "gzip"
        content = gzip.compress(body.encode()) if packed else body.encode()
        answer = await house.client.request(request["m"], request["path"], content=content, headers=headers)
        assert answer.status_code == (204 if request["m"] == "OPTIONS" else 200), (request["path"], answer.text)
        if request["m"] == "POST":
            assert answer.json()["rejected"] == []
    kinds = [type(fact) for fact in await house.new_facts()]
    # The file holds 9 track, 3 page, 1 screen; 4 identify; 4 group, each with a person; 2 alias.
    assert {kind: kinds.count(kind) for kind in kinds} == {Usage: 13, Person: 8, Account: 4, Alias: 2}


@pytest.mark.parametrize("path", ["/v1/track", "/v1/b", "/v1/m", "/sourceConfig/", "/v1/projects/wk/settings"])
async def test_browsers_of_any_origin_may_ask(house: House, path: str) -> None:
    answer = await house.client.options(
        path,
        headers={
            "origin": "https://shop.example",
            "access-control-request-headers": "AnonymousId, SentAt, Authorization",
        },
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    allowed = set(answer.headers["access-control-allow-headers"].split(", "))
    assert allowed == {"authorization", "content-type", "anonymousid", "sentat", "x-retry-count"}
    assert answer.headers["access-control-allow-methods"] == "POST, GET, OPTIONS"


async def test_refusals_too_can_be_read_by_a_browser(house: House) -> None:
    answer = await track(house, "track", TRACK)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "*")


async def test_the_settings_an_sdk_fetches_echo_the_key_it_asked_with(house: House) -> None:
    segment = (await house.client.get("/v1/projects/wk_1/settings")).json()
    assert segment["integrations"]["Segment.io"] == {
        "apiKey": "wk_1", "apiHost": "genki.test/v1", "protocol": "http",
    }  # fmt: skip
    assert segment["metrics"] == {"sampleRate": 0}
    for path in ("/sourceConfig/", "/sourceConfig"):
        rudder = (await house.client.get(path, params={"writeKey": "wk_2", "p": "npm"})).json()
        assert (rudder["source"]["writeKey"], rudder["source"]["enabled"]) == ("wk_2", True)


async def test_sdk_metrics_are_answered_and_not_stored(house: House) -> None:
    await house.new_facts()
    answer = await track(house, "m", {"series": []})
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert await house.new_facts() == []
