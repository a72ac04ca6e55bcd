"""The routes of the settings."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Body, Depends
from fastapi.responses import Response

from services.scoring.asof import Desk, base_settings
from services.scoring.rulebook import read_settings
from services.scoring.rules_api import store
from services.scoring.rules_api.rules import changed, told_of
from shared.audit import record
from shared.http import Json
from shared.postgres import tenant_transaction
from shared.tenancy import Principal, Right, require
from shared.tenant_settings import TenantSettings

log = structlog.get_logger()
Changes = Annotated[dict[str, Any], Body(description="Top-level keys of the document; each replaces what is there.")]


def settings_routes(desk: Desk) -> APIRouter:
    """`GET|PUT /v1/settings`."""
    routes = APIRouter(tags=["settings"])

    @routes.get("/v1/settings", response_model=TenantSettings, summary="What the figures are counted by")
    async def show(asker: Annotated[Principal, Depends(require(Right.READ))]) -> Response:
        """The document in force; `ETag` is its version, 0 while nothing was ever changed."""
        async with tenant_transaction(desk.database.app, asker.tenant) as conn:
            version, settings = await read_settings(conn, asker.tenant, _base(asker))
        return _answer(version, settings)

    @routes.put(
        "/v1/settings",
        response_model=TenantSettings,
        responses={409: {"description": "Zone and currency are fixed when the tenant is made."}},
        summary="Change settings",
    )
    async def change(asker: Annotated[Principal, Depends(require(Right.MANAGE))], changes: Changes) -> Response:
        """Replaces the top-level keys given, null removes `smtp` or `brand`; refused as a whole when one part is wrong
        (422), or when `time_zone` or `currency` would change (409). Every figure follows within seconds."""
        async with tenant_transaction(desk.database.worker, asker.tenant) as conn:
            await store.take_turn(conn, asker.tenant)
            version, settings = await read_settings(conn, asker.tenant, _base(asker))
            wished = changed(settings, changes)
            if wished != settings:
                version += 1
                await store.save(conn, asker.tenant, version, wished, asker.key_id, desk.clock.now())
                told = told_of(settings, wished)
                await record(conn, asker, desk.clock.now(), "settings.change", "settings", version=version, **told)
                log.info(
                    "settings_changed", tenant=asker.tenant, version=version, by=asker.key_id, keys=sorted(changes)
                )
        desk.forget(asker.tenant)
        return _answer(version, wished)

    return routes


def _base(asker: Principal) -> TenantSettings:
    return base_settings(asker.time_zone, asker.currency)


def _answer(version: int, settings: TenantSettings) -> Response:
    answer = Json(settings.document())
    answer.headers["etag"] = f'"{version}"'
    return answer
