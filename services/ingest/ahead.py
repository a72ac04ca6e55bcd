"""What is answered ahead of the router: the doors for facts, which are asked by the thousand, as raw ASGI."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import MethodNotAllowed, Refusal, problem_response, request_id_of
from shared.http import ROUTE

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
_FOR_BROWSERS: Final = (_JSON, *((name.encode(), CORS[name].encode()) for name in _READABLE))
Answer = Callable[[Scope, Receive], Awaitable[bytes]]
"""Reads a request and gives the body of a 200, JSON. Raises a Refusal."""
Endpoint = Callable[[Request], Awaitable[Response]]


class Ahead:
    """Answers the doors itself and hands everything else to the application. The front stands before it."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, Answer], tracking: Mapping[str, Answer]) -> None:
        """`doors` by path; `tracking` too: these are for browsers of any origin."""
        self._app, self._doors, self._tracking = app, doors, tracking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises Refusal: the front tells it."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path in self._tracking:
            await _tracked(self._tracking[path], scope, receive, send)
        elif path in self._doors:
            scope.setdefault(ROUTE, path)
            if scope["method"] != "POST":
                raise MethodNotAllowed(("POST",))
            await _tell(send, await self._doors[path](scope, receive), (_JSON,))
        else:
            await self._app(scope, receive, send)


async def _tracked(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    scope.setdefault(ROUTE, scope["path"])
    if scope["method"] == "OPTIONS":
        await Response(status_code=204, headers=CORS)(scope, receive, send)
        return
    if scope["method"] != "POST":
        raise MethodNotAllowed(("POST", "OPTIONS"))
    try:
        body = await answer(scope, receive)
    except Refusal as refusal:
        await refused(refusal, scope)(scope, receive, send)
    else:
        await _tell(send, body, _FOR_BROWSERS)


async def _tell(send: Send, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
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
