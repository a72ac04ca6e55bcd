"""ingest, put together: one async context manager, nothing opened at import."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from services.ingest.api import Api
from services.ingest.askers import Askers
from services.ingest.handlers import Doors
from services.ingest.publisher import Publisher
from services.ingest.rejections import Rejections
from services.ingest.settings import IngestSettings
from shared.bus import Bus, BusUnavailable
from shared.clock import Clock
from shared.errors import Unavailable
from shared.http.health import health_routes
from shared.http.middleware import front
from shared.postgres import Database
from shared.service import Service
from shared.tenancy import Keyring


@asynccontextmanager
async def open_ingest(
    settings: IngestSettings, bus: Bus, database: Database, keyring: Keyring, clock: Clock
) -> AsyncIterator[Service]:
    """ingest over an open log and database. On the way out what has gathered is sent, within `drain_seconds`."""
    publisher = Publisher(
        bus,
        linger=settings.linger_seconds,
        timeout=settings.publish_seconds,
        max_bytes=settings.bytes_in_flight,
    )
    rejections = Rejections(database, clock)
    api = Api(
        Doors(publisher, rejections, clock, bus.partitions),
        Askers(keyring, settings.keyless_per_minute),
        keyring,
        database,
        clock,
    )

    async def ready() -> Mapping[str, str]:
        return {"log": await _log_state(bus), "database": await _database_state(database)}

    app = Starlette(routes=[*api.routes(), *health_routes(ready, clock)])
    app.state.keyring = keyring
    front(app, "ingest")
    try:
        yield Service(
            "ingest",
            app,
            (rejections.write, rejections.prune),
            ready,
            {"publisher": publisher, "rejections": rejections},
        )
    finally:
        await publisher.close(settings.drain_seconds)
        await rejections.close()


async def _log_state(bus: Bus) -> str:
    try:
        await bus.ping()
    except BusUnavailable as trouble:
        return str(trouble) or "does not answer"
    return "ok"


async def _database_state(database: Database) -> str:
    try:
        await database.ping()
    except Unavailable as trouble:
        return trouble.detail
    return "ok"
