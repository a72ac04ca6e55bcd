"""A place to listen to the stream from: its gateway, its clients, and the events as they come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

import asyncpg
import httpx2

from services.scoring.stream import store
from services.scoring.stream.hub import Hub
from shared.postgres import Database, tenant_transaction
from shared.service import Service
from shared.tenancy import new_key
from tests.services.scoring.builders import TODAY, at

NOW = at(TODAY)
NUMBERS = count(1)


class Event(NamedTuple):
    """One event as a client reads it."""

    kind: str
    id: int
    data: dict[str, Any]


@dataclass
class Place:
    """A tenant behind a gateway."""

    db: Database
    owner: asyncpg.Connection
    scoring: Service
    gateway: Service
    url: str
    tenant: int
    keys: dict[str, str] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)

    async def key(self, kind: str = "api", role: str | None = "viewer", csm_id: str | None = None) -> str:
        made = new_key(kind)
        await self.owner.execute(
            "INSERT INTO access.key (key_id, tenant, kind, role, csm_id, secret_hash) VALUES ($1, $2, $3, $4, $5, $6)",
            made.key_id, self.tenant, kind, role, csm_id, made.secret_hash,
        )  # fmt: skip
        return made.text

    async def move(self, account: int, score: float, when: datetime = NOW) -> None:
        """The account's health becomes this, as an assessment says it."""
        async with tenant_transaction(self.db.worker, self.tenant) as conn:
            old = {account: _row(account, self.scores[account])} if account in self.scores else {}
            await store.write(conn, self.tenant, old, {account: _row(account, score)}, when)
        self.scores[account] = score

    @asynccontextmanager
    async def open(
        self, key: str, last: int | str | None = None, query: str = ""
    ) -> AsyncIterator[tuple[httpx2.Response, AsyncIterator[Event]]]:
        headers = {"authorization": f"Bearer {key}"} | ({} if last is None else {"last-event-id": str(last)})
        async with (
            httpx2.AsyncClient(base_url=self.url, timeout=20, headers=headers) as client,
            client.stream("GET", f"/v1/stream{query}") as answer,
        ):
            yield answer, _events(answer)

    @property
    def hub(self) -> Hub:
        return self.scoring.parts["stream"]


def _row(account: int, score: float) -> dict[str, Any]:
    told = {"score": score, "band": "yellow", "effective_band": "yellow", "covered": None}
    return told | {"account_id": f"a{account}", "csm_id": f"csm-{account % 2}"}


async def _events(answer: httpx2.Response) -> AsyncIterator[Event]:
    """As HTML's event-source algorithm reads them; an id without data moves the place and is kind `place`."""
    kind, last, data, moved = "message", 0, "", False
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line == "":
            if data or moved:
                yield Event(kind if data else "place", last, json.loads(data or "{}"))
            kind, data, moved = "message", "", False
        elif name == "event":
            kind = value
        elif name == "id":
            last, moved = int(value), True
        elif name == "data":
            data = value


async def take(
    events: AsyncIterator[Event], wanted: int, seconds: float = 10, into: list[Event] | None = None
) -> list[Event]:
    """The next events that are more than a place."""
    found: list[Event] = []
    async with asyncio.timeout(seconds):
        while len(found) < wanted:
            event = await anext(events)
            if event.kind != "place":
                found.append(event)
                if into is not None:
                    into.append(event)
    return found
