"""The routes that the gateway answers itself: keys, the composed summary, the API's description."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.gateway import docs
from services.gateway.domain import asyncapi
from services.gateway.domain.access import RULES, KeyWish, faults_of, told_of
from services.gateway.domain.documents import merge
from services.gateway.store import insert_key, page_of_keys, revoke_key
from services.gateway.upstream import Upstream, ask
from shared.audit import record
from shared.clock import Clock, from_micros, to_micros
from shared.errors import Invalid, NotFound, Unavailable
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.postgres import Database, tenant_transaction
from shared.tenancy import Keyring, Principal, Right, new_key, require

INFO: Final = {
    "title": "Genki",
    "version": "0.1.0",
    "description": "Customer success: live health, coverage and NPS from product events.",
}
REJECTED: Final = "/internal/rejections/count"  # ingest's own route, not public: {"count": n} of the last `hours`
_STAMP: Final = fingerprint("keys", "-created_at")
_log = structlog.get_logger("genki.gateway")
Admin = Annotated[Principal, Depends(require(Right.ADMIN))]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class NewKeyBody(BaseModel):
    """A key to be made: `role` for kind api only, `csm_id` names the CSM who holds it, `expires_at` lies ahead."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    role: str | None = None
    csm_id: Name | None = None
    label: Name | None = None
    expires_at: AwareDatetime | None = None


class KeyShown(BaseModel):
    """A key without its secret."""

    id: str
    kind: str
    role: str | None
    csm_id: str | None
    label: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None


class KeyMade(KeyShown):
    """A key just made; `key` is shown this once."""

    key: str


class KeyPage(BaseModel):
    """A page of keys, newest first."""

    items: list[KeyShown]
    total: int | None
    next_cursor: str | None


def key_routes(database: Database, keyring: Keyring, clock: Clock) -> APIRouter:
    """`POST|GET /v1/keys`, `DELETE /v1/keys/{id}`: for admins."""
    router = APIRouter()

    @router.post("/v1/keys", status_code=201, response_model=KeyMade, summary="Make a key; it is shown once")
    async def make(asker: Admin, body: NewKeyBody) -> Response:
        now = clock.now()
        wish = KeyWish(**body.model_dump())
        if faults := faults_of(wish, now):
            raise Invalid(errors=faults)
        key = new_key(wish.kind)
        async with tenant_transaction(database.app, asker.tenant) as conn:
            await insert_key(conn, asker.tenant, key, wish, now)
            await record(conn, asker, now, "key.create", key.key_id, **told_of(wish))
        keyring.forget(key.key_id)
        _log.info("key_made", tenant=asker.tenant, by=asker.key_id, key_id=key.key_id, kind=wish.kind, role=wish.role)
        return Json({"id": key.key_id, **wish._asdict(), "created_at": now, "revoked_at": None, "key": key.text}, 201)

    @router.get("/v1/keys", response_model=KeyPage, summary="The tenant's keys, newest first, without their secrets")
    async def page(asker: Admin, limit: str | None = None, cursor: str | None = None) -> Response:
        size = parse_limit(limit)
        after = decode_cursor(cursor, _STAMP, int, str)
        place = None if after is None else (_moment(after[0]), after[1])
        async with tenant_transaction(database.app, asker.tenant) as conn:
            rows, total = await page_of_keys(conn, place, size + 1)
        return Json(listing([_shown(row) for row in rows[:size]], total, _next(rows, size), filtered=False))

    @router.delete("/v1/keys/{key_id:id}", status_code=204, summary="Revoke a key; effective within 5 s")
    async def revoke(asker: Admin, key_id: str) -> Response:
        async with tenant_transaction(database.app, asker.tenant) as conn:
            known = "\0" not in key_id and await revoke_key(conn, key_id, clock.now())
            if known:
                await record(conn, asker, clock.now(), "key.revoke", key_id)
        if not known:
            raise NotFound
        keyring.forget(key_id)
        _log.info("key_revoked", tenant=asker.tenant, by=asker.key_id, key_id=key_id)
        return Response(status_code=204)

    return router


def summary_route(upstreams: Mapping[str, Upstream]) -> APIRouter:
    """`GET /v1/summary`: scoring's answer, with the refused of 24 hours that ingest counts (null while it is away)."""
    router = APIRouter()

    @router.get("/v1/summary", include_in_schema=False)
    async def summary(request: Request) -> Response:
        scope = request.scope
        figures, refused = await asyncio.gather(
            ask(upstreams["scoring"], "/v1/summary", scope=scope, query=scope["query_string"], timeout=30),
            _rejected(upstreams["ingest"], request),
        )
        if figures.status != 200:
            kept = {
                n.decode(): v.decode("latin-1") for n, v in figures.headers if n in (b"content-type", b"retry-after")
            }
            return Response(figures.body, figures.status, kept)
        body = msgspec.json.decode(figures.body)
        body["headline"]["rejected_24h"] = refused
        return Json(body)

    return router


async def _rejected(ingest: Upstream, request: Request) -> int | None:
    try:
        reply = await ask(ingest, REJECTED, scope=request.scope, query=b"hours=24", timeout=2)
        return int(msgspec.json.decode(reply.body)["count"]) if reply.status == 200 else None
    except (Unavailable, ValueError, KeyError, TypeError):  # one figure less must not hide the home screen
        return None


class Description:
    """The merged OpenAPI document: asked of the services, kept for a while."""

    def __init__(self, upstreams: Mapping[str, Upstream], own: Mapping[str, Any], keep: float) -> None:
        """`own`: the gateway's document; `keep`: seconds."""
        self._upstreams = upstreams
        self._own = own
        self._keep = keep
        self._held: tuple[float, dict[str, Any]] | None = None

    async def document(self) -> dict[str, Any]:
        """The public document. Unavailable while a service that it describes is away."""
        if self._held is None or self._held[0] < time.monotonic():
            names = list(self._upstreams)
            found = await asyncio.gather(*(_document_of(self._upstreams[name]) for name in names))
            documents = dict(zip(names, found, strict=True)) | {"gateway": self._own}
            self._held = (time.monotonic() + self._keep, merge(INFO, documents, RULES))
        return self._held[1]

    async def json(self, _request: Request) -> Response:
        """`GET /openapi.json`."""
        return Json(await self.document())

    def routes(self) -> dict[str, Callable[[Request], Awaitable[Response]]]:
        """Its three documents by address."""
        return {"openapi.json": self.json, "asyncapi.json": self.log, "docs": self.page}

    async def log(self, _request: Request) -> Response:
        """`GET /asyncapi.json`: what lies on the log."""
        return Json(asyncapi.document(INFO["version"]))

    async def page(self, _request: Request) -> Response:
        """`GET /docs`."""
        headers = {"content-security-policy": docs.CSP}
        return Response(docs.page(await self.document()), media_type="text/html", headers=headers)


async def _document_of(upstream: Upstream) -> dict[str, Any]:
    reply = await ask(upstream, "/openapi.json", timeout=30)  # made at the first question, seconds on a busy machine
    if reply.status == 404:  # a service may have no public routes of its own
        return {}
    if reply.status != 200:
        raise Unavailable
    return msgspec.json.decode(reply.body)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row["key_id"]} | {name: row[name] for name in KeyShown.model_fields if name != "id"}


def _next(rows: Any, size: int) -> str | None:
    if len(rows) <= size:
        return None
    last = rows[size - 1]
    return encode_cursor([to_micros(last["created_at"]), last["key_id"]], _STAMP)


def _moment(micros: int | None) -> datetime:
    try:
        return from_micros(micros or 0)
    except OverflowError:
        return from_micros(0)
