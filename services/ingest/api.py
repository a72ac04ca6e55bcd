"""ingest's routes: raw bytes in, Content-Type not looked at; the doors for facts are answered ahead of the router."""

from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope

from services.ingest import openapi, store
from services.ingest.ahead import Answer, for_browsers
from services.ingest.askers import Askers
from services.ingest.body import read_body
from services.ingest.domain.cloudevents import mode_of, read_events
from services.ingest.domain.message import read_call
from services.ingest.handlers import Doors, sound
from shared.clock import Clock
from shared.http import params
from shared.http.answers import Json, listing
from shared.postgres import Database, tenant_transaction
from shared.tenancy import PRINCIPAL, Keyring, Principal, Right, check, token_of

LONG_NAMES: Final = ("track", "identify", "group", "page", "screen", "alias", "batch", "import")
SHORT_NAMES: Final = dict(zip("tigpsab", LONG_NAMES, strict=False))


class Api:
    """The endpoints over the doors."""

    def __init__(self, doors: Doors, askers: Askers, keyring: Keyring, database: Database, clock: Clock) -> None:
        """Everything is handed in; nothing is opened here."""
        self._doors, self._askers, self._keyring, self._database, self._clock = doors, askers, keyring, database, clock

    def doors(self) -> dict[str, Answer]:
        """The events door by its path."""
        return {"/v1/events": self.events}

    def tracking_doors(self) -> dict[str, Answer]:
        """The tracking doors by their paths."""
        calls = {name: name for name in LONG_NAMES} | SHORT_NAMES
        return {f"/v1/{path}": self._tracking(kind) for path, kind in calls.items()}

    def routes(self) -> list[Route]:
        """Every other public route of ingest and the one inside route."""
        fetched = [
            Route(path, for_browsers(endpoint), methods=["GET", "OPTIONS"])
            for path, endpoint in (
                ("/v1/projects/{write_key}/settings", segment_settings),
                ("/sourceConfig", rudder_settings),
                ("/sourceConfig/", rudder_settings),
            )
        ]
        return [
            Route("/openapi.json", openapi.route_of([*self.tracking_doors()]), methods=["GET"]),
            Route("/v1/m", for_browsers(sdk_metrics), methods=["POST", "OPTIONS"]),
            *fetched,
            Route("/v1/ingest/rejections", self.rejections, methods=["GET"]),
            Route("/internal/rejections/count", self.count, methods=["GET"]),
        ]

    async def events(self, scope: Scope, receive: Receive) -> bytes:
        """POST /v1/events: a result per item. Raises a Refusal for the whole request."""
        asker = await self._asker(scope, Right.EVENTS)
        mode = mode_of(scope["headers"])
        body = await read_body(scope, receive)
        if mode is None:
            return await self._doors.events(asker, body, "/v1/events")
        events = sound(read_events(sound(mode), scope["headers"], body))
        return await self._doors.wrapped(asker, events.items, events.unwrap, "/v1/events")

    def _tracking(self, kind: str) -> Answer:
        async def answer(scope: Scope, receive: Receive) -> bytes:
            knock = await self._askers.before_body(scope)
            call = sound(read_call(kind, await read_body(scope, receive)))
            asker = await self._askers.after_body(scope, knock, call.keys)
            return await self._doors.track(asker, call, _sent_at(scope), f"/v1/{kind}")

        return answer

    async def rejections(self, request: Request) -> Response:
        """GET /v1/ingest/rejections: what was refused in the last seven days, the newest first."""
        asker = await self._asker(request.scope, Right.READ)
        limit = params.parse_limit(request.query_params.get("limit"))
        stamp = params.fingerprint("rejections")
        cursor = params.decode_cursor(request.query_params.get("cursor"), stamp, int)
        before = 2**63 - 1 if cursor is None or cursor[0] is None else cursor[0]
        since = self._clock.now() - store.KEPT_FOR
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            rows = await store.page(conn, asker.tenant, since, before, limit + 1)
            total = await store.total(conn, asker.tenant, since)
        more = params.encode_cursor([rows[limit - 1]["seq"]], stamp) if len(rows) > limit else None
        return Json(listing([_shown(row) for row in rows[:limit]], total, more, filtered=False))

    async def count(self, request: Request) -> Response:
        """GET /internal/rejections/count?hours=24: `{count}` of what was refused, also of what was only counted."""
        asker = await self._asker(request.scope, Right.READ)
        hours = request.query_params.get("hours", "24")
        if not hours.isdecimal() or not 1 <= int(hours) <= 168:
            params.refuse("hours", "out_of_range", "Should be a whole number from 1 to 168.")
        since = self._clock.now() - timedelta(hours=int(hours))
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            return Json({"count": await store.count_since(conn, asker.tenant, since)})

    async def _asker(self, scope: Scope, right: Right) -> Principal:
        asker = await self._keyring.verify(token_of(scope["headers"]))
        scope[PRINCIPAL] = asker
        check(asker, right)
        return asker


def _sent_at(scope: Scope) -> str | None:
    """The header of the RudderStack browser SDK."""
    for name, value in scope["headers"]:
        if name == b"sentat":
            return value.decode("latin-1")
    return None


async def sdk_metrics(request: Request) -> Response:
    """POST /v1/m: what SDKs measure about themselves, answered and not stored."""
    return Json({"success": True})


async def segment_settings(request: Request) -> Response:
    """GET /v1/projects/{writeKey}/settings: what analytics.js fetches first. The SDK sends the key echoed here."""
    options = {
        "apiKey": request.path_params["write_key"][:200],
        "apiHost": f"{request.url.netloc}/v1",
        "protocol": request.url.scheme,
    }
    return Json(
        {"integrations": {"Segment.io": options}, "plan": {}, "enabledMiddleware": {}, "metrics": {"sampleRate": 0}}
    )


async def rudder_settings(request: Request) -> Response:
    """GET /sourceConfig/: what the RudderStack browser SDK fetches first. It sends the key it was loaded with."""
    key = (request.query_params.get("writeKey") or token_of(request.scope["headers"]) or "")[:200]
    off = {"enabled": False}
    source: dict[str, Any] = {
        "id": "genki",
        "name": "Genki",
        "writeKey": key,
        "enabled": True,
        "workspaceId": "genki",
        "config": {"statsCollection": {"errors": off, "metrics": off}},
        "destinations": [],
        "connections": [],
        "updatedAt": _UPDATED,
        "dataplanes": {},
    }
    return Json({"source": source, "updatedAt": _UPDATED})


_UPDATED: Final = "2026-01-01T00:00:00.000Z"


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "seq"}
