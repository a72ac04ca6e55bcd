"""`GET /v1/nps`: scoring's figures, its groups by survey with the names that nps knows."""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.gateway.upstream import Reply, Upstream, ask
from shared.errors import Unavailable
from shared.http import Json

NAMES = "/internal/survey-names"
_KEPT = (b"content-type", b"retry-after")


def nps_route(upstreams: Mapping[str, Upstream]) -> APIRouter:
    """The figures as scoring says them; a survey's group has its name, or null while nps is away."""
    router = APIRouter()

    @router.get("/v1/nps", include_in_schema=False)
    async def nps(request: Request) -> Response:
        query = request.scope["query_string"]
        figures = await ask(upstreams["scoring"], "/v1/nps", scope=request.scope, query=query, timeout=60)
        if figures.status != 200 or request.query_params.get("by") != "survey":
            return _as_it_is(figures)
        body, names = msgspec.json.decode(figures.body), await _names(upstreams["nps"], request)
        for group in body["groups"]:
            group["name"] = names.get(group["key"])
        return Json(body)

    return router


async def _names(nps: Upstream, request: Request) -> dict[str, Any]:
    try:
        reply = await ask(nps, NAMES, scope=request.scope, timeout=5)
        return msgspec.json.decode(reply.body) if reply.status == 200 else {}
    except (Unavailable, msgspec.DecodeError):  # figures without names are better than none
        return {}


def _as_it_is(reply: Reply) -> Response:
    kept = {name.decode(): value.decode("latin-1") for name, value in reply.headers if name in _KEPT}
    return Response(reply.body, reply.status, kept)
