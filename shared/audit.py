"""The audit log: what people changed, a row for each write, in the transaction of the write itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from shared.postgres import Connection
from shared.tenancy import Principal

COMMAND_LINE: Final = "command line"
MOST: Final = 16_384  # bytes of a summary; of a larger one only the names remain
_INSERT: Final = """
INSERT INTO access.audit (tenant, at, actor, actor_kind, role, action, target, summary, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
"""
_encoder: Final = msgspec.json.Encoder(decimal_format="string")


async def record(
    conn: Connection, asker: Principal, now: datetime, action: str, target: str = "", **summary: Any
) -> None:
    """One row: who did what to what. `action` is `thing.verb`; `summary` says what changed in ids, counts and settings,
    never a secret, a name, an address or free text about a person. Call it inside the transaction of the change."""
    kind = "token" if "@" in asker.key_id else "key"  # no key's id holds an @
    who = (asker.key_id, kind, asker.role, action, target, _text(summary), asker.request_id)
    await conn.execute(_INSERT, asker.tenant, now, *who)


async def record_command(
    conn: Connection, tenant: int, now: datetime, action: str, target: str = "", **summary: Any
) -> None:
    """One row of a command that the operator ran beside the doors."""
    await conn.execute("SELECT set_config('app.tenants', $1, true)", str(tenant))
    who = (COMMAND_LINE, "command", None, action, target, _text(summary), "")
    await conn.execute(_INSERT, tenant, now, *who)


def _text(summary: Mapping[str, Any]) -> str:
    text = _encoder.encode(summary)
    if len(text) > MOST:
        text = _encoder.encode({name: _names(value) for name, value in summary.items()})
    if rb"\u0000" in text:
        text = _encoder.encode(_storable(msgspec.json.decode(text)))
    return text.decode()


def _storable(value: Any) -> Any:
    """The value without NUL, which no table keeps."""
    if isinstance(value, dict):
        return {_storable(name): _storable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_storable(part) for part in value]
    return value.replace("\0", "") if isinstance(value, str) else value


def _names(value: Any) -> Any:
    return sorted(value) if isinstance(value, Mapping) else "too long" if isinstance(value, str | list) else value
