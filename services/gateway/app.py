"""The gateway put together: one door, behind it the other services, wherever they run."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.api import Description, key_routes, summary_route
from services.gateway.audit import audit_routes
from services.gateway.domain.access import FACT_DOORS, Rule, Table
from services.gateway.nps import nps_route
from services.gateway.settings import GatewaySettings
from services.gateway.upstream import Inside, Outside, Upstream, state_of
from shared.clock import Clock
from shared.errors import MethodNotAllowed, NotFound, Unavailable
from shared.http import ROUTE, Front, front
from shared.http.health import OK, health_routes, is_good
from shared.postgres import Database
from shared.service import Ready, Service
from shared.shares import Shares
from shared.tenancy import PRINCIPAL, Keyring, check, token_of

NAME: Final = "gateway"


class Door:
    """Looks at method, path and key of every request, then hands it to the service that answers it."""

    def __init__(
        self, services: Mapping[str, ASGIApp], keyring: Keyring, shares: Shares, table: Table | None = None
    ) -> None:
        """`services`: by the names of the table, the gateway's own application among them; `shares`: of a key, in
        requests."""
        self._services = services
        self._keyring = keyring
        self._shares = shares
        self._table = table or Table()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises NotFound, MethodNotAllowed, Unauthorized, Forbidden: the front tells them."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            rule = self._rule(scope)
            scope[ROUTE] = rule.template
            await self._admit(scope, rule)
            await self._services[rule.service](scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _rule(self, scope: Scope) -> Rule:
        found = self._table.find(scope["path"])
        if not found:
            raise NotFound
        rule = found.get(scope["method"])
        if rule is None:
            scope[ROUTE] = next(iter(found.values())).template
            raise MethodNotAllowed(found)
        if rule.service not in self._services:
            raise Unavailable(f"The service {rule.service} is not running.")
        return rule

    async def _admit(self, scope: Scope, rule: Rule) -> None:
        if rule.right is not None:
            asker = await self._keyring.verify(token_of(scope["headers"]))
            scope[PRINCIPAL] = asker
            check(asker, rule.right)
            self._shares.take(asker.key_id, 1)


@asynccontextmanager
async def open_gateway(
    settings: GatewaySettings,
    upstreams: Mapping[str, Service | str],
    database: Database,
    keyring: Keyring,
    clock: Clock,
) -> AsyncIterator[Service]:
    """The gateway as a service. `upstreams`: `ingest`, `scoring`, `nps`, each an opened Service of this process or the
    URL of another. Closes its connections at the end."""
    async with _session(settings) as session:
        behind = {name: _upstream(name, there, session) for name, there in upstreams.items()}
        ready = _readiness(behind, database)
        own = _own(settings, behind, database, keyring, clock, ready)
        http = Front(
            Door({**behind, NAME: own}, keyring, Shares(settings.key_requests_per_second)),
            NAME,
            _limit(settings),
            FACT_DOORS,
        )
        yield Service(NAME, http, ready=ready, closing=lambda: _close(behind))


def _own(
    settings: GatewaySettings,
    behind: Mapping[str, Upstream],
    database: Database,
    keyring: Keyring,
    clock: Clock,
    ready: Ready,
) -> ASGIApp:
    app = FastAPI(openapi_url=None)
    app.state.keyring = keyring
    front(app, NAME)
    app.include_router(key_routes(database, keyring, clock))
    app.include_router(audit_routes(database, clock))
    app.include_router(summary_route(behind))
    app.include_router(nps_route(behind))
    description = Description(behind, app.openapi(), settings.document_seconds)
    told = [Route(f"/{name}", answer) for name, answer in description.routes().items()]
    app.router.routes.extend([*health_routes(ready, clock), *told])
    return app


def _readiness(behind: Mapping[str, Upstream], database: Database) -> Ready:
    async def ready() -> Mapping[str, str]:
        names = list(behind)
        found = await asyncio.gather(_database(database), *(_asked(behind[name]) for name in names))
        shared: dict[str, str] = {"database": found[0]["database"]}
        for states in found[1:]:
            for name, state in states.items():
                held = shared.setdefault(name, state)
                if is_good(held) and state != OK:  # of two opinions on one dependency the worse one stands
                    shared[name] = state
        return shared | {name: state_of(states) for name, states in zip(names, found[1:], strict=True)}

    return ready


async def _asked(upstream: Upstream) -> Mapping[str, str]:
    try:
        return await upstream.ready()
    except Unavailable:
        return {upstream.name: "does not answer"}


async def _database(database: Database) -> Mapping[str, str]:
    try:
        await database.ping()
    except Unavailable:
        return {"database": "does not answer"}
    return {"database": OK}


def _close(behind: Mapping[str, Upstream]) -> None:
    for upstream in behind.values():
        upstream.close()


def _upstream(name: str, there: Service | str, session: aiohttp.ClientSession) -> Upstream:
    return Outside(name, there, session) if isinstance(there, str) else Inside(there)


def _session(settings: GatewaySettings) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=settings.connect_seconds, sock_read=settings.silence_seconds
    )
    return aiohttp.ClientSession(
        timeout=timeout,
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
    )


def _limit(settings: GatewaySettings):
    def limit(scope: Scope) -> int:
        return settings.import_limit if scope["path"].startswith("/v1/imports/") else settings.body_limit

    return limit


async def _lifespan(receive: Receive, send: Send) -> None:
    # Nothing to begin or end here: whoever opened the services closes them.
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
