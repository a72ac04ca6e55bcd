"""The shapes of NPS answers, for the OpenAPI document."""

from datetime import date, datetime

from pydantic import BaseModel, Field

from services.scoring.accounts.shapes import Asked


class Figure(BaseModel):
    """NPS −100…100, not rounded, with its 95 % interval; both null without answers. `response_rate` null when none was
    sent."""

    n: int
    promoters: int
    passives: int
    detractors: int
    nps: float | None
    interval: tuple[float, float] | None
    sent: int
    response_rate: float | None


class FigureGroup(Figure):
    """One group; key null = nobody, last."""

    key: str | None
    name: str | None


class Days(BaseModel):
    """The period, both days inclusive."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")


class NpsAnswer(Asked, Days, Figure):
    """The whole counts each person once; groups may sum to more."""

    groups: list[FigureGroup]


class AccountNps(Asked, Days, Figure):
    """One account's NPS."""

    account_id: str


class ResponseItem(BaseModel):
    """The latest answer of a person to a survey; `category` null without a score."""

    response_id: str
    survey_id: str
    account_id: str | None
    person_id: str | None
    score: int | None
    comment: str | None
    at: datetime
    category: str | None


class ResponseList(Asked):
    """A page of answers, the newest first."""

    items: list[ResponseItem]
    total: int | None
    total_over: int | None = None
    next_cursor: str | None
