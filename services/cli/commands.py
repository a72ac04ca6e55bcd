"""The short commands: tenants, keys, settings, migration. Each says what it does and shows an example."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from services.cli import tenants
from services.cli.door import open_door
from services.cli.prepare import prepare
from services.cli.report import Refused, note, tell
from services.cli.where import Where
from services.gateway.domain.access import KeyWish

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Exactly one JSON document on stdout.")]
Tenant = Annotated[str, Parameter(name="--tenant", help="The tenant's id.")]


def tenant_create(
    name: str,
    /,
    *,
    time_zone: str = "Asia/Tokyo",
    currency: str = "JPY",
    where: Where | None = None,
    json: Json = False,
) -> None:
    """Make a tenant and its first keys (shown this once), whether `genki up` runs or not."""
    place = where or Where()
    with place.borrowed() as settings:
        made = asyncio.run(tenants.create_tenant(settings, name, time_zone, currency, place.clock().now()))
    tell(made.document(), json)


def key_create(
    *,
    tenant: Tenant,
    kind: Literal["server", "write", "api"],
    role: Literal["admin", "manager", "csm", "viewer"] | None = None,
    csm: str | None = None,
    expires: datetime | None = None,
    label: str | None = None,
    where: Where | None = None,
    json: Json = False,
) -> None:
    """Make a key; it is shown this once."""
    place = where or Where()
    wish = KeyWish(kind, role, csm, label, expires.astimezone() if expires else None)
    with place.borrowed() as settings:
        key = asyncio.run(tenants.create_key(settings, tenant, wish, place.clock().now()))
    tell({"id": key.key_id, "kind": kind, "role": role, "key": key.text}, json)


def key_list(*, tenant: Tenant, where: Where | None = None, json: Json = False) -> None:
    """List a tenant's keys, newest first, without their secrets."""
    with (where or Where()).borrowed() as settings:
        keys = asyncio.run(tenants.list_keys(settings, tenant))
    lines = [f"{key['id']}  {key['kind']:6} {key['role'] or '-':8} {_state(key)}  {key['label'] or ''}" for key in keys]
    tell({"items": keys}, json, "\n".join(lines) or "no keys")


def key_revoke(key_id: str, /, *, where: Where | None = None, json: Json = False) -> None:
    """End a key for good; effective within 5 s."""
    place = where or Where()
    with place.borrowed() as settings:
        asyncio.run(tenants.end_key(settings, key_id, place.clock().now()))
    tell({"id": key_id, "revoked": True}, json)


def settings_get(file: Path | None = None, /, *, tenant: Tenant, where: Where | None = None) -> None:
    """Write a tenant's settings document to FILE, or to stdout."""
    document = asyncio.run(_ask(where or Where(), tenant, "GET", "/v1/settings"))
    text = json.dumps(document, ensure_ascii=False, indent=2)
    if file is None:
        tell(document, False, text)
    else:
        file.write_text(text + "\n", "utf-8")
        note(f"written to {file}")


def settings_put(file: Path, /, *, tenant: Tenant, where: Where | None = None, as_json: Json = False) -> None:
    """Put a whole settings document in force."""
    body = _read(file)
    document = asyncio.run(_ask(where or Where(), tenant, "PUT", "/v1/settings", body=body, kind="application/json"))
    tell(document, as_json, "the settings are in force")


def migrate(*, partitions: int | None = None, where: Where | None = None, json: Json = False) -> None:
    """Bring the database to the newest schema and make the log's topics; safe to repeat."""
    place = where or Where()
    with place.borrowed() as settings:
        count = asyncio.run(prepare(settings, place.kafka, partitions))
    tell({"migrated": True, "partitions": count}, json, f"ready: newest schema, {count} partitions a topic")


async def _ask(
    place: Where,
    tenant: str,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    kind: str = "",
) -> Any:
    async with open_door(place, tenant) as door:
        return (await door.ask(method, path, body=body, kind=kind)).document


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise Refused(f"{file}: {problem.strerror}") from problem


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"revoked {key['revoked_at']:%Y-%m-%d}"
    return f"until {key['expires_at']:%Y-%m-%d}" if key["expires_at"] else "valid"
