"""The shapes of coverage answers, for the OpenAPI document."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel

from services.scoring.accounts.shapes import Asked, ContactSeen


class CoverageFigure(BaseModel):
    """`rate` and `target` are fractions 0…1, null where nobody is eligible."""

    eligible: int
    covered: int
    rate: float | None
    target: float | None


class CoverageGroup(CoverageFigure):
    """A group. `key` null = nobody; `window` ISO 8601, null where tiers are mixed; `shortfall`: how many more must be
    covered to reach the target."""

    key: str | None
    name: str | None
    window: str | None
    shortfall: int


class CoverageAnswer(Asked):
    """Coverage of the whole and of its groups."""

    overall: CoverageFigure
    groups: list[CoverageGroup]


class SeriesGroup(BaseModel):
    """A group on one day."""

    key: str | None
    eligible: int
    covered: int
    rate: float | None


class SeriesDay(BaseModel):
    """One day at its end."""

    day: date
    groups: list[SeriesGroup]


class CoverageSeries(Asked):
    """Coverage day by day."""

    items: list[SeriesDay]


class WorkItem(BaseModel):
    """An account to talk to. `due_at`: when it falls or fell out; `attempts`: contacts that reached nobody since the
    last that counted."""

    account_id: str
    name: str | None
    tier: str
    csm_id: str | None
    acv: str | None
    last_contact: ContactSeen | None
    due_at: datetime
    state: Literal["uncovered", "due"]
    planned_at: datetime | None
    attempts: int


class Worklist(Asked):
    """A page of the worklist, money in `currency`."""

    currency: str
    items: list[WorkItem]
    total: int | None
    total_over: int | None = None
    next_cursor: str | None


class ContactRateAnswer(Asked):
    """Accounts used in the last 30 days, and those of them ever talked to since their start."""

    accounts_in_use: int
    contacted: int
    rate: float | None
