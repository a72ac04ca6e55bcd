"""The services behind the door, all ASGI applications: called directly in one process, streamed over HTTP else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, Protocol

import aiohttp
import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from yarl import URL

from shared.errors import REQUEST_ID, Unavailable
from shared.http.health import OK, asked, is_good
from shared.service import Service
from shared.tenancy import PRINCIPAL

_OWN: Final = ("app", "router", "endpoint", "path_params", "route", "fastapi", PRINCIPAL)
_HOP: Final = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_FORWARDED: Final = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
_NOT_ASKED: Final = _HOP | _FORWARDED | {b"expect", b"x-request-id"}
_NOT_TOLD: Final = _HOP | {b"date", b"server"}
Headers = list[tuple[bytes, bytes]]


class Upstream(Protocol):
    """A service as the gateway sees it: it answers requests and says whether it is ready."""

    name: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    async def ready(self) -> Mapping[str, str]: ...
    def close(self) -> None: ...


class Inside:
    """A service of this process: its application gets a copy of the scope and the client's own `receive`."""

    def __init__(self, service: Service) -> None:
        """`service`: opened by the one who runs the process."""
        self.name = service.name
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. The asker found by the gateway is not handed on: each service verifies the key."""
        copied = {name: value for name, value in scope.items() if name not in _OWN}
        await self._service.http(copied, receive, send)

    def close(self) -> None:
        """Nothing: the service ends its own streams."""

    async def ready(self) -> Mapping[str, str]:
        """What the service says of its dependencies."""
        return await asked(self._service.ready)


class Outside:
    """A service of another process: bodies stream both ways, headers but hop-by-hop ones pass unchanged."""

    def __init__(self, name: str, url: str, session: aiohttp.ClientSession) -> None:
        """`url`: where the service listens, without a path; the session belongs to the gateway."""
        self.name = name
        self._url = url.rstrip("/")
        self._session = session
        self._streams: set[asyncio.Task[None] | None] = set()
        self._closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; Unavailable when the service is away. A client that leaves takes its question along."""
        body = _Body(receive, sent=_has_body(scope))
        work = asyncio.ensure_future(self._pass(scope, body, send))
        leaving = asyncio.ensure_future(body.left())
        try:
            await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            await work
        finally:
            await _end(work, leaving)

    def close(self) -> None:
        """Ends the streams that pass, each as if its service had ended it."""
        self._closing = True
        for task in self._streams:
            if task is not None:
                task.cancel()

    async def ready(self) -> Mapping[str, str]:
        """What the service's own `/readyz` says."""
        reply = await ask(self, "/readyz")
        with suppress(msgspec.DecodeError, KeyError, TypeError, AttributeError):
            found = msgspec.json.decode(reply.body)["dependencies"]
            return {str(name): str(state) for name, state in found.items()}
        return {"check": f"answers {reply.status}"}

    async def _pass(self, scope: Scope, body: "_Body", send: Send) -> None:
        started = False
        try:
            async with self._session.request(
                scope["method"],
                self._target(scope),
                headers=_asked_headers(scope),
                data=body.stream() if body.sent else None,
                allow_redirects=False,
            ) as answer:
                await send({"type": "http.response.start", "status": answer.status, "headers": _told(answer)})
                started = True
                await self._relay(answer, send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            if started:
                raise  # half an answer cannot become a refusal: the front cuts it off
            raise body.failure or Unavailable(f"The service {self.name} does not answer.") from problem

    async def _relay(self, answer: aiohttp.ClientResponse, send: Send) -> None:
        """The body's parts. One that never ends by itself does so when the process is asked to end."""
        me = asyncio.current_task()
        if answer.content_type == "text/event-stream":
            self._streams.add(me)
        try:
            async for chunk in answer.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except asyncio.CancelledError:
            if me is None or me not in self._streams or not self._closing:
                raise
            me.uncancel()
        finally:
            self._streams.discard(me)

    def _target(self, scope: Scope) -> URL:
        path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        query = scope.get("query_string", b"")
        return URL(self._url + (path + (b"?" + query if query else b"")).decode("latin-1"), encoded=True)


class _Body:
    """A request's body on its way out, and the client's leaving after it."""

    def __init__(self, receive: Receive, *, sent: bool) -> None:
        self._receive = receive
        self._ended = asyncio.Event()
        self.sent = sent
        self.failure: Exception | None = None
        if not sent:
            self._ended.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """The body's parts. A client that leaves in the middle breaks the request off: half a body is none."""
        more = True
        while more:
            try:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
            except Exception as error:
                self.failure = error
                raise
            more = message.get("more_body", False)
            if part := message.get("body", b""):
                yield part
        self._ended.set()

    async def left(self) -> None:
        """Returns when the client has gone, after its body has been read."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Reply(NamedTuple):
    """A service's answer to a question of the gateway's own."""

    status: int
    headers: Headers
    body: bytes


async def ask(
    upstream: ASGIApp, path: str, *, scope: Scope | None = None, query: bytes = b"", timeout: float = 5.0
) -> Reply:
    """GETs a path of a service, with the key and request id of the request in `scope`. Raises Unavailable."""
    status, headers, parts = 503, [], bytearray()
    done = asyncio.Event()

    async def receive() -> Message:
        if not receive_first:
            await done.wait()
            return {"type": "http.disconnect"}
        receive_first.clear()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", ()))
        else:
            parts.extend(message.get("body", b""))

    receive_first = [True]
    try:
        async with asyncio.timeout(timeout):
            await upstream(_question(path, query, scope), receive, send)
    except TimeoutError:
        raise Unavailable from None
    finally:
        done.set()
    return Reply(status, headers, bytes(parts))


def _question(path: str, query: bytes, scope: Scope | None) -> Scope:
    given = scope or {"headers": []}
    question: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "root_path": "", "path": path, "raw_path": path.encode(), "query_string": query,
        "headers": [pair for pair in given["headers"] if pair[0] == b"authorization"],
        "client": given.get("client"), "server": given.get("server"), "state": {},
        REQUEST_ID: given.get(REQUEST_ID, "gateway"),
    }  # fmt: skip
    return question


def _asked_headers(scope: Scope) -> list[tuple[str, str]]:
    dropped = _NOT_ASKED | _named(scope["headers"])
    headers = [(n.decode("latin-1"), _text(v)) for n, v in scope["headers"] if n not in dropped]
    headers.append(("x-request-id", scope[REQUEST_ID]))
    if scope.get("client"):
        headers += [("x-forwarded-for", scope["client"][0]), ("x-forwarded-proto", scope["scheme"])]
    return headers


def _text(value: bytes) -> str:
    # aiohttp writes header values as UTF-8: what came as such leaves as it came.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _told(answer: aiohttp.ClientResponse) -> Headers:
    headers = [(name.lower(), value) for name, value in answer.raw_headers]
    dropped = _NOT_TOLD | _named(headers)
    return [(name, value) for name, value in headers if name not in dropped]


def _named(headers: Headers) -> frozenset[bytes]:
    """What a `Connection` header names is for the next hop alone."""
    found = [value for name, value in headers if name == b"connection"]
    return frozenset(part.strip().lower() for value in found for part in value.split(b","))


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


async def _end(*tasks: asyncio.Future[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def state_of(found: Mapping[str, str]) -> str:
    """One word for a service: "ok", or the first thing that keeps it from its work."""
    return next((f"{name}: {state}" for name, state in found.items() if not is_good(state)), OK)
