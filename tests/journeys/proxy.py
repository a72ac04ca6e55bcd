"""A bad network in front of Genki: passes requests on and, by a given plan, refuses them or loses their answers."""

import gzip
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from aiohttp import ClientSession, ClientTimeout, web

Fault = Literal["pass", "429", "503", "503 stored", "cut stored"]
PASS: Final[Fault] = "pass"
MAX_BODY: Final = 4_000_000  # bytes
MAX_REQUESTS: Final = 500  # a client that never stops retrying must not keep a test alive
_KEPT: Final = ("authorization", "content-type", "content-encoding", "user-agent", "x-retry-count")


@dataclass
class Trace:
    """What came by: the fault of each request in order, and the message ids of each body that reached Genki."""

    faults: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)
    passed: list[list[str]] = field(default_factory=list)


class Proxy:
    """One upstream, one plan: the n-th request meets the n-th fault, those after the plan pass."""

    def __init__(self, upstream: str, plan: Iterable[Fault], session: ClientSession, retry_after: int) -> None:
        """`upstream`: a URL without a path; `retry_after`: seconds, told with 429."""
        self.trace = Trace()
        self._upstream, self._session, self._retry_after = upstream, session, retry_after
        self._plan = iter(plan)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """`429`, `503`: Genki never hears of it. `… stored`: Genki took it, the client is told otherwise or nothing."""
        if len(self.trace.faults) >= MAX_REQUESTS:
            return _problem(400, {})
        fault = next(self._plan, PASS)
        self.trace.faults.append(fault)
        self.trace.retries.append(int(request.headers.get("x-retry-count", 0)))
        body = await request.read()
        if fault == "429":
            return _problem(429, {"retry-after": str(self._retry_after)})
        if fault == "503":
            return _problem(503, {})
        passed = await self._pass(request, body)
        if fault == "503 stored":
            return _problem(503, {})
        if fault == "cut stored" and request.transport is not None:
            request.transport.abort()
        return passed

    async def _pass(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT}
        url = self._upstream + request.path_qs
        async with self._session.request(request.method, url, data=body, headers=headers) as reply:
            told = await reply.read()
            self.trace.statuses.append(reply.status)
            self.trace.passed.append(_message_ids(body))
            return web.Response(body=told, status=reply.status, content_type=reply.content_type)


@asynccontextmanager
async def proxy(upstream: str, plan: Iterable[Fault], retry_after: int = 1) -> AsyncIterator[tuple[str, Trace]]:
    """Its URL on a free port of the loopback, and what came by."""
    async with ClientSession(timeout=ClientTimeout(total=20), auto_decompress=False) as session:
        made = Proxy(upstream, plan, session, retry_after)
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", made.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", made.trace
        finally:
            await runner.cleanup()


def _problem(status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, headers=headers, text="{}", content_type="application/problem+json")


def _message_ids(body: bytes) -> list[str]:
    plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    return [message["messageId"] for message in json.loads(plain)["batch"]]
