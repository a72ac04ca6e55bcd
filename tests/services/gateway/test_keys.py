"""Keys against a real PostgreSQL: made, listed, revoked, never across tenants."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from services.gateway.app import open_gateway
from services.gateway.domain.access import KeyWish
from services.gateway.settings import GatewaySettings
from services.gateway.store import insert_key
from shared.clock import Clock
from shared.errors import Unauthorized
from shared.postgres import Database, tenant_transaction
from shared.tenancy import Keyring, NewKey, new_key, parse_key
from tests.conftest import TestDatabase


async def tenant_with_admin(database: TestDatabase, db: Database, name: str) -> tuple[int, NewKey]:
    owner = await asyncpg.connect(database.owner_dsn)
    made = await owner.fetchval(
        "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, 'Asia/Tokyo', 'JPY')"
        " ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name RETURNING tenant",
        name,
    )
    await owner.close()
    key = new_key("api")
    async with tenant_transaction(db.app, made) as conn:
        await insert_key(conn, made, key, KeyWish("api", "admin"), datetime.now(UTC))
    return made, key


class Doors:
    """Two tenants' admins before one gateway."""

    def __init__(self, client: httpx2.AsyncClient, ours: NewKey, theirs: NewKey, keyring: Keyring) -> None:
        self.client, self.ours, self.theirs, self.keyring = client, ours, theirs, keyring

    async def ask(self, method: str, path: str, key: NewKey | None = None, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {(key or self.ours).text}"}
        return await self.client.request(method, path, headers=headers, **more)


@pytest.fixture
async def doors(database: TestDatabase, db: Database) -> AsyncIterator[Doors]:
    _, ours = await tenant_with_admin(database, db, "t_ours")
    _, theirs = await tenant_with_admin(database, db, "t_theirs")
    keyring = Keyring(db, Clock())
    async with open_gateway(GatewaySettings(), {}, db, keyring, Clock()) as gateway:
        transport = httpx2.ASGITransport(gateway.http)
        async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as client:
            yield Doors(client, ours, theirs, keyring)


async def test_a_key_is_made_shown_once_and_opens_at_once(doors: Doors) -> None:
    wish = {"kind": "api", "role": "csm", "csm_id": "csm-1", "label": "Aoki", "expires_at": "2999-01-01T00:00:00+09:00"}
    made = await doors.ask("POST", "/v1/keys", json=wish)
    assert made.status_code == 201
    body = made.json()
    parsed = parse_key(body["key"])
    assert parsed is not None
    assert (parsed.kind, parsed.key_id) == ("api", body["id"])
    assert (body["role"], body["csm_id"], body["label"]) == ("csm", "csm-1", "Aoki")
    asker = await doors.keyring.verify(body["key"])
    assert (asker.tenant_id, asker.role, asker.csm_id, asker.time_zone) == ("t_ours", "csm", "csm-1", "Asia/Tokyo")
    listed = (await doors.ask("GET", "/v1/keys")).json()["items"]
    assert next(item for item in listed if item["id"] == body["id"])["label"] == "Aoki"
    assert all("key" not in item for item in listed)
    assert body["key"].split("_")[3] not in str(listed)


async def test_only_the_hash_of_a_secret_is_in_the_database(database: TestDatabase, doors: Doors) -> None:
    made = (await doors.ask("POST", "/v1/keys", json={"kind": "write"})).json()
    owner = await asyncpg.connect(database.owner_dsn)
    row = await owner.fetchrow("SELECT * FROM access.key WHERE key_id = $1", made["id"])
    await owner.close()
    assert row is not None
    assert len(row["secret_hash"]) == 32
    assert made["key"].split("_")[3] not in str(dict(row))


@pytest.mark.parametrize(
    ("wish", "pointer", "code"),
    [
        ({"kind": "root"}, "/kind", "unknown_kind"),
        ({"kind": "api"}, "/role", "unknown_role"),
        ({"kind": "write", "role": "admin"}, "/role", "role_without_api"),
        ({"kind": "write", "expires_at": "2001-01-01T00:00:00Z"}, "/expires_at", "in_past"),
        ({"kind": "write", "expires_at": "2999-01-01T00:00:00"}, "/expires_at", "timezone_aware"),
        ({"kind": "write", "tenant": 2}, "/tenant", "extra_forbidden"),
        ({"kind": "write", "label": "a\u0000b"}, "/label", "string_pattern_mismatch"),
        ({}, "/kind", "missing"),
    ],
)
async def test_a_wrong_wish_is_refused_and_makes_nothing(
    doors: Doors, wish: dict[str, Any], pointer: str, code: str
) -> None:
    before = (await doors.ask("GET", "/v1/keys")).json()["total"]
    answer = await doors.ask("POST", "/v1/keys", json=wish)
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    assert (await doors.ask("GET", "/v1/keys")).json()["total"] == before


async def test_a_revoked_key_opens_nothing_and_revoking_twice_is_no_error(doors: Doors) -> None:
    made = (await doors.ask("POST", "/v1/keys", json={"kind": "api", "role": "admin"})).json()
    await doors.keyring.verify(made["key"])
    assert (await doors.ask("DELETE", f"/v1/keys/{made['id']}")).status_code == 204
    with pytest.raises(Unauthorized):
        await doors.keyring.verify(made["key"])
    listed = (await doors.ask("GET", "/v1/keys")).json()["items"]
    revoked_at = next(item["revoked_at"] for item in listed if item["id"] == made["id"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(revoked_at)) < timedelta(seconds=10)
    assert (await doors.ask("DELETE", f"/v1/keys/{made['id']}")).status_code == 204
    again = (await doors.ask("GET", "/v1/keys")).json()["items"]
    assert next(item["revoked_at"] for item in again if item["id"] == made["id"]) == revoked_at


async def test_another_tenants_key_is_as_unknown_as_none(doors: Doors) -> None:
    foreign = await doors.ask("DELETE", f"/v1/keys/{doors.theirs.key_id}")
    unknown = await doors.ask("DELETE", "/v1/keys/AAAAAAAAAAAA")
    texts = [a.text.replace(a.json()["request_id"], "") for a in (foreign, unknown)]
    assert foreign.status_code == unknown.status_code == 404
    assert texts[0] == texts[1]
    assert (await doors.ask("GET", "/v1/keys", doors.theirs)).status_code == 200
    ours = {item["id"] for item in (await doors.ask("GET", "/v1/keys?limit=500")).json()["items"]}
    assert doors.ours.key_id in ours
    assert doors.theirs.key_id not in ours


async def test_pages_hold_every_key_once_newest_first(doors: Doors) -> None:
    for _ in range(5):
        await doors.ask("POST", "/v1/keys", json={"kind": "write"})
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await doors.ask("GET", f"/v1/keys?limit=2&cursor={cursor}")).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert len(found) == len({item["id"] for item in found}) == page["total"]
    times = [item["created_at"] for item in found]
    assert times == sorted(times, reverse=True)
    assert (await doors.ask("GET", "/v1/keys?cursor=broken")).status_code == 422


async def test_without_a_tenant_the_request_role_sees_no_key_and_no_list_of_tenants(db: Database, doors: Doors) -> None:
    async with db.app.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM access.key") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.fetchval("SELECT count(*) FROM access.tenant")


async def test_a_key_for_another_tenant_cannot_be_kept(database: TestDatabase, db: Database, doors: Doors) -> None:
    ours, _ = await tenant_with_admin(database, db, "t_ours")
    theirs, _ = await tenant_with_admin(database, db, "t_theirs")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant_transaction(db.app, ours) as conn:
            await insert_key(conn, theirs, new_key("write"), KeyWish("write"), datetime.now(UTC))
