"""What is answered ahead of the router: the doors for facts, which are asked by the thousand, as raw ASGI."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import REQUEST_ID, MethodNotAllowed, Refusal, problem_response, request_id_of
from shared.http.middleware import BODY_LIMIT, ROUTE, Front, Limit, Swift
from shared.http.passage import SECURITY

CORS: Final = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, anonymousid, sentat, x-retry-count",
    "access-control-expose-headers": "retry-after, x-ratelimit-reset, x-request-id",
    "access-control-max-age": "86400",
    "cross-origin-resource-policy": "cross-origin",
}
_JSON: Final = (b"content-type", b"application/json")
_READABLE: Final = ("access-control-allow-origin", "access-control-expose-headers", "cross-origin-resource-policy")
_OPEN: Final = tuple((name.encode(), CORS[name].encode()) for name in _READABLE)
_PLAIN: Final = (_JSON, *SECURITY)
_FOR_BROWSERS: Final = (_JSON, *_OPEN, *(pair for pair in SECURITY if pair[0] not in dict(_OPEN)))
Answer = Callable[[Scope, Receive], Awaitable[bytes]]
"""Reads a request and gives the body of a 200, JSON. Raises a Refusal."""
Endpoint = Callable[[Request], Awaitable[Response]]


class Ahead:
    """Answers the doors itself and hands everything else to the application, through the front."""

    def __init__(
        self, app: ASGIApp, doors: Mapping[str, Answer], tracking: Mapping[str, Answer], limit: Limit = BODY_LIMIT
    ) -> None:
        """`doors` by path; `tracking` too: these are for browsers of any origin. `limit` is the front's."""
        self._app = app
        self._tracking = frozenset(tracking)
        self._doors = {path: Swift(make, _PLAIN, _problem) for path, make in doors.items()}
        self._doors |= {path: Swift(make, _FOR_BROWSERS, refused) for path, make in tracking.items()}
        self._front = Front(self._others, "ingest", limit, self._doors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        door = self._doors.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if door is None or REQUEST_ID in scope or scope["query_string"]:
            await self._front(scope, receive, send)
        else:
            scope[ROUTE] = scope["path"]
            await self._front.answer(scope, receive, send, door)

    async def _others(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        door = self._doors.get(path)
        if door is None:
            await self._app(scope, receive, send)
            return
        scope.setdefault(ROUTE, path)
        if scope["method"] == "OPTIONS" and path in self._tracking:
            await Response(status_code=204, headers=CORS)(scope, receive, send)
        elif scope["method"] == "POST":
            await _tell(door, scope, receive, send)
        else:
            raise MethodNotAllowed(("POST", "OPTIONS") if path in self._tracking else ("POST",))


async def _tell(door: Swift, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        body = await door.make(scope, receive)
    except Refusal as refusal:
        await door.refuse(refusal, scope)(scope, receive, send)
    else:
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [*door.headers, length]})
        await send({"type": "http.response.body", "body": body})


def for_browsers(endpoint: Endpoint) -> Endpoint:
    """The endpoint with CORS: preflights answered here, every answer readable by any origin, refusals too."""

    async def answered(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=CORS)
        try:
            response = await endpoint(request)
        except Refusal as refusal:
            return refused(refusal, request.scope)
        response.headers.update(CORS)
        return response

    return answered


def refused(refusal: Refusal, scope: Scope) -> Response:
    """A refusal that a page of any origin may read."""
    response = problem_response(refusal, request_id_of(scope))
    if "retry-after" in response.headers:
        response.headers["x-ratelimit-reset"] = response.headers["retry-after"]
    if refusal.status == 408:  # after 413 the server drops the rest, for a while: a reset would swallow the answer
        response.headers["connection"] = "close"
    response.headers.update(CORS)
    return response


def _problem(refusal: Refusal, scope: Scope) -> Response:
    return problem_response(refusal, request_id_of(scope))
