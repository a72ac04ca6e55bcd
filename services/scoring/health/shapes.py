"""The shapes of health requests and answers, for the OpenAPI document."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from services.scoring.accounts.shapes import Asked, ModelName


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("instant_type", "Should be an RFC 3339 instant with its offset")
    return value


_LATEST = datetime(9998, 12, 31, tzinfo=UTC)
Instant = Annotated[AwareDatetime, BeforeValidator(_text), Field(le=_LATEST)]
Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]


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


class OverrideWish(BaseModel):
    """The band that lists and filters shall use instead of the computed one, why, and until when."""

    model_config = ConfigDict(extra="forbid")

    band: Literal["green", "yellow", "red"]
    reason: Reason
    expires_at: Instant


class OverrideShown(BaseModel):
    """A manual band. `author`: the CSM that the key names, else the key; `ended_at` null while it holds."""

    account_id: str
    band: str
    reason: str
    author: str
    at: datetime
    expires_at: datetime
    ended_at: datetime | None


class HistoryPoint(BaseModel):
    """The score of `day` at `at`. `reason`: `day` is the end of the day, `band` a change of band or effective band;
    `basis`: `snapshot` is what was shown, `recomputed` what is known today."""

    day: date
    at: datetime
    reason: Literal["day", "band"]
    score: float | None
    band: str
    effective_band: str
    confidence: float
    model: ModelName
    basis: Literal["snapshot", "recomputed"]


class HistoryAnswer(Asked):
    """The points of the days `from` to `to`, in order of time."""

    model_config = ConfigDict(serialize_by_alias=True)

    account_id: str
    first: date = Field(alias="from")
    to: date
    items: list[HistoryPoint]
