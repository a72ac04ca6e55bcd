"""The table of surveys."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, MetaData, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from shared.tables import IDENT, INSTANT

METADATA: Final = MetaData(schema="nps")


class _Nps(SQLModel):
    metadata = METADATA


class Survey(_Nps, table=True):
    """A survey of a tenant; its name is unique among them."""

    __table_args__ = (
        UniqueConstraint("tenant", "name"),
        Index("survey_tenant_created_at_survey_id_idx", "tenant", "created_at", "survey_id"),
    )
    tenant: int = Field(primary_key=True)
    survey_id: str = Field(sa_type=IDENT, primary_key=True)
    name: str = Field(sa_type=IDENT)
    kind: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=INSTANT)
    question: dict[str, Any] | None = Field(sa_type=JSONB)
    open_question: dict[str, Any] | None = Field(sa_type=JSONB)
    quiet_days: int = Field(sa_column_kwargs={"server_default": text("90")})
    closes_at: datetime | None = Field(sa_type=INSTANT)
    closed_at: datetime | None = Field(sa_type=INSTANT)
    language: str = Field(sa_type=Text, sa_column_kwargs={"server_default": text("'both'")})
    reminders: int = Field(sa_column_kwargs={"server_default": text("0")})
    reminder_days: int = Field(sa_column_kwargs={"server_default": text("7")})
    send_hours: dict[str, Any] | None = Field(sa_type=JSONB)
