"""The door: whom it lets in, and that what passes is what was sent, near and far."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.services.gateway.conftest import House


async def test_a_checked_request_reaches_its_service_unchanged(client: httpx2.AsyncClient, house: House) -> None:
    path = "/v1/accounts/a%2Fb%20%E6%96%B0/health?as_of=2017-07-01T00:00:00%2B09:00&x=%25"
    sent = [("Authorization", house.key("viewer")["Authorization"]), (b"X-Thing", "Grüße".encode())]
    answer = await client.get(path, headers=sent)
    told = answer.json()
    assert answer.status_code == 201
    assert (told["service"], told["method"], told["size"]) == ("scoring", "GET", 0)
    assert f"{told['path']}?{told['query']}" == path
    headers = dict(told["headers"])
    assert f"http://{headers['host']}" == house.url
    assert headers["authorization"] == house.key("viewer")["Authorization"]
    assert headers["x-thing"].encode("latin-1").decode() == "Grüße"
    assert not told["principal"]
    assert answer.headers["x-own"] == "1"


async def test_a_body_streams_through_and_arrives_whole(client: httpx2.AsyncClient, house: House) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 100_000

    answer = await client.post("/v1/imports/accounts", content=parts(), headers=house.key("server"))
    assert answer.json()["size"] == 10_000_000
    assert max(house.echoes["ingest"].parts) < 2_000_000


async def test_a_body_of_declared_length_keeps_it_and_its_type(client: httpx2.AsyncClient, house: House) -> None:
    headers = house.key("server") | {"Content-Type": "application/cloudevents+json", "Content-Encoding": "gzip"}
    told = (await client.post("/v1/events", content=b"x" * 1234, headers=headers)).json()
    assert told["size"] == 1234
    kept = {n: v for n, v in told["headers"] if n.startswith("content-") or n == "transfer-encoding"}
    assert kept == {
        "content-length": "1234",
        "content-type": "application/cloudevents+json",
        "content-encoding": "gzip",
    }


async def test_a_request_has_one_id_everywhere(client: httpx2.AsyncClient, house: House) -> None:
    answer = await client.get("/v1/usage", headers=house.key("csm") | {"X-Request-ID": "one-id-for-all"})
    assert answer.headers.get_list("x-request-id") == ["one-id-for-all"]
    made = await client.get("/v1/load", headers=house.key("csm"))
    assert made.headers.get_list("x-request-id") == [made.json()["request_id"]]


async def test_headers_of_one_hop_stay_there_and_the_far_service_learns_the_clients_address(
    client: httpx2.AsyncClient, house: House, request: pytest.FixtureRequest
) -> None:
    sent = {"X-Forwarded-For": "6.6.6.6", "TE": "trailers", "Connection": "keep-alive, X-Mine", "X-Mine": "1"}
    answer = await client.get("/v1/usage", headers=house.key("csm") | sent)
    told = dict(answer.json()["headers"])
    if "outside" in request.node.name:
        assert told["x-forwarded-for"] == "127.0.0.1"
        assert not {"te", "x-mine"} & set(told)
        assert "x-private" not in answer.headers
    assert answer.json()["client"] == "127.0.0.1"
    assert len(answer.headers.get_list("date")) == 1
    assert len(answer.headers.get_list("server")) == 1


@pytest.mark.parametrize(
    ("method", "path", "holder", "status", "code"),
    [
        ("GET", "/v1/accounts", None, 401, "unauthorized"),
        ("GET", "/v1/accounts", "write", 403, "forbidden"),
        ("GET", "/v1/accounts", "server", 403, "forbidden"),
        ("POST", "/v1/events", "write", 403, "forbidden"),
        ("POST", "/v1/events", "admin", 403, "forbidden"),
        ("PUT", "/v1/settings", "csm", 403, "forbidden"),
        ("POST", "/v1/keys", "manager", 403, "forbidden"),
        ("GET", "/nowhere", "admin", 404, "not_found"),
        ("GET", "/v1/accounts/", "admin", 404, "not_found"),
        ("PATCH", "/v1/settings", "admin", 405, "method_not_allowed"),
    ],
)
async def test_the_door_refuses_before_any_service_hears_of_it(
    client: httpx2.AsyncClient, house: House, method: str, path: str, holder: str | None, status: int, code: str
) -> None:
    answer = await client.request(method, path, headers=house.key(holder) if holder else {})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert [echo.calls for echo in house.echoes.values()] == [0, 0, 0]
    if status == 405:
        assert answer.headers["allow"] == "GET, PUT"
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_missing_key_is_told_before_the_body_is_read(client: httpx2.AsyncClient) -> None:
    declared = await client.post("/v1/events", content=b"x", headers={"Content-Length": "1"})
    assert declared.status_code == 401
    large = await client.post("/v1/imports/accounts", content=b"x" * 21_000_000)
    assert large.status_code == 401


async def test_a_body_over_the_limit_is_refused_while_it_streams(client: httpx2.AsyncClient, house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"x" * 100_000

    answer = await client.post("/v1/imports/accounts", content=endless(), headers=house.key("server"))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_tracking_passes_without_a_key_at_the_door(client: httpx2.AsyncClient) -> None:
    for method, path in (("POST", "/v1/batch"), ("OPTIONS", "/v1/t"), ("GET", "/sourceConfig/?p=web")):
        assert (await client.request(method, path)).json()["service"] == "ingest"


async def test_basic_opens_the_door_too(client: httpx2.AsyncClient, house: House) -> None:
    answer = await client.post("/v1/events", auth=(house.keys.text["server"], ""))
    assert answer.json()["service"] == "ingest"


async def test_a_stream_flows_and_ends_with_its_client(client: httpx2.AsyncClient, house: House) -> None:
    async with client.stream("GET", "/v1/stream", headers=house.key("viewer")) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        parts = answer.aiter_raw()
        assert (await anext(parts)).startswith(b"event: health")
        assert b"beat" in await anext(parts)
        assert not house.echoes["scoring"].left.is_set()
        await parts.aclose()
    await asyncio.wait_for(house.echoes["scoring"].left.wait(), 5)


async def test_a_client_that_leaves_before_the_answer_takes_its_question_along(
    house: House, request: pytest.FixtureRequest
) -> None:
    async with httpx2.AsyncClient(base_url=house.url, timeout=0.3) as hasty:
        with pytest.raises(httpx2.ReadTimeout):
            await hasty.get("/v1/matrix", headers=house.key("viewer"))
    if "outside" in request.node.name:  # in one process the service itself hears of it through `receive`
        behind = house.behind["scoring"]
        await asyncio.sleep(0.1)
        assert len(behind._session.connector._acquired) == 0  # type: ignore[attr-defined]


async def test_a_failure_inside_a_service_is_a_500_that_tells_nothing(client: httpx2.AsyncClient, house: House) -> None:
    answer = await client.get("/v1/load", headers=house.key("viewer"))
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "SECRET" not in answer.text


async def test_half_an_answer_is_never_passed_on_as_a_whole_one(client: httpx2.AsyncClient, house: House) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/v1/tiers", headers=house.key("viewer"))
    assert (await client.get("/v1/usage", headers=house.key("viewer"))).status_code == 201


async def test_many_at_once_each_get_their_own_answer(client: httpx2.AsyncClient, house: House) -> None:
    async def one(number: int) -> bool:
        told = (await client.get(f"/v1/accounts/a{number}", headers=house.key("viewer"))).json()
        return told["path"] == f"/v1/accounts/a{number}"

    assert all(await asyncio.gather(*(one(number) for number in range(200))))
