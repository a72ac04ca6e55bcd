"""The nps service put together: it asks customers, and what they answer goes on the log."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Scope

from services.nps.answering import Links
from services.nps.api import import_routes
from services.nps.handlers import Imports
from services.nps.invitation_api import invitation_routes
from services.nps.invitations import Invitations
from services.nps.inviting import Inviting
from services.nps.mail.senders import Secrets, Senders
from services.nps.mail.worker import Mailer
from services.nps.people import open_people
from services.nps.public_api import public_routes
from services.nps.settings import NpsSettings
from services.nps.survey_api import survey_routes
from services.nps.surveys import Surveys
from shared.bus import Bus, BusUnavailable
from shared.bus.outbox import Relay
from shared.bus.postgres import PostgresBus
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
    settings: NpsSettings, bus: Bus, database: Database, keyring: Keyring, clock: Clock, scoring: ASGIApp | str
) -> AsyncIterator[Service]:
    """nps over an open log and database; `scoring` is asked for people: its application, or its URL. Nothing opened
    here outlives it."""
    async with open_people(scoring) as people:
        ready = _readiness(bus, database)
        secrets = Secrets(settings.smtp_secrets)
        inviting = Inviting(bus, database, clock, people, Senders(people, secrets))
        doors = (
            import_routes(Imports(settings, bus, database, clock)),
            survey_routes(Surveys(database, clock), clock),
            invitation_routes(inviting, Invitations(database), settings.public_url),
            public_routes(Links(bus, database, clock), settings.answers_per_minute),
        )
        mailer = Mailer(bus, database, clock, secrets, settings.public_url)
        workers = (mailer.run, *(() if isinstance(bus, PostgresBus) else (Relay(bus, database.worker).run,)))
        http = _routes(doors, keyring, ready, clock)
        yield Service(NAME, Front(http, NAME, _limit(settings)), workers, ready, {"mailer": mailer})


def _routes(doors: Iterable[APIRouter], keyring: Keyring, ready: Ready, clock: Clock) -> ASGIApp:
    app = FastAPI(title="Genki nps", docs_url=None, redoc_url=None)
    app.state.keyring = keyring
    install_handlers(app)
    for routes in doors:
        app.include_router(routes)
    app.router.routes.extend(health_routes(ready, clock))
    return app


def _limit(settings: NpsSettings):
    def limit(scope: Scope) -> int:
        if scope["path"].startswith(("/s/", "/u/")):
            return settings.form_bytes
        return settings.import_bytes if scope["path"].startswith("/v1/imports/") else BODY_LIMIT

    return limit


def _readiness(bus: Bus, database: Database) -> Ready:
    async def ready() -> Mapping[str, str]:
        log = await _state(bus.ping)
        if log != OK and not isinstance(bus, PostgresBus):
            log = f"{OK}: Kafka is away, facts wait in the outbox"
        return {"log": log, "database": await _state(database.ping)}

    return ready


async def _state(ping) -> str:
    try:
        await ping()
    except (Unavailable, BusUnavailable) as problem:
        return str(problem) or "does not answer"
    return OK
