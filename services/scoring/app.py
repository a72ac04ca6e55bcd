"""The scoring service put together: the consumer and its workers, and the routes that answer."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp

from services.scoring.accounts.api import account_routes, quick_list
from services.scoring.activity.api import activity_routes
from services.scoring.asof import Desk
from services.scoring.assess import Assessor
from services.scoring.consumer import NAME as CONSUMER
from services.scoring.consumer import FoldLoop
from services.scoring.contacts.api import contact_routes
from services.scoring.contracts.api import contract_routes
from services.scoring.coverage.api import coverage_routes, quick_coverage, quick_worklist
from services.scoring.directory.api import directory_routes
from services.scoring.erasure.api import erasure_routes
from services.scoring.erasure.worker import Eraser
from services.scoring.health.api import health_routes
from services.scoring.health.quick import quick_health
from services.scoring.keep.api import keep_routes
from services.scoring.matrix.api import matrix_routes, quick_matrix
from services.scoring.nps.api import nps_routes
from services.scoring.people.api import people_routes
from services.scoring.positions import Freshness, StoredPositions
from services.scoring.quick import QuickDoor
from services.scoring.rules_api.api import settings_routes
from services.scoring.settings import ScoringSettings
from services.scoring.stream.api import stream_routes
from services.scoring.stream.hub import Hub
from services.scoring.summary.api import summary_routes
from services.scoring.talking.api import talking_routes
from services.scoring.tenants import Tenants
from services.scoring.ticker import Ticker
from services.scoring.tiers.api import tier_routes
from services.scoring.timeline.api import timeline_routes
from services.scoring.usage.api import usage_routes
from services.scoring.watchdog import Watchdog
from shared.bus import Bus, BusUnavailable
from shared.bus.postgres import PostgresBus
from shared.clock import Clock
from shared.errors import Unavailable, install_handlers
from shared.facts import CONSUMED_TOPICS
from shared.http import Front
from shared.http.health import OK
from shared.http.health import health_routes as probe_routes
from shared.postgres import Database
from shared.service import Ready, Service, Worker
from shared.tenancy import Keyring

NAME: Final = "scoring"


_QUICK: Final = (quick_health, quick_list, quick_coverage, quick_worklist, quick_matrix)


@asynccontextmanager
async def open_scoring(
    settings: ScoringSettings, bus: Bus, database: Database, keyring: Keyring, clock: Clock
) -> AsyncIterator[Service]:
    """Scoring as a service: its workers fold, assess and tick until cancelled. Nothing opened here outlives it."""
    freshness = Freshness(database.worker, bus, CONSUMER, CONSUMED_TOPICS, clock)
    ready = _readiness(bus, database)
    hub = Hub(database, settings.streams_per_tenant)
    desk = Desk(database, clock, freshness)
    http = QuickDoor(_routes(desk, hub, keyring, ready, clock), keyring, [question(desk) for question in _QUICK])
    workers = _workers(settings, bus, database, clock, freshness) if settings.workers else (freshness.run,)
    yield Service(NAME, Front(http, NAME), workers, ready, {"freshness": freshness, "stream": hub}, hub.close)


def _workers(
    settings: ScoringSettings, bus: Bus, database: Database, clock: Clock, freshness: Freshness
) -> tuple[Worker, ...]:
    positions = StoredPositions(database.worker, bus.id, CONSUMER)
    consumer = bus.consumer(CONSUMER, CONSUMED_TOPICS, positions)
    tenants = Tenants(database.worker)
    fold = FoldLoop(bus, consumer, database, positions, clock, settings.batch_facts)
    return (
        fold.run,
        Assessor(database, clock, tenants, lag=fold.lag).run,
        Ticker(database, clock, tenants).run,
        Eraser(database, clock).run,
        freshness.run,
        Watchdog(bus, positions, consumer.assignment, CONSUMED_TOPICS).run,
    )


def _routes(desk: Desk, hub: Hub, keyring: Keyring, ready: Ready, clock: Clock) -> ASGIApp:
    app = FastAPI(title="Genki scoring", docs_url=None, redoc_url=None)
    app.state.keyring = keyring
    install_handlers(app)

    doors = (
        health_routes, account_routes, coverage_routes, matrix_routes, nps_routes, usage_routes, settings_routes,
        tier_routes, summary_routes, directory_routes, people_routes, erasure_routes, contract_routes, timeline_routes,
        activity_routes, contact_routes, talking_routes, keep_routes,
    )  # fmt: skip
    for routes in doors:
        app.include_router(routes(desk))
    app.include_router(stream_routes(desk, hub))
    app.router.routes.extend(probe_routes(ready, clock))
    return app


def _readiness(bus: Bus, database: Database) -> Ready:
    async def ready() -> Mapping[str, str]:
        log = await _state(bus.ping)
        if log != OK and not isinstance(bus, PostgresBus):
            log = f"{OK}: Kafka is away, figures stand still"
        return {"database": await _state(database.ping), "bus": log}

    return ready


async def _state(ping) -> str:
    try:
        await ping()
    except (Unavailable, BusUnavailable) as problem:
        return str(problem) or type(problem).__name__
    return OK
