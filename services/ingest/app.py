"""ingest, put together: one async context manager, nothing opened at import."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Scope

from services.ingest.ahead import Ahead
from services.ingest.api import Api
from services.ingest.askers import Askers
from services.ingest.handlers import Doors
from services.ingest.imports import Imports
from services.ingest.publisher import Publisher
from services.ingest.rejections import Rejections
from services.ingest.settings import IngestSettings
from services.ingest.sheets import SheetRoutes
from shared.bus import Bus, BusUnavailable
from shared.bus.detour import Detour
from shared.bus.outbox import Relay
from shared.clock import Clock
from shared.errors import Unavailable, install_handlers
from shared.http.health import OK, health_routes
from shared.http.middleware import BODY_LIMIT
from shared.postgres import Database
from shared.service import Service
from shared.shares import Shares
from shared.tenancy import Keyring


@asynccontextmanager
async def open_ingest(
    settings: IngestSettings, bus: Bus, database: Database, keyring: Keyring, clock: Clock
) -> AsyncIterator[Service]:
    """ingest over an open log and database. On the way out what has gathered is sent, within `drain_seconds`."""
    log = bus if bus.id == "pg" else Detour(bus, database.worker, settings.outbox_bytes)
    publisher = Publisher(
        log,
        linger=settings.linger_seconds,
        timeout=settings.publish_seconds,
        max_bytes=settings.bytes_in_flight,
    )
    rejections = Rejections(database, clock)
    api = Api(
        Doors(publisher, rejections, clock, bus.partitions, Shares(settings.tenant_facts_per_second)),
        Askers(keyring, settings.keyless_per_minute),
        keyring,
        database,
        clock,
    )

    async def ready() -> Mapping[str, str]:
        return {"log": await _log_state(log), "database": await _database_state(database)}

    sheets = SheetRoutes(Imports(settings, publisher, clock, bus.partitions, database))
    app = Starlette(routes=[*api.routes(), *sheets.routes(), *health_routes(ready, clock)])
    app.state.keyring = keyring
    install_handlers(app)
    doors, tracking = api.doors(), api.tracking_doors()
    try:
        yield Service(
            "ingest",
            Ahead(app, doors, tracking, _limit(settings)),
            (rejections.write, rejections.prune, *((Relay(bus, database.worker).run,) if log is not bus else ())),
            ready,
            {"publisher": publisher, "rejections": rejections, "paths": _paths(app) | {*doors, *tracking}},
        )
    finally:
        await publisher.close(settings.drain_seconds)
        await rejections.close()
        if isinstance(log, Detour):
            await log.close()


def _paths(app: Starlette) -> set[str]:
    return {route.path for route in app.routes if isinstance(route, Route)}


def _limit(settings: IngestSettings) -> Callable[[Scope], int]:
    def limit(scope: Scope) -> int:
        return settings.import_bytes if scope["path"].startswith("/v1/imports/") else BODY_LIMIT

    return limit


async def _log_state(log: Bus) -> str:
    try:
        await log.ping()
    except BusUnavailable as trouble:
        return f"{OK}: Kafka is away, facts wait in the outbox" if isinstance(log, Detour) else str(trouble)
    return OK


async def _database_state(database: Database) -> str:
    try:
        await database.ping()
    except Unavailable as trouble:
        return trouble.detail
    return OK
