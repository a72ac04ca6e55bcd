"""What each kind of key and each role may do at the public door, and when a revoked key stops opening it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx2
import pytest

from tests.journeys.filled import made_by
from tests.journeys.running import Ground, client

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ground(database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One `genki up`, all services in it."""
    opened = Ground(database, tmp_path_factory.mktemp("rights"))
    opened.restart()
    yield opened
    opened.stop_all()


@pytest.fixture(scope="module")
async def admin(ground: Ground) -> AsyncIterator[httpx2.AsyncClient]:
    """An admin of an empty tenant."""
    made = json.loads(ground.command("tenant", "create", "Rights", "--json"))
    async with client(ground.door, made["keys"]["admin"]) as opened:
        yield opened


WRITES: Final = {
    "usage": ("POST", "/v1/events", [{"type": "usage", "at": "2026-01-01T00:00:00Z", "person_id": "p", "event": "e"}]),
    "track": ("POST", "/v1/track", {"userId": "p", "event": "e"}),
    "settings": ("PUT", "/v1/settings", {}),
    "review": ("POST", "/v1/tiers/reviews", {}),
    "key": ("POST", "/v1/keys", {"kind": "write"}),
    "list": ("GET", "/v1/accounts", None),
    "keys": ("GET", "/v1/keys", None),
    "refused": ("GET", "/v1/ingest/rejections", None),
}
MAY: Final = {  # the table of the contract: what answers 2xx, all else is 403
    "write": {"track"},
    "server": {"usage", "track"},
    "viewer": {"list", "refused"},
    "csm": {"list", "refused"},
    "manager": {"list", "refused", "settings", "review"},
    "admin": {"list", "refused", "settings", "review", "key", "keys"},
}


@pytest.mark.parametrize("holder", MAY)
async def test_a_key_may_what_its_kind_and_role_may_and_no_more(
    ground: Ground, admin: httpx2.AsyncClient, holder: str
) -> None:
    role = {"kind": "api", "role": holder} if holder not in ("write", "server") else {"kind": holder}
    made = await made_by(admin.post("/v1/keys", json=role), 201)
    async with client(ground.door, made["key"]) as http:
        found = {name: (await http.request(m, path, json=body)).status_code for name, (m, path, body) in WRITES.items()}
    assert {name for name, status in found.items() if status in (200, 201)} == MAY[holder]
    assert {status for name, status in found.items() if name not in MAY[holder]} == {403}


async def test_a_revoked_key_is_refused_within_five_seconds_wherever_it_was_revoked(
    ground: Ground, admin: httpx2.AsyncClient
) -> None:
    url = ground.door
    for by_command in (False, True):
        made = await made_by(admin.post("/v1/keys", json={"kind": "api", "role": "viewer"}), 201)
        async with client(url, made["key"]) as http:
            assert (await http.get("/v1/accounts")).status_code == 200
            if by_command:
                await asyncio.to_thread(ground.command, "key", "revoke", made["id"])
            else:
                assert (await admin.delete(f"/v1/keys/{made['id']}")).status_code == 204
            assert await _refused_within(http, 5) == 401


async def _refused_within(http: httpx2.AsyncClient, seconds: float) -> int:
    until, status = time.monotonic() + seconds, 200
    while status == 200 and time.monotonic() < until:
        status = (await http.get("/v1/accounts")).status_code
        await asyncio.sleep(0.1)
    return status
