"""nps and scoring on one log and database: what a file says is folded and seen in every figure."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest_asyncio

from services.nps.app import open_nps
from services.nps.mail.worker import Mailer
from services.nps.settings import NpsSettings
from shared.tenancy import Keyring, new_key
from tests.conftest import TestDatabase
from tests.services.nps.mailbox import Mailbox, mail_server
from tests.services.scoring.harness import House, TestTenant, open_house


@dataclass
class Desk:
    """One tenant's door to nps, and the tenant as scoring sees it."""

    tenant: TestTenant
    client: httpx2.AsyncClient

    async def send(self, body: bytes | str, *query: tuple[str, str], path: str = "responses") -> httpx2.Response:
        """The raw answer to a file."""
        content = body.encode() if isinstance(body, str) else body
        return await self.client.post(f"/v1/imports/{path}", content=content, params=list(query))

    async def bring(self, body: bytes | str, *query: tuple[str, str]) -> Any:
        """The answer to a file that must be taken, after scoring has applied it."""
        answer = await self.send(body, *query)
        assert answer.status_code == 200, answer.text
        await self.tenant.house.settle()
        return answer.json()

    async def stored(self, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """What scoring holds of the tenant's responses, in order of time and id."""
        rows = await self.tenant.house.owner.fetch(
            f"SELECT {', '.join(columns)} FROM scoring_state.response r"
            " LEFT JOIN scoring.account_key a USING (tenant, account)"
            " LEFT JOIN scoring.person_key p USING (tenant, person)"
            " WHERE tenant = $1 ORDER BY at, r.id",
            self.tenant.number,
        )
        return [tuple(row) for row in rows]


@dataclass
class Post:
    """Makes desks."""

    house: House
    http: Any
    mailer: Mailer

    async def desk(self, time_zone: str = "Asia/Tokyo", kind: str = "server") -> Desk:
        """A new tenant and its key."""
        tenant = await self.house.tenant(time_zone)
        return Desk(tenant, await self.door(tenant, kind))

    async def door(
        self, tenant: TestTenant, kind: str, role: str | None = None, csm_id: str | None = None
    ) -> httpx2.AsyncClient:
        """A client with a key of that kind."""
        key = new_key(kind)
        await self.house.owner.execute(
            "INSERT INTO access.key (key_id, tenant, kind, role, csm_id, secret_hash) VALUES ($1, $2, $3, $4, $5, $6)",
            key.key_id, tenant.number, kind, role, csm_id, key.secret_hash,
        )  # fmt: skip
        headers = {"authorization": f"Bearer {key.text}"}
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.http), base_url="http://nps", headers=headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def post(database: TestDatabase) -> AsyncIterator[Post]:
    """Both services, driven by hand."""
    async with open_house(database) as house:
        keyring = Keyring(house.database, house.clock)
        settings = NpsSettings(import_bytes=200_000, import_rows=500)
        async with open_nps(settings, house.bus, house.database, keyring, house.clock, house.http) as service:
            yield Post(house, service.http, service.parts["mailer"])


@pytest_asyncio.fixture(loop_scope="module")
async def box() -> AsyncIterator[Mailbox]:
    """A mail server of its own for each test."""
    async with mail_server() as opened:
        yield opened
