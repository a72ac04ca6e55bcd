"""The front of every service, one pure ASGI layer: request id, body limit, security headers, access log, metrics.

Where one process holds several services a request passes several fronts. The outermost gives the id, writes the log
line and the headers; the inner ones keep their own body limit and turn their own failures into problems."""

import os
import re
import time
from collections.abc import Awaitable, Callable, Collection
from itertools import count
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import structlog
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared import metrics
from shared.errors import REQUEST_ID, Refusal, install_handlers
from shared.http.passage import CONNECTION, ROUTE, Passage, route_of
from shared.tenancy import PRINCIPAL

BODY_LIMIT: Final = 5_000_000  # bytes as received; ingest counts again after unpacking
SLOW_SECONDS: Final = 1.0  # a busy route's good answer that took longer is told
SLASH: Final = "\ufdd0"  # stands in `scope["path"]` for a %2F inside one segment
_PROCESS: Final = os.urandom(8).hex()  # begins the ids of this process's requests
_numbers: Final = count()
_QUIET: Final = frozenset(("/healthz", "/readyz", "/metrics"))
_ID: Final = re.compile(rb"[0-9A-Za-z_-]{8,64}")
_log = structlog.get_logger("genki.http")
__all__ = ["BODY_LIMIT", "ROUTE", "SLASH", "Front", "IdConvertor", "Swift", "front", "route_of"]
Limit = int | Callable[[Scope], int]


class Swift(NamedTuple):
    """A busy route: its good answer is a 200 with these headers and the body that `make` gives, or a Refusal."""

    make: Callable[[Scope, Receive], Awaitable[bytes]]
    headers: tuple[tuple[bytes, bytes], ...]
    refuse: Callable[[Refusal, Scope], Response]


class Front:
    """The middleware: `service` names it in log and metrics, `limit` is the most bytes of a body, or says so. `busy`
    are routes asked by the thousand: their good and swift answers are counted, and leave no line in the log."""

    def __init__(self, app: ASGIApp, service: str, limit: Limit = BODY_LIMIT, busy: Collection[str] = ()) -> None:
        """Wraps an ASGI application."""
        self._app = app
        self._service = service
        self._limit = limit
        self._busy = frozenset(busy)
        self._open = 0
        metrics.HTTP_OPEN.labels(service).set_function(lambda: self._open)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; other scopes pass untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        outer = REQUEST_ID not in scope
        if outer:
            scope[REQUEST_ID] = _request_id(scope)
            _keep_slashes(scope)
        limit = self._limit if isinstance(self._limit, int) else self._limit(scope)
        passage = Passage(scope, receive, send, limit, outer=outer)
        if outer:
            await self._watched(passage)
        else:
            await passage.run(self._app)

    async def _watched(self, passage: "Passage") -> None:
        begin = time.perf_counter()
        self._open += 1
        try:
            await passage.run(self._app)
        finally:
            self._open -= 1
            self._tell(passage, time.perf_counter() - begin)

    async def answer(self, scope: Scope, receive: Receive, send: Send, door: Swift) -> None:
        """As a call, for a route that is asked by the thousand: in one breath, as layers cost more than its work. How
        slow a body may be is the guard's to say here."""
        begin, status = time.perf_counter(), 0
        request_id = scope[REQUEST_ID] = _request_id(scope)
        self._open += 1
        try:
            body = await door.make(scope, receive)
            status = 200
            told = [
                *door.headers,
                (b"content-length", b"%d" % len(body)),
                (b"x-request-id", request_id.encode("ascii")),
            ]
            connection = scope.get(CONNECTION)
            if connection is None or not connection.answer(scope, told, body):
                await send({"type": "http.response.start", "status": 200, "headers": told})
                await send({"type": "http.response.body", "body": body})
        except ClientDisconnect:
            status = status or 499
        except Exception as error:  # noqa: BLE001 as in a passage
            passage = Passage(scope, receive, send, BODY_LIMIT, outer=True)
            passage.status = status
            if isinstance(error, Refusal) and not status:
                await door.refuse(error, scope)(scope, receive, passage.send)
            else:
                await passage.fail(error)
            status = passage.status
        finally:
            self._open -= 1
            self._note(scope, status, time.perf_counter() - begin)

    def _tell(self, passage: "Passage", seconds: float) -> None:
        self._note(passage.scope, passage.status, seconds, passage.bytes_in)

    def _note(self, scope: Scope, status: int, seconds: float, bytes_in: int | None = None) -> None:
        route = route_of(scope)
        metrics.observe_request(self._service, scope["method"], route, status, seconds)
        if route in self._busy and seconds < SLOW_SECONDS and 200 <= status < 300:
            return
        write = _log.debug if route in _QUIET else _log.info
        asker = scope.get(PRINCIPAL)
        write(
            "request",
            service=self._service,
            method=scope["method"],
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            bytes_in=bytes_in,
            tenant=None if asker is None else asker.tenant,
            request_id=scope[REQUEST_ID],
        )


def front(app: Starlette, service: str, limit: Limit = BODY_LIMIT) -> None:
    """Puts the front and the problem handlers on an application; call it once, before it serves."""
    install_handlers(app)
    app.add_middleware(Front, service=service, limit=limit)


class IdConvertor(Convertor[str]):
    """`{account_id:id}` in a route: one path segment, in which the client may have written `/` as %2F."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """The id as the client means it."""
        return value.replace(SLASH, "/")

    def to_string(self, value: str) -> str:
        """The id as a path segment."""
        return quote(value, safe="")


def _keep_slashes(scope: Scope) -> None:
    # Servers decode %2F before routing, which would cut an id in two: it travels as a noncharacter instead.
    raw = scope.get("raw_path") or b""
    if b"%2f" in raw.lower():
        parts = raw.partition(b"?")[0].decode("latin-1").split("/")
        scope["path"] = "/".join(unquote(part).replace("/", SLASH) for part in parts)


register_url_convertor("id", IdConvertor())  # before any route is compiled: Starlette reads it when a route is made


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.fullmatch(value):
            return value.decode("ascii")
    return f"{_PROCESS}{next(_numbers):016x}"
