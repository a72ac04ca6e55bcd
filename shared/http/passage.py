"""One request on its way through a front: its body counted, its failures turned into problems, its headers added."""

from functools import lru_cache
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import (
    REQUEST_ID,
    TOLD,
    Fault,
    Invalid,
    NotFound,
    Refusal,
    TooLarge,
    Unexpected,
    problem_response,
    refusal_of,
)
from shared.patience import Patience

ROUTE: Final = "genki.route"  # the scope key of a route's template, where the router cannot know it
CONNECTION: Final = "genki.connection"  # the scope key of what can write a whole answer at once, where there is one
BODY_SECONDS: Final = 30.0  # a client may be silent this long in the middle of its body
SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_patience: Final = Patience()
_log = structlog.get_logger("genki.http")


def route_of(scope: Scope) -> str:
    """The template of the route that took the request, `(none)` when none did."""
    told = scope.get(ROUTE)
    if told is not None:
        return told
    inner = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    known = getattr(inner, "path_format", None) or getattr(inner, "path", None)
    return known or (_rebuilt(scope) if "endpoint" in scope else "(none)")


def _rebuilt(scope: Scope) -> str:
    # FastAPI names no route for the plain Starlette routes it holds: put the parameters' names back into the path.
    names: dict[str, str] = {str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    parts: list[str] = scope["path"].split("/")
    return "/".join(names.get(part, part) for part in parts)


class SlowBody(Refusal):
    """The body did not arrive in time."""

    status = 408


class Passage:
    """One request on its way through one front."""

    __slots__ = (
        "_complete",
        "_limit",
        "_muted",
        "_open",
        "_outer",
        "_receive",
        "_refusal",
        "_send",
        "bytes_in",
        "scope",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int, *, outer: bool) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self._limit, self._outer = limit, outer
        self._open = True  # the body has not ended
        self._complete = False  # the answer has ended
        self._muted = False  # a refusal took the place of the application's answer
        self._refusal: Refusal | None = None
        self.bytes_in = 0
        self.status = 0

    async def run(self, app: ASGIApp) -> None:
        """Calls the application; its failures become problems as long as nothing was sent."""
        try:
            if self._outer:
                _refuse_nul(self.scope)
            await app(self.scope, self.receive, self.send)
        except ClientDisconnect:
            self.status = self.status or 499
        except Exception as error:  # noqa: BLE001 the last place where a failure can still become an answer
            await self.fail(error)

    async def receive(self) -> Message:
        """The next message, its bytes counted; a body that grows too large or stalls is refused."""
        if not self._open:
            return await self._receive()
        if not self.bytes_in and _declared(self.scope) > self._limit:  # only now: the key is looked at before the body
            self._refusal = TooLarge()
            raise self._refusal
        try:
            message = await _patience.wait(self._receive(), BODY_SECONDS)
        except TimeoutError:
            self._refusal = SlowBody()
            raise self._refusal from None
        if message["type"] == "http.request":
            self.bytes_in += len(message.get("body", b""))
            self._open = message.get("more_body", False)
            if self.bytes_in > self._limit:
                self._refusal = TooLarge()
                raise self._refusal
        else:
            self._open = False
        return message

    async def send(self, message: Message) -> None:
        """Passes the answer on. A framework turns a refusal raised inside `receive` into a 400: here it comes back."""
        if message["type"] == "http.response.start":
            if self._refusal is not None:
                await self._refuse(self._refusal)
                return
            self.status = message["status"]
            if self._outer:
                message = {**message, "headers": _with_headers(message, self.scope[REQUEST_ID])}
        if not self._muted:
            await self._send(message)
            self._complete = message["type"] == "http.response.body" and not message.get("more_body", False)

    async def fail(self, error: Exception) -> None:
        """Tells a failure, as long as nothing was sent."""
        if self._complete:  # answered in full (Starlette raises again what it has told): nothing to cut off
            if TOLD not in self.scope:
                _log.error("failed_after_answer", request_id=self.scope[REQUEST_ID], exc_info=error)
            return
        refusal = self._refusal or refusal_of(error)
        if self.status or isinstance(refusal, Unexpected):
            if self.status and not self._outer:
                raise error  # the outermost front tells it, the server cuts the answer off
            _log.error("request_failed", request_id=self.scope[REQUEST_ID], route=route_of(self.scope), exc_info=error)
        if self.status:
            raise error
        await self._refuse(refusal)

    async def _refuse(self, refusal: Refusal) -> None:
        self._refusal = None
        response = problem_response(refusal, self.scope[REQUEST_ID])
        if isinstance(refusal, SlowBody):  # after TooLarge uvicorn discards the rest: a reset would swallow the answer
            response.headers["connection"] = "close"
        await response(self.scope, self._receive, self.send)
        self._muted = True


def _refuse_nul(scope: Scope) -> None:
    """No id holds NUL, and PostgreSQL takes none: such an address is nobody's, such a question is refused."""
    if "\0" in scope["path"]:
        raise NotFound
    if b"%00" in scope.get("query_string", b""):
        raise Invalid(errors=[Fault("/query", "nul", "Should hold no NUL.")])


def _with_headers(message: Message, request_id: str) -> list[Any]:
    headers = list(message.get("headers", ()))
    missing, has_id = _missing(tuple([name for name, _ in headers]))
    headers += missing
    if not has_id:
        headers.append((b"x-request-id", request_id.encode("ascii")))
    return headers


@lru_cache(maxsize=256)
def _missing(names: tuple[bytes, ...]) -> tuple[tuple[tuple[bytes, bytes], ...], bool]:
    """The security headers that are not among these, and whether the id is."""
    told = {name.lower() for name in names}
    return tuple(pair for pair in SECURITY if pair[0] not in told), b"x-request-id" in told


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value[:18]) if value.isdigit() else 0
    return 0
