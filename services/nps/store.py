"""Surveys by name, for imports."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, Text, any_, bindparam, select
from sqlmodel import col

from services.nps.tables import Survey
from shared import tables
from shared.postgres import Connection

_NAMED: Final = select(col(Survey.name), col(Survey.survey_id)).where(
    col(Survey.tenant) == bindparam("tenant"), col(Survey.name) == any_(bindparam("names", type_=ARRAY(Text)))
)
# In order of name, so that two imports that make the same surveys wait for each other and never deadlock.
_MAKE: Final = """
INSERT INTO nps.survey (tenant, survey_id, name, kind, created_at)
SELECT $1, survey_id, name, 'relationship', $4 FROM unnest($2::text[], $3::text[]) AS w(survey_id, name)
ORDER BY name ON CONFLICT (tenant, name) DO NOTHING
"""


async def surveys_named(conn: Connection, tenant: int, names: Sequence[str]) -> Mapping[str, str]:
    """The ids of the surveys that have these names."""
    return {row["name"]: row["survey_id"] for row in await tables.rows(conn, _NAMED, tenant=tenant, names=names)}


async def names(conn: Connection, tenant: int) -> Mapping[str, str]:
    """Every survey's name by its id."""
    return dict(await conn.fetch("SELECT survey_id, name FROM nps.survey WHERE tenant = $1", tenant))


async def make_surveys(conn: Connection, tenant: int, names: Sequence[str], now: datetime) -> None:
    """Makes a survey of each name that has none."""
    ids = [f"survey-{secrets.token_hex(8)}" for _ in names]
    await conn.execute(_MAKE, tenant, ids, names, now)
