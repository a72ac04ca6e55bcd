"""The front: every answer has an id and its headers, no body grows past its limit, nothing inside shows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest
import structlog
from fastapi import APIRouter, Body, FastAPI
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from shared.errors import NotFound
from shared.http import front
from shared.http.middleware import Front


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())), headers={"Cache-Control": "max-age=60"})


async def broken(request: Request) -> PlainTextResponse:
    raise RuntimeError("gk_api_secret")


async def half(request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        raise RuntimeError("secret")

    return StreamingResponse(parts())


def application(limit: int = 1000) -> FastAPI:
    app = FastAPI()
    router = APIRouter()

    @router.post("/things/{thing_id}/parse")
    async def parse(thing_id: str, body: Annotated[dict[str, Any], Body()]) -> int:
        return len(body)

    @router.get("/things/{thing_id}")
    async def thing(thing_id: str) -> None:
        raise NotFound

    @router.get("/ids/{thing_id:id}/tail")
    async def tail(thing_id: str) -> str:
        return thing_id

    app.include_router(router, prefix="/v1")
    app.router.routes.extend([Route("/echo", echo, methods=["POST"]), Route("/broken", broken), Route("/half", half)])
    front(app, "test", limit)
    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(application())
    async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as client:
        yield client


async def chunks(number: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"x" * size


async def test_every_answer_has_an_id_and_security_headers_and_keeps_its_own(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/echo", content=b"abc")
    assert answer.text == "3"
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "max-age=60"
    assert (await client.get("/v1/things/7")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("sent", "kept"), [("a1b2c3d4-ok_", True), ("short", False), ("x" * 65, False), ("a b c d e f", False)]
)
async def test_a_clients_own_id_is_kept_when_it_is_a_plain_word(
    client: httpx2.AsyncClient, sent: str, kept: bool
) -> None:
    answer = await client.get("/v1/things/7", headers={"x-request-id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_body_over_the_limit_is_a_413_by_its_length_and_by_its_bytes(client: httpx2.AsyncClient) -> None:
    for path in ("/echo", "/v1/things/7/parse"):
        for content in (b"x" * 1001, chunks(11, 100)):
            answer = await client.post(path, content=content, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large"), path
            assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert (await client.post("/echo", content=chunks(10, 100))).text == "1000"


async def test_the_bytes_after_the_limit_are_not_read(client: httpx2.AsyncClient) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 100

    assert (await client.post("/echo", content=endless())).status_code == 413
    assert taken <= 12


async def test_a_failure_inside_is_a_500_that_tells_nothing(client: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "secret" not in answer.text
    failed = [line for line in lines if line["event"] == "request_failed"]
    assert [(f["route"], f["request_id"]) for f in failed] == [("/broken", answer.headers["x-request-id"])]


async def test_an_answer_that_breaks_off_is_not_finished_as_if_it_were_whole(client: httpx2.AsyncClient) -> None:
    with pytest.raises(RuntimeError):
        await client.get("/half")


async def test_log_line_and_metrics_name_the_route_and_not_the_path(client: httpx2.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        for name in ("one", "two"):
            await client.get(f"/v1/things/{name}")
        await client.get("/nowhere/at/all")
    told = [(line["route"], line["status"], line["service"]) for line in lines if line["event"] == "request"]
    assert told == [("/v1/things/{thing_id}", 404, "test")] * 2 + [("(none)", 404, "test")]
    labels = {"service": "test", "method": "GET", "route": "/v1/things/{thing_id}", "status": "4xx"}
    assert (REGISTRY.get_sample_value("genki_http_request_seconds_count", labels) or 0) >= 2


async def test_a_busy_routes_good_and_swift_answers_are_counted_and_leave_no_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transport = httpx2.ASGITransport(Front(application(), "busy", busy=("/echo", "/v1/things/{thing_id}")))
    labels = {"service": "busy", "method": "POST", "route": "/echo", "status": "2xx"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as client:
        with structlog.testing.capture_logs() as lines:
            await client.post("/echo", content=b"abc")
            await client.get("/v1/things/7")
        assert [(line["route"], line["status"]) for line in lines] == [("/v1/things/{thing_id}", 404)]
        monkeypatch.setattr("shared.http.middleware.SLOW_SECONDS", 0.0)
        with structlog.testing.capture_logs() as lines:
            await client.post("/echo", content=b"abc")
    assert [(line["route"], line["status"]) for line in lines] == [("/echo", 200)]
    assert REGISTRY.get_sample_value("genki_http_request_seconds_count", labels) == 2


async def test_requests_under_way_are_counted() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Request) -> PlainTextResponse:
        asked.set()
        await go_on.wait()
        return PlainTextResponse("ok")

    transport = httpx2.ASGITransport(Front(Starlette(routes=[Route("/", wait)]), "counting"))
    async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as client:
        answer = asyncio.create_task(client.get("/"))
        await asked.wait()
        assert REGISTRY.get_sample_value("genki_http_requests_open", {"service": "counting"}) == 1
        go_on.set()
        await answer
    assert REGISTRY.get_sample_value("genki_http_requests_open", {"service": "counting"}) == 0


async def test_of_two_fronts_in_one_process_the_outer_speaks_once(client: httpx2.AsyncClient) -> None:
    outer = Front(application(limit=10), "outer", 1000)
    transport = httpx2.ASGITransport(outer)
    with structlog.testing.capture_logs() as lines:
        async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as both:
            small = await both.post("/echo", content=b"x")
            large = await both.post("/echo", content=b"x" * 11)
    assert (small.status_code, large.status_code) == (200, 413)
    assert small.headers.get_list("x-request-id") == [small.headers["x-request-id"]]
    assert [line["service"] for line in lines] == ["outer", "outer"]


async def test_a_silent_body_is_refused_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.passage.BODY_SECONDS", 0.05)
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "raw_path": b"/echo",
        "query_string": b"",
        "headers": [],
    }

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(10)
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    app = Starlette(routes=[Route("/echo", echo, methods=["POST"])])
    front(app, "test")
    await asyncio.wait_for(app(scope, receive, send), 2)
    assert sent[0]["status"] == 408


@pytest.mark.parametrize(
    ("sent", "meant"), [("a%2Fb", "a/b"), ("a%2fb%2F", "a/b/"), ("a%252Fb", "a%2Fb"), ("%E6%96%B0", "新")]
)
async def test_an_id_may_hold_a_slash(client: httpx2.AsyncClient, sent: str, meant: str) -> None:
    assert (await client.get(f"/v1/ids/{sent}/tail")).json() == meant


async def test_an_id_with_a_slash_has_its_plain_path_in_the_description(client: httpx2.AsyncClient) -> None:
    assert "/v1/ids/{thing_id}/tail" in (await client.get("/openapi.json")).json()["paths"]


async def test_a_failure_inside_a_whole_application_is_told_once() -> None:
    app = application()
    app.user_middleware.clear()  # the front stands outside the framework's own error layer
    transport = httpx2.ASGITransport(Front(app, "outside"))
    with structlog.testing.capture_logs() as lines:
        async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as client:
            answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert [line["event"] for line in lines] == ["request_failed", "request"]
