"""The tables of tenants and their keys."""

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKey, Identity, Index, MetaData, Text
from sqlmodel import Field, SQLModel, func

from shared.tables import IDENT, INSTANT

METADATA: Final = MetaData(schema="access")
_NOW: Final = {"server_default": func.now()}


class _Access(SQLModel):
    metadata = METADATA


class Tenant(_Access, table=True):
    """Who Genki works for. Services look tenants up by key only; a request's role may not read this table."""

    tenant: int = Field(primary_key=True, sa_column_args=[Identity(always=True)])
    tenant_id: str = Field(sa_type=IDENT, unique=True)
    name: str = Field(sa_type=Text)
    time_zone: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=INSTANT, sa_column_kwargs=_NOW)


class Key(_Access, table=True):
    """A key of a tenant: its secret only as a hash."""

    __table_args__ = (Index("key_tenant_created_at_idx", "tenant", "created_at"),)
    key_id: str = Field(sa_type=IDENT, primary_key=True)
    tenant: int = Field(sa_column_args=[ForeignKey("access.tenant.tenant")])
    kind: str = Field(sa_type=Text)
    role: str | None = Field(sa_type=Text)
    csm_id: str | None = Field(sa_type=IDENT)
    label: str | None = Field(sa_type=Text)
    secret_hash: bytes
    created_at: datetime = Field(sa_type=INSTANT, sa_column_kwargs=_NOW)
    expires_at: datetime | None = Field(sa_type=INSTANT)
    revoked_at: datetime | None = Field(sa_type=INSTANT)
