"""The nps service put together: what customers answer goes on the log."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope

from services.nps.api import nps_routes
from services.nps.handlers import Imports
from services.nps.settings import NpsSettings
from shared.bus import Bus, BusUnavailable
from shared.clock import Clock
from shared.errors import Unavailable, install_handlers
from shared.http import Front
from shared.http.health import OK, health_routes
from shared.http.middleware import BODY_LIMIT
from shared.postgres import Database
from shared.service import Ready, Service
from shared.tenancy import Keyring

NAME: Final = "nps"


@asynccontextmanager
async def open_nps(
    settings: NpsSettings, bus: Bus, database: Database, keyring: Keyring, clock: Clock
) -> AsyncIterator[Service]:
    """nps over an open log and database. Nothing opened here outlives it."""
    ready = _readiness(bus, database)
    http = _routes(database, Imports(settings, bus, database, clock), keyring, ready, clock)
    yield Service(NAME, Front(http, NAME, _limit(settings)), ready=ready)


def _routes(database: Database, imports: Imports, keyring: Keyring, ready: Ready, clock: Clock) -> ASGIApp:
    app = FastAPI(title="Genki nps", docs_url=None, redoc_url=None)
    app.state.keyring = keyring
    install_handlers(app)
    app.include_router(nps_routes(database, imports))
    app.router.routes.extend(health_routes(ready, clock))
    return app


def _limit(settings: NpsSettings):
    def limit(scope: Scope) -> int:
        return settings.import_bytes if scope["path"].startswith("/v1/imports/") else BODY_LIMIT

    return limit


def _readiness(bus: Bus, database: Database) -> Ready:
    async def ready() -> Mapping[str, str]:
        return {"log": await _state(bus.ping), "database": await _state(database.ping)}

    return ready


async def _state(ping) -> str:
    try:
        await ping()
    except (Unavailable, BusUnavailable) as problem:
        return str(problem) or "does not answer"
    return OK
