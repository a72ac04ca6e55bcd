"""Tenants and keys by the owner's hand: the only way a tenant is made."""

import re
import secrets
import unicodedata
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg

from services.cli.prepare import prepare, prepared
from services.cli.report import Refused
from services.gateway.domain.access import KeyWish, faults_of, told_of
from services.gateway.store import insert_key, page_of_keys, revoke_key
from shared.audit import record_command
from shared.clock import zone
from shared.money import minor_digits
from shared.postgres import APP_ROLE, Connection, DatabaseSettings, begin, role_url
from shared.tenancy import NewKey, new_key

_FIRST_KEYS: Final = {"server": KeyWish("server"), "write": KeyWish("write"), "admin": KeyWish("api", "admin")}
_INSERT: Final = """
INSERT INTO access.tenant (tenant_id, name, time_zone, currency, created_at) VALUES ($1, $2, $3, $4, $5)
RETURNING tenant
"""
_FIND: Final = "SELECT tenant, tenant_id, time_zone, currency FROM access.tenant WHERE tenant_id = $1"


_HOLDER: Final = "SELECT tenant FROM access.key WHERE key_id = $1"


class NewTenant(NamedTuple):
    """A tenant just made; `keys` (server, write, admin) are shown this once."""

    tenant: int
    tenant_id: str
    name: str
    time_zone: str
    currency: str
    keys: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """What `genki tenant create` prints."""
        return {key: value for key, value in self._asdict().items() if key != "tenant"}


async def create_tenant(
    settings: DatabaseSettings, name: str, time_zone: str, currency: str, now: datetime
) -> NewTenant:
    """A tenant with its three first keys, in one transaction; prepares a database never used. Raises Refused."""
    _check(name, time_zone, currency)
    conn = await asyncpg.connect(settings.url)
    try:
        if not await prepared(conn):
            await prepare(settings, None)
        tenant_id = f"{_slug(name)}-{secrets.token_hex(4)}"
        keys = {title: new_key(wish.kind) for title, wish in _FIRST_KEYS.items()}
        async with conn.transaction():
            tenant = await conn.fetchval(_INSERT, tenant_id, name, time_zone, currency, now)
            await record_command(conn, tenant, now, "tenant.create", tenant_id, time_zone=time_zone, currency=currency)
            for title, key in keys.items():
                await insert_key(conn, tenant, key, _FIRST_KEYS[title], now)
                await record_command(conn, tenant, now, "key.create", key.key_id, **told_of(_FIRST_KEYS[title]))
    finally:
        await conn.close()
    return NewTenant(tenant, tenant_id, name, time_zone, currency, {title: key.text for title, key in keys.items()})


async def create_key(settings: DatabaseSettings, tenant_id: str, wish: KeyWish, now: datetime) -> NewKey:
    """One more key of a tenant. Raises Refused."""
    if faults := faults_of(wish, now):
        raise Refused("; ".join(f"{fault.pointer[1:]}: {fault.message}" for fault in faults))
    key = new_key(wish.kind)
    async with tenant_connection(settings, tenant_id) as (conn, tenant):
        await insert_key(conn, tenant, key, wish, now)
        await record_command(conn, tenant, now, "key.create", key.key_id, **told_of(wish))
    return key


async def list_keys(settings: DatabaseSettings, tenant_id: str) -> list[dict[str, Any]]:
    """All keys of a tenant, newest first, without their secrets. Raises Refused."""
    async with tenant_connection(settings, tenant_id) as (conn, _):
        rows, _ = await page_of_keys(conn, None, 100_000)
    return [{"id": row["key_id"], **{name: value for name, value in row.items() if name != "key_id"}} for row in rows]


async def end_key(settings: DatabaseSettings, key_id: str, now: datetime) -> None:
    """Revokes a key of whatever tenant; effective within 5 s. Raises Refused when there is none."""
    conn = await asyncpg.connect(settings.url)
    try:
        tenant = await conn.fetchval(_HOLDER, key_id) if await prepared(conn) else None
        if tenant is None:
            raise Refused(f"there is no key {key_id}")
        async with conn.transaction():
            await revoke_key(conn, key_id, now)
            await record_command(conn, tenant, now, "key.revoke", key_id)
    finally:
        await conn.close()


@asynccontextmanager
async def tenant_connection(settings: DatabaseSettings, tenant_id: str) -> AsyncIterator[tuple[Connection, int]]:
    """A transaction under the request role that sees this tenant only. Raises Refused for an unknown tenant."""
    owner = await asyncpg.connect(settings.url)
    try:
        row = await owner.fetchrow(_FIND, tenant_id) if await prepared(owner) else None
    finally:
        await owner.close()
    if row is None:
        raise Refused(f"there is no tenant {tenant_id}")
    conn = await asyncpg.connect(role_url(settings.url, APP_ROLE, settings.app_password))
    try:
        await begin(conn, (row["tenant"],))
        yield conn, row["tenant"]
        await conn.execute("COMMIT")
    finally:
        await conn.close()


def _check(name: str, time_zone: str, currency: str) -> None:
    if not name.strip() or len(name) > 200 or any(ord(sign) < 32 for sign in name):
        raise Refused("a tenant's name has 1 to 200 visible characters")
    try:
        zone(time_zone)
    except (KeyError, ValueError, OSError) as problem:
        raise Refused(f"{time_zone!r} is no IANA time zone, as in Asia/Tokyo") from problem
    try:
        minor_digits(currency)
    except ValueError as problem:
        raise Refused(f"{currency!r} is no ISO 4217 currency, as in JPY") from problem


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:24] or "tenant"
