"""The shapes of usage answers, for the OpenAPI document."""

from datetime import datetime

from pydantic import BaseModel

from services.scoring.accounts.shapes import Asked


class UsageAnswer(Asked):
    """Usage over a trailing window of `days` calendar days."""

    days: int
    events: int
    active_users: int
    active_accounts: int


class AccountUsage(UsageAnswer):
    """One account's usage."""

    account_id: str


class Unassigned(Asked):
    """Σ `count` of usage whose account is not known yet."""

    count: int


class ConflictItem(BaseModel):
    """A fact that came again under its id with another body; the first was kept. `payload`: its first 2 KB."""

    at: datetime
    route: str | None
    index: int | None
    type: str
    id: str
    code: str
    message: str
    payload: str


class ConflictList(BaseModel):
    """A page of conflicts, the newest first."""

    items: list[ConflictItem]
    total: int | None
    total_over: int | None = None
    next_cursor: str | None
