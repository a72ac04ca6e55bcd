"""The shapes of health requests and answers, for the OpenAPI document."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from services.scoring.accounts.shapes import Asked


class FromTo(BaseModel):
    """One metric at both moments; null without data."""

    model_config = ConfigDict(serialize_by_alias=True)

    was: float | None = Field(alias="from")
    to: float | None


class ExplainRow(FromTo):
    """One dimension, or `cap`: its contribution at both moments, and what that makes of the difference."""

    name: str
    difference: float
    inputs: dict[str, FromTo]


class Explanation(Asked):
    """What moved the score from one moment to the other; `difference` null when either has no score."""

    model_config = ConfigDict(serialize_by_alias=True)

    account_id: str
    was: datetime = Field(alias="from")
    to: datetime
    score_from: float | None
    score_to: float | None
    difference: float | None
    dimensions: list[ExplainRow]


class FeatureShown(BaseModel):
    """A value feature: persons who used it in 28 days, the share of the seats meant to, its weight, its part of the
    gap."""

    feature: str
    users: int
    share: float
    weight: float
    missing: float | None


class NpsBeside(BaseModel):
    """The account's NPS of the 90 days to T."""

    nps: float | None
    n: int


class GapAnswer(Asked):
    """0: all value is taken, 1: none; null without value features, seats or IDs. `flag` is `small_gap_with_detractor`
    when the gap is at most 0.2 and somebody scored 0 to 6 all the same."""

    account_id: str
    gap: float | None
    features: list[FeatureShown]
    nps: NpsBeside
    flag: str | None
