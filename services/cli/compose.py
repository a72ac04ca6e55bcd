"""Which services a process holds and how they find each other: the one place that knows all four."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from starlette.types import ASGIApp

from services.cli.environment import count_in
from services.cli.prepare import partitions_of
from services.cli.report import Refused
from services.gateway.app import open_gateway
from services.gateway.settings import GatewaySettings
from services.ingest.app import open_ingest
from services.ingest.settings import IngestSettings
from services.nps.app import open_nps
from services.nps.settings import NpsSettings
from services.scoring.app import open_scoring
from services.scoring.settings import ScoringSettings
from shared.bus import Bus, BusBroken, BusUnavailable
from shared.bus.kafka import open_kafka
from shared.bus.postgres import PostgresBus
from shared.clock import Clock
from shared.facts import ALL_TOPICS
from shared.postgres import Database, DatabaseSettings, NotIsolated, open_database
from shared.service import Service
from shared.tenancy import Keyring
from shared.tokens import Tokens

GATEWAY: Final = "gateway"
PORTS: Final = {GATEWAY: 8000, "ingest": 8001, "scoring": 8002, "nps": 8003}
Opener = Callable[..., AbstractAsyncContextManager[Service]]
_OPENERS: Mapping[str, tuple[Opener, Callable[[], Any]]] = {
    "ingest": (
        open_ingest,
        lambda: IngestSettings(**_given(tenant_facts_per_second="GENKI_TENANT_FACTS_PER_SECOND")),
    ),
    "scoring": (open_scoring, ScoringSettings),
    "nps": (
        open_nps,
        lambda: NpsSettings(
            public_url=os.environ.get("GENKI_PUBLIC_URL") or None,
            smtp_secrets=os.environ.get("GENKI_SMTP_SECRETS") or None,
        ),
    ),
}
SERVICES: Final = (*_OPENERS, GATEWAY)


@dataclass(frozen=True)
class Parts:
    """What every service of this process is handed."""

    database: Database
    bus: Bus
    keyring: Keyring
    clock: Clock


async def open_parts(
    house: AsyncExitStack, settings: DatabaseSettings, kafka: str | None, clock: Clock, tokens: Tokens | None = None
) -> Parts:
    """Pools, log and keyring, closed with the house. Raises Refused."""
    try:
        database = await open_database(settings)
        house.push_async_callback(database.close)
        bus = await _open_bus(database, settings, kafka)
        house.push_async_callback(bus.close)
    except (NotIsolated, BusBroken, BusUnavailable, OSError, asyncpg.PostgresError) as problem:
        raise Refused(f"{type(problem).__name__}: {problem}") from problem
    return Parts(database, bus, Keyring(database, clock, tokens), clock)


async def open_services(house: AsyncExitStack, names: Sequence[str], parts: Parts) -> dict[str, Service]:
    """The named services, the gateway last: it reaches the others of this process directly, the rest by their URLs."""
    opened: dict[str, Service] = {}
    for name in (one for one in _OPENERS if one in names):  # scoring before nps, which asks it
        opener, settings = _OPENERS[name]
        more = (_http_of(opened, "scoring"),) if name == "nps" else ()
        context = opener(settings(), parts.bus, parts.database, parts.keyring, parts.clock, *more)
        opened[name] = await house.enter_async_context(context)
    if GATEWAY in names:
        upstreams = {name: opened.get(name) or _url_of(name) for name in _OPENERS}
        limits = _given(key_requests_per_second="GENKI_KEY_REQUESTS_PER_SECOND")
        context = open_gateway(GatewaySettings(**limits), upstreams, parts.database, parts.keyring, parts.clock)
        opened[GATEWAY] = await house.enter_async_context(context)
    return opened


def _given(**names: str) -> dict[str, int]:
    """Of these settings those that the environment names."""
    found = {setting: count_in(os.environ, name) for setting, name in names.items()}
    return {setting: value for setting, value in found.items() if value is not None}


def _http_of(opened: Mapping[str, Service], name: str) -> ASGIApp | str:
    return opened[name].http if name in opened else _url_of(name)


def _url_of(name: str) -> str:
    return os.environ.get(f"GENKI_{name.upper()}_URL") or f"http://127.0.0.1:{PORTS[name]}"


async def _open_bus(database: Database, settings: DatabaseSettings, kafka: str | None) -> Bus:
    if kafka is not None:
        return await open_kafka(kafka, ALL_TOPICS)
    async with database.worker.acquire() as conn:
        partitions = await partitions_of(conn)
    if partitions is None:
        raise BusBroken("the log has no topics: run `genki migrate`")
    return PostgresBus(database.worker, partitions)
