"""The audit log against a real PostgreSQL: a row with each write, in pages, never another tenant's, never altered."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from services.gateway.app import open_gateway
from services.gateway.domain.access import KeyWish
from services.gateway.settings import GatewaySettings
from services.gateway.store import insert_key
from shared.audit import MOST, record
from shared.clock import Clock
from shared.postgres import Database, NotIsolated, check_isolation, tenant_transaction
from shared.tenancy import Keyring, Principal, new_key
from shared.tokens import Issuers, Tokens
from tests.conftest import TestDatabase
from tests.shared.tokens.issuing import claims, issuer, signed


@dataclass
class Office:
    """A gateway with one tenant's admin, manager and csm; `other` is another tenant's admin."""

    db: Database
    client: httpx2.AsyncClient
    tenant: int
    number: str
    keys: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, who: str = "admin", **more: Any) -> httpx2.Response:
        return await self.client.request(method, path, headers={"authorization": f"Bearer {self.keys[who]}"}, **more)

    async def rows(self, query: str = "", who: str = "admin") -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/v1/audit?limit=500&{query}", who)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]


MADE = iter(range(1, 1_000))


@pytest.fixture
async def office(database: TestDatabase, db: Database) -> AsyncIterator[Office]:
    keyed: dict[str, str] = {}
    owner = await asyncpg.connect(database.owner_dsn)
    name = f"t_audit{next(MADE)}"
    insert = (
        "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, 'Asia/Tokyo', 'JPY')"
        " RETURNING tenant"
    )
    ours, theirs = await owner.fetchval(insert, name), await owner.fetchval(insert, f"{name}b")
    await owner.close()
    for who, tenant, role in (
        ("admin", ours, "admin"), ("manager", ours, "manager"), ("csm", ours, "csm"), ("other", theirs, "admin")
    ):  # fmt: skip
        key = new_key("api")
        async with tenant_transaction(db.app, tenant) as conn:
            await insert_key(conn, tenant, key, KeyWish("api", role, label=f"{who}'s own"), datetime.now(UTC))
        keyed[who] = key.text
    believed = issuer(tenants=[name])
    keyring = Keyring(db, Clock(), Tokens(Issuers(issuers=(believed,)), Clock()))
    second = int(datetime.now(UTC).timestamp())
    times = {"exp": second + 300, "iat": second}
    for role in ("admin", "viewer"):
        keyed[f"token {role}"] = signed(claims(genki_tenant=name, genki_role=role, **times))
    keyed["token of nobody"] = signed(claims(genki_tenant=f"{name}b", **times))
    async with open_gateway(GatewaySettings(), {}, db, keyring, Clock()) as gateway:
        transport = httpx2.ASGITransport(gateway.http)
        async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as client:
            yield Office(db, client, ours, name, keyed)


async def test_a_write_leaves_one_row_with_who_what_and_the_requests_id_and_no_secret(office: Office) -> None:
    wish = {"kind": "api", "role": "csm", "csm_id": "csm-1", "label": "Aoki", "expires_at": "2999-01-01T00:00:00Z"}
    made = await office.ask("POST", "/v1/keys", json=wish)
    [row] = await office.rows()
    assert abs(datetime.fromisoformat(row.pop("at")) - datetime.now(UTC)) < timedelta(seconds=20)
    assert row.pop("id") > 0
    assert row == {
        "actor": office.keys["admin"].split("_")[2],
        "actor_kind": "key",
        "actor_label": "admin's own",
        "role": "admin",
        "action": "key.create",
        "target": made.json()["id"],
        "summary": {"kind": "api", "role": "csm", "csm_id": "csm-1", "expires_at": "2999-01-01T00:00:00Z"},
        "request_id": made.headers["x-request-id"],
    }
    assert (await office.ask("DELETE", f"/v1/keys/{made.json()['id']}")).status_code == 204
    assert [(one["action"], one["target"]) for one in await office.rows()] == [
        ("key.revoke", made.json()["id"]),
        ("key.create", made.json()["id"]),
    ]


async def test_what_is_refused_leaves_no_row(office: Office) -> None:
    assert (await office.ask("POST", "/v1/keys", json={"kind": "root"})).status_code == 422
    assert (await office.ask("POST", "/v1/keys", "manager", json={"kind": "write"})).status_code == 403
    assert (await office.ask("DELETE", "/v1/keys/AAAAAAAAAAAA")).status_code == 404
    assert await office.rows() == []


async def test_a_change_that_is_rolled_back_takes_its_row_along(office: Office) -> None:
    asker = Principal(office.tenant, office.number, "api", "admin", None, "Asia/Tokyo", "JPY", key_id="K")
    with pytest.raises(RuntimeError):
        await _change_that_fails(office, asker)
    assert await office.rows() == []


async def _change_that_fails(office: Office, asker: Principal) -> None:
    async with tenant_transaction(office.db.app, office.tenant) as conn:
        await record(conn, asker, datetime.now(UTC), "thing.change", "x")
        raise RuntimeError


async def test_the_bearer_of_a_token_is_named_by_subject_and_issuer_and_has_its_roles_rights(office: Office) -> None:
    assert (await office.ask("POST", "/v1/keys", "token viewer", json={"kind": "write"})).status_code == 403
    assert (await office.ask("POST", "/v1/keys", "token admin", json={"kind": "write"})).status_code == 201
    [row] = await office.rows(who="token admin")
    assert (row["actor"], row["actor_kind"], row["actor_label"], row["role"]) == (
        "u-1@https://id.example/",
        "token",
        None,
        "admin",
    )


async def test_a_token_for_a_tenant_that_its_issuer_does_not_speak_for_is_a_401(office: Office) -> None:
    assert (await office.ask("GET", "/v1/audit", "token of nobody")).status_code == 401


async def test_managers_read_the_log_and_others_do_not(office: Office) -> None:
    found = {who: (await office.ask("GET", "/v1/audit", who)).status_code for who in office.keys if "token" not in who}
    assert found == {"admin": 200, "manager": 200, "csm": 403, "other": 200}


async def test_no_row_is_seen_by_another_tenant(office: Office) -> None:
    await office.ask("POST", "/v1/keys", json={"kind": "write"})
    assert (len(await office.rows()), await office.rows(who="other")) == (1, [])
    async with office.db.app.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM access.audit") == 0


async def test_filters_mean_either_and_pages_hold_every_row_once(office: Office) -> None:
    made = [(await office.ask("POST", "/v1/keys", json={"kind": "write"})).json()["id"] for _ in range(4)]
    await office.ask("DELETE", f"/v1/keys/{made[0]}")
    assert len(await office.rows("action=key.create")) == 4
    assert len(await office.rows("action=key.create&action=key.revoke")) == 5
    assert [one["action"] for one in await office.rows(f"target={made[0]}")] == ["key.revoke", "key.create"]
    assert await office.rows("actor=nobody") == []
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await office.ask("GET", f"/v1/audit?limit=2&cursor={cursor}")).json()
        assert page["total"] == 5
        found += [row["id"] for row in page["items"]]
        cursor = page["next_cursor"]
    assert (len(found), found) == (5, sorted(set(found), reverse=True))
    other = await office.ask("GET", "/v1/audit?limit=2&action=key.create")
    assert (await office.ask("GET", f"/v1/audit?cursor={other.json()['next_cursor']}")).status_code == 422


async def test_as_of_shows_the_log_as_it_stood(office: Office) -> None:
    await office.ask("POST", "/v1/keys", json={"kind": "write"})
    [first] = await office.rows()
    await office.ask("POST", "/v1/keys", json={"kind": "server"})
    live = (await office.ask("GET", "/v1/audit")).json()
    assert [row["id"] for row in await office.rows(f"as_of={first['at']}")] == [first["id"]]
    past = (await office.ask("GET", f"/v1/audit?as_of={live['as_of']}")).json()
    assert (past["items"], past["total"]) == (live["items"], 2)
    assert (await office.ask("GET", "/v1/audit?as_of=2999-01-01")).status_code == 422


async def test_nul_goes_and_text_that_only_looks_like_it_stays(office: Office) -> None:
    asker = Principal(office.tenant, office.number, "api", "admin", None, "Asia/Tokyo", "JPY", key_id="K")
    told = {"note": "a\0b", "path": "c:\\u0000", "after": {"k\0": ["\\\0", 1.5]}}
    async with tenant_transaction(office.db.app, office.tenant) as conn:
        await record(conn, asker, datetime.now(UTC), "thing.change", "t", **told)
    [row] = await office.rows()
    assert row["summary"] == {"note": "ab", "path": "c:\\u0000", "after": {"k": ["\\", 1.5]}}


async def test_a_summary_too_long_keeps_its_names(office: Office) -> None:
    asker = Principal(office.tenant, office.number, "api", "admin", None, "Asia/Tokyo", "JPY", key_id="K")
    told = {"after": {"value_features": "x" * MOST, "tenure": {}}, "version": 7, "note": "y"}
    async with tenant_transaction(office.db.app, office.tenant) as conn:
        await record(conn, asker, datetime.now(UTC), "settings.change", "settings", **told)
    [row] = await office.rows()
    assert row["summary"] == {"after": ["tenure", "value_features"], "version": 7, "note": "too long"}


@pytest.mark.parametrize("statement", ["UPDATE access.audit SET actor = 'x'", "DELETE FROM access.audit"])
async def test_neither_role_of_the_services_can_alter_the_log(office: Office, statement: str) -> None:
    for pool in (office.db.app, office.db.worker):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with tenant_transaction(pool, office.tenant) as conn:
                await conn.execute(statement)


@pytest.mark.parametrize("right", ["UPDATE", "UPDATE (summary)", "DELETE", "TRUNCATE"])
async def test_the_boot_check_refuses_a_log_that_can_be_altered(
    database: TestDatabase, db: Database, right: str
) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await check_isolation(db)
    for role in ("genki_app", "genki_worker"):
        await owner.execute(f"GRANT {right} ON access.audit TO {role}")
        with pytest.raises(NotIsolated, match="audit"):
            await check_isolation(db)
        await owner.execute(f"REVOKE {right} ON access.audit FROM {role}")
    await check_isolation(db)
    await owner.close()
