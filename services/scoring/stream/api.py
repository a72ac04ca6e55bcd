"""The route of the stream."""

import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.scoring.asof import Desk
from services.scoring.stream import store
from services.scoring.stream.hub import Hub
from services.scoring.stream.listener import Listener, can_resume
from services.scoring.stream.store import Span
from shared.postgres import tenant_transaction
from shared.tenancy import Principal, Right, require, token_of

Reader = Annotated[Principal, Depends(require(Right.READ))]
LastId = Annotated[str | None, Header(alias="Last-Event-ID", description="The last id that was read.")]
Csm = Annotated[list[str], Query(max_length=20, description="Only accounts of this CSM; `me`; twice means either.")]
MEDIA: Final = "text/event-stream"
_EXAMPLE: Final = """retry: 2000
id: 1781492400000000

event: health
id: 1781492400250001
data: {"account_id":"acme","score":38.5,"band":"red","effective_band":"red","was_score":41.25,"was_band":"yellow",\
"was_effective_band":"yellow","at":"2026-06-15T03:00:00.25Z"}

event: coverage
id: 1781492400250002
data: {"account_id":"acme","covered":false,"at":"2026-06-15T03:00:00.25Z"}

: beat
id: 1781492400250002

event: reset
id: 1781578800000000
data: {"from":1781578800000000}
"""
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events until the client leaves.",
        "content": {MEDIA: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    429: {"description": "Too many open streams of this tenant."},
}


class Stream(StreamingResponse):
    """An open stream that gives its place back however it ends."""

    media_type = MEDIA

    def __init__(self, body: AsyncIterator[bytes], place: ExitStack) -> None:
        super().__init__(body, headers={"x-accel-buffering": "no"})  # a proxy before Genki must not collect it
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until either side ends."""
        with self._place:
            await super().__call__(scope, receive, send)


def stream_routes(desk: Desk, hub: Hub) -> APIRouter:
    """`GET /v1/stream`."""
    routes = APIRouter(tags=["stream"])

    @routes.get("/v1/stream", response_class=StreamingResponse, responses=_ANSWER, summary="Changes as they happen")
    async def stream(request: Request, asker: Reader, last_event_id: LastId = None, csm: Csm = []) -> Stream:  # noqa: B006 FastAPI copies it
        """Server-sent events: `health` when an account's band, computed or shown, changes or its score has moved by 1
        since it was last told, `coverage` when it falls in, out, or is no longer eligible (null). `id` grows; with
        `Last-Event-ID` nothing of the last 24 hours is lost or repeated, after more `reset` says to read the lists
        again. A comment every 15 s. The stream ends when its key or token does; fetch, not EventSource, sends keys."""
        owners = [(asker.csm_id or "") if one == "me" else one for one in csm] if csm else None
        span = await _span(desk, asker.tenant)
        seq, reset = _place(last_event_id, span)
        place = ExitStack()
        channel = place.enter_context(hub.listening(asker.tenant, span.head))
        keyring, token = request.app.state.keyring, token_of(request.scope["headers"])
        place_of = (desk.database, hub, channel, asker.tenant, seq)
        listener = Listener(*place_of, owners, lambda: keyring.verify(token))
        return Stream(listener.events(reset=reset), place)

    return routes


async def _span(desk: Desk, tenant: int) -> Span:
    async with tenant_transaction(desk.database.app, tenant) as conn:
        found = await store.span(conn, tenant)
    if found.head:
        return found
    async with tenant_transaction(desk.database.worker, tenant) as conn:
        return await store.begun(conn, tenant)


def _place(last: str | None, span: Span) -> tuple[int, bool]:
    """Where a reader begins, and whether it must be told that it missed what is no longer kept (or that its id is none
    of this stream's)."""
    if not last:
        return span.head, False
    known = re.fullmatch(r"\d{1,18}", last, re.ASCII) and can_resume(int(last), span)
    return (int(last), False) if known else (span.head, True)
