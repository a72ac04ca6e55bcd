"""Requests that are broken off at any moment leave nothing behind: no transaction, no connection, no tenant's word on
another's answer."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import httpx2
import pytest

from tests.conftest import TestDatabase
from tests.journeys.filled import Tenant
from tests.journeys.running import fresh, send
from tests.security.inside import Inside, inside

pytestmark = pytest.mark.slow
REQUESTS: Final = int(os.environ.get("GENKI_TEST_CANCELLED", "2000"))  # 10,000 take a minute
AT_ONCE: Final = 32
WORDS: Final = ("canary-one", "canary-two", "canary-three", "canary-four", "canary-five")
PATHS: Final = (
    "/v1/accounts/shared", "/v1/accounts/shared/health", "/v1/accounts", "/v1/keys", "/v1/settings", "/v1/surveys",
    "/v1/accounts/shared/people",
)  # fmt: skip
_BACKENDS: Final = """
SELECT count(*) AS all, count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS held
FROM pg_stat_activity WHERE datname = current_database() AND usename = 'genki_app'
"""


@pytest.fixture(scope="module")
async def genki(database: TestDatabase) -> AsyncIterator[Inside]:
    """Genki with two connections for all requests."""
    async with inside(database, app_connections=2) as opened:
        yield opened


@pytest.fixture(scope="module")
async def tenants(genki: Inside) -> list[Tenant]:
    """Five tenants whose accounts and people have the same ids, and each a word that only it has."""
    made = [await genki.tenant(word) for word in WORDS]
    now = datetime.now(UTC).isoformat()
    for one in made:
        account = {"type": "account", "id": "a", "account_id": "shared", "at": now, "name": one.word, "acv": "5"}
        person = {"type": "person", "id": "p", "person_id": "p", "account_id": "shared", "at": now, "name": one.word}
        await send(one.door, [account, {**person, "email": f"p@{one.word}.example"}])
        label = {"kind": "write", "label": one.word}
        assert (await one.asker.post("/v1/keys", json=label)).status_code == 201
        assert (await one.asker.post("/v1/surveys", json={"name": one.word})).status_code == 201
    for one in made:
        await fresh(one.asker, datetime.now(UTC))
    return made


class Tally:
    """What came of the requests."""

    def __init__(self) -> None:
        self.answered = self.broken_off = self.own = 0
        self.foreign: list[tuple[str, str]] = []
        self.odd: set[int] = set()

    def note(self, one: Tenant, path: str, answer: httpx2.Response) -> None:
        """Looks for the word of every other tenant in the answer."""
        self.answered += 1
        self.own += one.word in answer.text
        self.foreign += [(path, word) for word in WORDS if word != one.word and word in answer.text]
        if answer.status_code != 200:
            self.odd.add(answer.status_code)


async def some(tenants: list[Tenant], dice: random.Random, count: int, tally: Tally) -> None:
    """Requests one after another, three in ten broken off at a random moment."""
    for _ in range(count):
        one, path = dice.choice(tenants), dice.choice(PATHS)
        asking = asyncio.ensure_future(one.asker.get(path))
        if dice.random() < 0.3:
            for _ in range(dice.randrange(12)):
                await asyncio.sleep(0)
            await asyncio.sleep(dice.choice((0, 0, 0.001, 0.004, 0.02)))
            asking.cancel()
        try:
            tally.note(one, path, await asking)
        except asyncio.CancelledError:
            tally.broken_off += 1


async def test_thousands_of_requests_of_five_tenants_on_two_connections_a_third_broken_off_leak_no_word(
    genki: Inside, tenants: list[Tenant]
) -> None:
    [before] = await genki.owner(_BACKENDS)
    dice, tally = random.Random(7), Tally()
    await asyncio.gather(
        *(some(tenants, random.Random(dice.random()), REQUESTS // AT_ONCE + 1, tally) for _ in range(AT_ONCE))
    )
    assert tally.answered + tally.broken_off >= REQUESTS
    assert tally.broken_off > REQUESTS * 0.15
    assert tally.foreign == []
    assert tally.own > tally.answered * 0.5  # else the search above means nothing
    assert tally.odd <= {503}, tally.odd
    await asyncio.sleep(0.5)
    [after] = await genki.owner(_BACKENDS)
    assert (after["all"] <= max(2, before["all"]), after["held"]) == (True, 0)
    assert [(await one.asker.get("/v1/accounts/shared")).json()["name"] for one in tenants] == list(WORDS)
