"""The shapes of account answers, for the OpenAPI document."""

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel


class Asked(BaseModel):
    """What every answer with a figure carries."""

    as_of: datetime
    fresh_to: datetime | None = None
    computed: str | None = None


class FiredRule(BaseModel):
    """A needs-action rule that fired."""

    rule: str
    value: float | None
    threshold: float
    since: datetime | None


class ContactSeen(BaseModel):
    """A contact in short."""

    at: datetime
    channel: str
    csm_id: str | None = None


class AccountItem(BaseModel):
    """One account in the list. Money as a decimal string; `covered` null when not eligible."""

    account_id: str
    name: str | None
    status: str
    tier: str | None
    rank: str | None
    tenure: str | None
    acv: str | None
    currency: str
    health: float | None
    band: str
    effective_band: str
    change_1d: float | None
    change_7d: float | None
    change_28d: float | None
    active_users_28d: int
    last_contact_at: datetime | None
    covered: bool | None
    priority: str | None
    csm_id: str | None
    csm_name: str | None
    team: str | None
    renewal_on: date | None
    needs_action: list[FiredRule]


class AccountList(Asked):
    """A page of the list."""

    items: list[AccountItem]
    total: int | None
    total_over: int | None = None
    next_cursor: str | None


class AccountDetail(Asked, AccountItem):
    """One account."""

    start: date | None
    start_source: str | None
    value: str
    confidence: float
    ids: int
    first_usage_day: date | None
    last_usage_day: date | None
    due_at: datetime | None
    last_contact: ContactSeen | None
    next_planned: ContactSeen | None


class ModelName(BaseModel):
    """A published health model."""

    id: str
    version: int


class HealthAnswer(Asked):
    """Why the score is what it is: contributions sum to it."""

    account_id: str
    score: float | None
    band: str
    effective_band: str
    confidence: float
    model: ModelName
    dimensions: list[dict[str, Any]]
    override: dict[str, Any] | None
    computed_at: datetime
