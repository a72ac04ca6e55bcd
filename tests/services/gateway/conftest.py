"""A gateway before small services that say what reached them, in this process and over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import httpx2
import pytest
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from services.gateway.app import NAME, Door
from services.gateway.upstream import Inside, Outside, Upstream
from shared.clock import Clock
from shared.http import Front, front
from shared.http.health import health_routes
from shared.service import Service
from shared.shares import Shares
from shared.tenancy import PRINCIPAL, Keyring, NewKey, new_key


@pytest.fixture(autouse=True)
def plain_log() -> Iterator[None]:
    """Log lines without colours and frames' variables: drawing those takes seconds."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    yield
    structlog.reset_defaults()


class Keys:
    """Keys in a drawer: one of each kind and role."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.text = {kind: self._put(kind, None).text for kind in ("write", "server")}
        self.text |= {role: self._put("api", role).text for role in ("admin", "manager", "csm", "viewer")}

    def _put(self, kind: str, role: str | None) -> NewKey:
        key = new_key(kind)
        row = {"tenant": 7, "tenant_id": "t7", "kind": kind, "role": role, "csm_id": None, "fx": None}
        row |= {"secret_hash": key.secret_hash, "expires_at": None, "revoked_at": None}
        self.rows[key.key_id] = row | {"time_zone": "UTC", "currency": "JPY"}
        return key

    async def find(self, key_id: str) -> dict[str, Any] | None:
        return self.rows.get(key_id)


class Echo:
    """A service that answers with what reached it, and streams until its client leaves."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.left = asyncio.Event()
        self.parts: list[int] = []
        self.calls = 0
        self.state = "ok"
        routes = [Route("/v1/stream", self.stream), Route("/v1/load", self.broken), Route("/v1/tiers", self.half)]
        routes += [Route("/v1/matrix", self.slow), Route("/openapi.json", self.document)]
        routes += [Route("/v1/summary", self.summary), Route("/internal/rejections/count", self.count)]
        routes += [Route("/v1/nps", self.figures), Route("/internal/survey-names", self.names)]
        routes += health_routes(self.ready, Clock())
        everything = Route("/{path:path}", self.echo, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"])
        self.app = Starlette(routes=[*routes, everything])
        front(self.app, name, 50_000_000)

    def service(self) -> Service:
        return Service(self.name, self.app, ready=self.ready)

    async def ready(self) -> dict[str, str]:
        return {"database": "ok", "bus": self.state}

    async def echo(self, request: Request) -> Response:
        self.calls += 1
        size = 0
        async for part in request.stream():
            size += len(part)
            self.parts.append(len(part))
        told = {
            "service": self.name,
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": [[n.decode(), v.decode("latin-1")] for n, v in request.scope["headers"]],
            "size": size,
            "client": request.client.host if request.client else None,
            "principal": PRINCIPAL in request.scope,
        }
        return JSONResponse(told, 201, {"x-own": "1", "connection": "x-private", "x-private": "1"})

    async def stream(self, request: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            try:
                yield b"event: health\n\n"
                while True:
                    await asyncio.sleep(0.02)
                    yield b": beat\n\n"
            finally:
                self.left.set()

        return StreamingResponse(events(), media_type="text/event-stream")

    async def slow(self, request: Request) -> Response:
        try:
            await asyncio.sleep(30)
        finally:
            self.left.set()
        return Response()

    async def broken(self, request: Request) -> Response:
        raise RuntimeError("SECRET")

    async def half(self, request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            await asyncio.sleep(0.01)
            raise RuntimeError("SECRET")

        return StreamingResponse(parts())

    async def document(self, request: Request) -> Response:
        return JSONResponse({"paths": {"/v1/coverage": {"get": {"summary": f"by {self.name}", "responses": {}}}}})

    async def summary(self, request: Request) -> Response:
        if "bad" in request.url.query:
            return JSONResponse({"code": "invalid"}, 422, media_type="application/problem+json")
        return JSONResponse({"headline": {"unassigned": 3, "rejected_24h": None}, "query": request.url.query})

    async def figures(self, request: Request) -> Response:
        if request.query_params.get("by") == "bad":
            return JSONResponse({"code": "invalid"}, 422, media_type="application/problem+json")
        groups = [{"key": "s-1", "name": None, "nps": 100 / 3}, {"key": "s-2", "name": None, "nps": None}]
        return JSONResponse({"groups": groups, "query": request.url.query})

    async def names(self, request: Request) -> Response:
        return JSONResponse({"s-1": "秋"})

    async def count(self, request: Request) -> Response:
        return JSONResponse({"count": 17} if request.headers.get("authorization") else {}, 200)


@asynccontextmanager
async def serving(app: ASGIApp, *, public: bool = False) -> AsyncIterator[str]:
    """The application behind a real loopback socket; yields its URL. Only inner ports believe X-Forwarded-For."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    quiet: dict[str, Any] = {"log_level": "critical", "access_log": False, "lifespan": "off"}
    config = uvicorn.Config(app, proxy_headers=not public, timeout_graceful_shutdown=1, **quiet)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110 uvicorn tells it no other way
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


class House:
    """A gateway and what stands behind it."""

    def __init__(self, url: str, keys: Keys, echoes: dict[str, Echo], behind: dict[str, Upstream]) -> None:
        self.url, self.keys, self.echoes, self.behind = url, keys, echoes, behind

    def key(self, holder: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys.text[holder]}"}


@pytest.fixture(params=["inside", "outside"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """A gateway on a socket, before services of its own process or, over sockets, of another."""
    keys, echoes = Keys(), {name: Echo(name) for name in ("ingest", "scoring", "nps")}
    async with AsyncExitStack() as stack:
        behind: dict[str, Upstream] = {n: Inside(e.service()) for n, e in echoes.items()}
        if request.param == "outside":
            session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
            urls = {name: await stack.enter_async_context(serving(echo.app)) for name, echo in echoes.items()}
            behind = {name: Outside(name, url, session) for name, url in urls.items()}
        own = Echo(NAME)
        door = Front(Door({**behind, NAME: own.app}, Keyring(keys.find, Clock()), Shares(10_000)), NAME, 20_000_000)
        yield House(await stack.enter_async_context(serving(door, public=True)), keys, echoes, behind)


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the gateway."""
    async with httpx2.AsyncClient(base_url=house.url, timeout=10) as made:
        yield made
