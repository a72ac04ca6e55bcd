"""The shape of the home screen, for the OpenAPI document."""

from pydantic import BaseModel

from services.scoring.accounts.shapes import Asked, ContactSeen
from services.scoring.coverage.shapes import CoverageGroup


class StatusCounts(BaseModel):
    """Accounts by status."""

    onboarding: int
    active: int
    churned: int


class Headline(BaseModel):
    """How many, how much, how fresh. `newest_fact_age_s`: seconds since the newest fact happened, null without any;
    `rejected_24h`: facts refused at the doors, null while ingest is away; `unassigned`: events without account."""

    accounts: StatusCounts
    acv: str
    currency: str
    newest_fact_age_s: float | None
    rejected_24h: int | None = None
    unassigned: int


class BandTotal(BaseModel):
    """One health band; moves are against the band at the end of the day 7 days before."""

    band: str
    accounts: int
    share: float | None
    acv: str
    moved_in_7d: int
    moved_out_7d: int


class CoverageGroupDue(CoverageGroup):
    """A coverage group with the covered accounts that fall out within 14 days."""

    due_14d: int


class CoverageBoard(BaseModel):
    """The largest shortfall first, nobody's accounts last."""

    by_tier: list[CoverageGroupDue]
    by_csm: list[CoverageGroupDue]


class ContactRate(BaseModel):
    """Accounts used in the last 30 days, and those of them ever talked to since their start."""

    accounts_in_use: int
    contacted: int
    rate: float | None


class CallFirst(BaseModel):
    """An account to call, with the reason and its figure, and something to begin with."""

    account_id: str
    name: str | None
    csm_id: str | None
    csm_name: str | None
    acv: str | None
    rank: str | None
    tenure: str | None
    priority: str | None
    band: str
    score: float | None
    change_28d: float | None
    last_contact: ContactSeen | None
    next_planned: ContactSeen | None
    rule: str | None
    reason: str | None
    talking_point: str | None


class NpsBoard(BaseModel):
    """NPS of the 90 days to T. `open_follow_ups` null until follow-ups are kept."""

    nps: float | None
    interval: tuple[float, float] | None
    n: int
    response_rate: float | None
    open_follow_ups: int | None


class Summary(Asked):
    """The home screen."""

    headline: Headline
    bands: list[BandTotal]
    coverage: CoverageBoard
    contact_rate: ContactRate
    call_first: list[CallFirst]
    nps: NpsBoard
    rules_off: list[str]
