"""A scoring service on a real database, driven by hand: facts go through the log and the fold, time moves when told.

Use: `house` (a fixture of this folder), `tenant = await house.tenant()`, `await tenant.tell(tenant.account("a"), …)`,
`answer = await tenant.get("/v1/coverage?by=tier")`. Time: `house.clock.set(…)` or `.move(days=1)`, then
`await house.settle()`.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import httpx2

from services.scoring.app import open_scoring
from services.scoring.assess import Assessor
from services.scoring.consumer import NAME, FoldLoop
from services.scoring.positions import Freshness, StoredPositions
from services.scoring.settings import ScoringSettings
from services.scoring.tenants import Tenants
from services.scoring.ticker import Ticker
from shared import facts
from shared.bus import Outgoing
from shared.bus.postgres import PostgresBus, make_topics
from shared.clock import Clock, to_micros, zone
from shared.postgres import Database, DatabaseSettings, open_database
from shared.tenancy import Keyring, new_key
from tests.conftest import TestDatabase
from tests.services.scoring.builders import TODAY, at

PARTITIONS = 3
ROUNDS = 60  # more would mean that work begets work for ever
_WAITING = "SELECT (SELECT count(*) FROM dirty) + (SELECT count(*) FROM recheck)"


class HandClock(Clock):
    """Stands still until it is moved. It begins at noon of `builders.TODAY` in Tokyo."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["at"] = at(TODAY)

    def now(self) -> datetime:
        return self.__dict__["at"]

    def micros(self) -> int:
        return to_micros(self.now())

    def set(self, instant: datetime) -> None:
        """That instant from now on; settle afterwards."""
        self.__dict__["at"] = instant.astimezone(UTC)

    def move(self, **span: float) -> None:
        """As `timedelta` takes it."""
        self.set(self.now() + timedelta(**span))


@dataclass
class House:
    """The service's parts. One for a test module; every test makes a tenant of its own."""

    owner: asyncpg.Connection
    database: Database
    bus: PostgresBus
    clock: HandClock
    http: Any
    fold: FoldLoop
    tenants: Tenants
    assessor: Assessor
    ticker: Ticker
    freshness: Freshness
    numbers: Iterable[int] = field(default_factory=lambda: count(1))

    async def tenant(self, time_zone: str = "Asia/Tokyo", currency: str = "JPY") -> "TestTenant":
        """A new tenant with nothing in it."""
        name = f"t_{next(iter(self.numbers))}"
        number = await self.owner.fetchval(
            "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, $2, $3) RETURNING tenant",
            name,
            time_zone,
            currency,
        )
        assert number
        await self.tenants.refresh()
        return TestTenant(self, number, name, time_zone, currency)

    async def publish(self, told: Iterable[facts.AnyFact]) -> None:
        """Puts facts on the log, in this order within each partition."""
        lines: dict[tuple[str, int], list[bytes]] = {}
        for fact in told:
            lines.setdefault(facts.place(fact, PARTITIONS), []).append(facts.encode(fact))
        now = self.clock.micros()
        await self.bus.publish([Outgoing(topic, part, some, now) for (topic, part), some in lines.items()], 10)

    async def settle(self) -> None:
        """Folds, assesses and ticks until nothing waits."""
        while await self.fold.step(0):
            pass
        for _ in range(ROUNDS):
            await self.ticker.look(at_once=True)
            await self.assessor.round()
            async with self.database.worker.acquire() as conn:
                if not await conn.fetchval(_WAITING):
                    await self.freshness.look()
                    return
        raise AssertionError("the assessment does not come to rest")


@dataclass
class TestTenant:
    """One tenant: short words for its facts, and askers by role."""

    __test__ = False
    house: House
    number: int
    name: str
    time_zone: str
    currency: str
    ids: Iterable[int] = field(default_factory=lambda: count(1))
    clients: dict[tuple[str, str | None], httpx2.AsyncClient] = field(default_factory=dict)

    async def tell(self, *told: facts.AnyFact) -> None:
        """Publishes and settles."""
        await self.house.publish(told)
        await self.house.settle()

    async def client(self, role: str = "admin", csm_id: str | None = None) -> httpx2.AsyncClient:
        """An HTTP client with a key of its own, kept for the tenant's life."""
        if (role, csm_id) not in self.clients:
            key = new_key("api")
            await self.house.owner.execute(
                "INSERT INTO access.key (key_id, tenant, kind, role, csm_id, secret_hash)"
                " VALUES ($1, $2, 'api', $3, $4, $5)",
                key.key_id, self.number, role, csm_id, key.secret_hash,
            )  # fmt: skip
            self.clients[role, csm_id] = httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app=self.house.http),
                base_url="http://scoring",
                headers={"authorization": f"Bearer {key.text}"},
            )
        return self.clients[role, csm_id]

    async def call(
        self, method: str, path: str, body: Any = None, *, role: str = "admin", csm_id: str | None = None
    ) -> httpx2.Response:
        """One request and its raw answer."""
        client = await self.client(role, csm_id)
        return await client.request(method, path, json=body)

    async def get(self, path: str, *, role: str = "admin", csm_id: str | None = None) -> Any:
        """The JSON of an answer that must be 200."""
        answer = await self.call("GET", path, role=role, csm_id=csm_id)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def past(self, path: str) -> Any:
        """The same question as of this very instant, answered by recomputation: the clock moves on by a microsecond."""
        asked = self.house.clock.now()
        self.house.clock.move(microseconds=1)
        told = await self.get(f"{path}{'&' if '?' in path else '?'}as_of={stamp(asked)}")
        assert told["computed"] == "scan"
        return told

    async def settings(self, **changes: Any) -> Any:
        """Changes settings by the public route and settles: the document in force."""
        answer = await self.call("PUT", "/v1/settings", changes)
        assert answer.status_code == 200, answer.text
        await self.house.settle()
        return answer.json()

    def account(self, account_id: str, when: datetime | None = None, **fields: Any) -> facts.Account:
        """An account fact, told at `when` (default: now). Days as dates; money as text, in the tenant's currency."""
        money = {"currency": self.currency} if {"acv", "potential_acv"} & fields.keys() else {}
        days = {name: _day(value) for name, value in fields.items()}
        return facts.Account(account_id=account_id, at=self._at(when), **self._envelope(), **{**money, **days})

    def usage(
        self, person: str, when: date | datetime, account: str | None = None, event: str = "open", times: int = 1
    ) -> facts.Usage:
        """Usage on a day (noon in Tokyo) or at an instant."""
        instant = when if isinstance(when, datetime) else at(when, tz=zone(self.time_zone))
        return facts.Usage(
            at=to_micros(instant), person_id=person, event=event, account_id=account, count=times, **self._envelope()
        )

    def contact(
        self, account: str, when: date | datetime, channel: str = "phone", outcome: str = "reached", **more: Any
    ) -> facts.Contact:
        """A contact on a day (noon) or at an instant."""
        instant = when if isinstance(when, datetime) else at(when, tz=zone(self.time_zone))
        return facts.Contact(
            account_id=account, at=to_micros(instant), channel=channel, outcome=outcome, **self._envelope(), **more
        )

    def contract(self, account: str, on: date, change: str = "new", acv: str = "0", **more: Any) -> facts.Contract:
        """A change of the account's one contract (or of `contract_id`)."""
        days = {name: _day(value) for name, value in more.items()}
        given = {"contract_id": account, "currency": self.currency, **days}
        return facts.Contract(
            account_id=account, effective_on=on.isoformat(), change=change, acv_after=acv, **self._envelope(), **given
        )

    def person(self, person: str, account: str | None, when: datetime | None = None, **more: Any) -> facts.Person:
        """What is said of a person, in an account when one is named."""
        return facts.Person(person_id=person, account_id=account, at=self._at(when), **self._envelope(), **more)

    def csm(self, csm_id: str, when: datetime | None = None, **more: Any) -> facts.Csm:
        """What is said of a CSM."""
        return facts.Csm(csm_id=csm_id, at=self._at(when), **self._envelope(), **more)

    def response(
        self,
        score: int | None,
        when: date | datetime,
        account: str | None = None,
        person: str | None = None,
        **more: Any,
    ) -> facts.SurveyResponse:
        """An answer to a survey; `response_id` its own unless given."""
        instant = when if isinstance(when, datetime) else at(when, tz=zone(self.time_zone))
        envelope = self._envelope()
        given = {"response_id": f"r{envelope['id']}", "survey_id": "s", **more}
        return facts.SurveyResponse(
            at=to_micros(instant), account_id=account, person_id=person, score=score, **envelope, **given
        )

    def _envelope(self) -> dict[str, Any]:
        return {"tenant": self.number, "id": str(next(iter(self.ids))), "received": self.house.clock.micros()}

    def _at(self, when: datetime | None) -> int:
        return to_micros(when or self.house.clock.now())


def stamp(instant: datetime) -> str:
    """An instant as `as_of` takes it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


@asynccontextmanager
async def open_house(made: TestDatabase) -> AsyncIterator[House]:
    """A house on a migrated database."""
    owner = await asyncpg.connect(made.owner_dsn)
    await make_topics(owner, facts.ALL_TOPICS, PARTITIONS)
    database = await open_database(DatabaseSettings(made.owner_dsn, made.app_password, made.worker_password))
    bus, clock = PostgresBus(database.worker, PARTITIONS), HandClock()
    positions = StoredPositions(database.worker, bus.id, NAME)
    consumer = bus.consumer(NAME, facts.CONSUMED_TOPICS, positions)
    await consumer.start()
    tenants = Tenants(database.worker)
    async with open_scoring(ScoringSettings(), bus, database, Keyring(database, clock), clock) as service:
        house = House(
            owner, database, bus, clock, service.http, FoldLoop(bus, consumer, database, positions, clock), tenants,
            Assessor(database, clock, tenants), Ticker(database, clock, tenants), service.parts["freshness"],
        )  # fmt: skip
        yield house
    await consumer.close()
    await database.close()
    await owner.close()
