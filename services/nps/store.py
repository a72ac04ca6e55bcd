"""SQL of surveys."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from shared.postgres import Connection

_NAMED: Final = "SELECT name, survey_id FROM nps.survey WHERE tenant = $1 AND name = ANY($2::text[])"
# In order of name, so that two imports that make the same surveys wait for each other and never deadlock.
_MAKE: Final = """
INSERT INTO nps.survey (tenant, survey_id, name, kind, created_at)
SELECT $1, survey_id, name, 'relationship', $4 FROM unnest($2::text[], $3::text[]) AS w(survey_id, name)
ORDER BY name ON CONFLICT (tenant, name) DO NOTHING
"""
_PAGE: Final = """
SELECT survey_id, name, kind, created_at FROM nps.survey
WHERE tenant = $1 AND (created_at, survey_id) < ($2, $3) ORDER BY created_at DESC, survey_id DESC LIMIT $4
"""
_TOTAL: Final = "SELECT count(*) FROM nps.survey WHERE tenant = $1"


async def surveys_named(conn: Connection, tenant: int, names: Sequence[str]) -> Mapping[str, str]:
    """The ids of the surveys that have these names."""
    return dict(await conn.fetch(_NAMED, tenant, names))


async def make_surveys(conn: Connection, tenant: int, names: Sequence[str], now: datetime) -> None:
    """Makes a survey of each name that has none."""
    ids = [f"survey-{secrets.token_hex(8)}" for _ in names]
    await conn.execute(_MAKE, tenant, ids, names, now)


async def page(conn: Connection, tenant: int, before: tuple[datetime, str], limit: int) -> list[Any]:
    """The next surveys, the newest first."""
    return await conn.fetch(_PAGE, tenant, *before, limit)


async def total(conn: Connection, tenant: int) -> int:
    """How many surveys the tenant has."""
    return int(await conn.fetchval(_TOTAL, tenant) or 0)
