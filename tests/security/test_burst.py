"""One tenant that asks for far more than its share is put off, with a time to come back; nobody else notices."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2
import pytest

from tests.conftest import TestDatabase
from tests.security.inside import Inside, inside

pytestmark = pytest.mark.slow
SHARE: Final = 20  # facts a second of a tenant, requests a second of a key; what is saved is that of 30 s


@pytest.fixture(scope="module")
async def genki(database: TestDatabase) -> AsyncIterator[Inside]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GENKI_TENANT_FACTS_PER_SECOND", str(SHARE))
        environment.setenv("GENKI_KEY_REQUESTS_PER_SECOND", str(SHARE))
        async with inside(database) as opened:
            yield opened


def facts(word: str, count: int) -> list[dict[str, Any]]:
    one = {"type": "usage", "person_id": "p", "event": "e", "at": "2026-01-01T00:00:00Z"}
    return [{**one, "id": f"{word}-{number}"} for number in range(count)]


async def many(http: httpx2.AsyncClient, word: str, requests: int) -> list[httpx2.Response]:
    """So many requests of a hundred facts at once."""
    return await asyncio.gather(*(http.post("/v1/events", json=facts(f"{word}-{n}", 100)) for n in range(requests)))


async def test_a_burst_of_ten_times_a_tenants_share_is_put_off_and_the_others_lose_nothing(genki: Inside) -> None:
    loud, quiet = await genki.tenant("zqloud"), await genki.tenant("zqquiet")
    burst = asyncio.ensure_future(many(loud.door, "loud", 60))  # 6,000 facts where 600 are saved up
    calm: list[int] = []
    for number in range(5):
        calm += [one.status_code for one in await many(quiet.door, f"quiet-{number}", 1)]
    found = await burst
    assert calm == [200] * 5
    taken = [one for one in found if one.status_code == 200]
    put_off = [one for one in found if one.status_code == 429]
    assert len(taken) + len(put_off) == 60
    assert 6 <= len(taken) < 20  # what is saved up, and what flows in meanwhile
    for one in put_off:
        assert one.json()["code"] == "over_share"
        assert 1 <= int(one.headers["retry-after"]) <= 30
    call = {"userId": "p", "event": "e"}
    assert (await loud.door.post("/v1/track", json=call)).status_code == 429
    assert (await quiet.door.post("/v1/track", json=call)).status_code == 200


async def test_a_key_that_asks_without_pause_is_put_off_and_the_tenants_other_keys_are_not(genki: Inside) -> None:
    eager = await genki.tenant("zqeager")
    other = await genki.client(
        (await eager.asker.post("/v1/keys", json={"kind": "api", "role": "viewer"})).json()["key"]
    )
    statuses = [(await eager.asker.get("/v1/settings")).status_code for _ in range(SHARE * 30 + 200)]
    assert statuses[: SHARE * 30 - 1] == [200] * (SHARE * 30 - 1)
    assert statuses.count(429) > 0
    assert (await other.get("/v1/settings")).status_code == 200
