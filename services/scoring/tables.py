"""The first-hand tables of scoring that people write: settings, tier reviews and policies, manual bands, reasons of
the keep list; and facts in conflict."""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Identity, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel, func

from shared.tables import IDENT, INSTANT

METADATA: Final = MetaData(schema="scoring")


class _Scoring(SQLModel):
    metadata = METADATA


class Settings(_Scoring, table=True):
    """One version of a tenant's settings; the highest holds."""

    tenant: int = Field(primary_key=True)
    version: int = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_type=JSONB)
    author: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=INSTANT, sa_column_kwargs={"server_default": func.now()})


class TierReview(_Scoring, table=True):
    """What a review found. Amounts in minor units; None: nobody would be in that tier."""

    __tablename__ = "tier_review"  # pyright: ignore[reportAssignmentType]: SQLModel declares a function
    tenant: int = Field(primary_key=True)
    review_id: str = Field(sa_type=IDENT, primary_key=True)
    as_of: datetime = Field(sa_type=INSTANT)
    n: int
    computed_high: int | None = Field(sa_type=BigInteger)
    computed_low: int | None = Field(sa_type=BigInteger)
    moves: list[dict[str, Any]] = Field(sa_type=JSONB)
    load: list[dict[str, Any]] = Field(sa_type=JSONB)
    author: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=INSTANT)


class TierPolicy(_Scoring, table=True):
    """A published review. `policy_id` runs: of two policies of one day the later one holds."""

    __tablename__ = "tier_policy"  # pyright: ignore[reportAssignmentType]: SQLModel declares a function
    tenant: int = Field(primary_key=True)
    policy_id: str = Field(sa_type=IDENT, primary_key=True)
    review_id: str = Field(sa_type=IDENT)
    effective_from: date
    high: int | None = Field(sa_type=BigInteger)
    low: int | None = Field(sa_type=BigInteger)
    note: str = Field(sa_type=Text)
    author: str = Field(sa_type=Text)
    published_at: datetime = Field(sa_type=INSTANT)


class HealthOverride(_Scoring, table=True):
    """A manual band: given at `at`, it holds until it expires or is ended, whichever comes first."""

    __tablename__ = "health_override"  # pyright: ignore[reportAssignmentType]: SQLModel declares a function
    tenant: int = Field(primary_key=True)
    account: int = Field(primary_key=True)
    override_id: int = Field(sa_type=BigInteger, primary_key=True, sa_column_args=[Identity(always=True)])
    band: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    author: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=INSTANT)
    expires_at: datetime = Field(sa_type=INSTANT)
    ended_at: datetime | None = Field(sa_type=INSTANT)
    ended_by: str | None = Field(sa_type=Text)


class KeepReason(_Scoring, table=True):
    """Why an account of the keep list is not covered, as a person named it; the latest counts until it is reached."""

    __tablename__ = "keep_reason"  # pyright: ignore[reportAssignmentType]: SQLModel declares a function
    tenant: int = Field(primary_key=True)
    account: int = Field(primary_key=True)
    reason_id: int = Field(sa_type=BigInteger, primary_key=True, sa_column_args=[Identity(always=True)])
    reason: str = Field(sa_type=Text)
    author: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=INSTANT)


class Conflict(_Scoring, table=True):
    """A fact that came again under a known id with another body: what it said."""

    tenant: int = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger, primary_key=True, sa_column_args=[Identity(always=True)])
    at: datetime = Field(sa_type=INSTANT)
    type: str = Field(sa_type=Text)
    id: str = Field(sa_type=Text)
    payload: str = Field(sa_type=Text)
