"""The shapes of nps requests and answers, for their validation and for the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
PersonId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
MAX_PERSONS = 1_000


class RefusedRow(BaseModel):
    """A row that was not taken; line 1 is the header."""

    line: int
    reason: str
    code: str


class ImportAnswer(BaseModel):
    """What became of a file: `rows_read` counts the rows that `where` left."""

    rows_read: int
    accepted: int
    rejected: list[RefusedRow]
    warnings: list[str]


class Bilingual(BaseModel):
    """A text in both languages."""

    model_config = ConfigDict(extra="forbid")

    ja: Line
    en: Line


class OpenQuestion(BaseModel):
    """What is asked after the score, by category; one text stands for both languages."""

    model_config = ConfigDict(extra="forbid")

    detractor: Bilingual | Line
    passive: Bilingual | Line
    promoter: Bilingual | Line


class SurveyBody(BaseModel):
    """A survey to be made; questions left out are the usual ones, without `closes_at` it stays open until closed."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
    kind: Literal["relationship", "transactional"] = "relationship"
    question: Bilingual | None = None
    open_question: OpenQuestion | None = None
    closes_at: AwareDatetime | None = None
    quiet_days: int = Field(default=90, ge=0, le=3_650, strict=True)

    @field_validator("closes_at")
    @classmethod
    def _storable(cls, value: datetime | None) -> datetime | None:
        if value is not None and not 1970 <= value.year <= 9998:
            raise ValueError("should lie before the year 9999")
        return value


class Survey(BaseModel):
    """A survey with the questions that its page asks."""

    survey_id: str
    name: str
    kind: str
    state: Literal["open", "closed"]
    question: Bilingual
    open_question: OpenQuestion
    quiet_days: int
    closes_at: datetime | None
    closed_at: datetime | None
    created_at: datetime


class SurveyList(BaseModel):
    """A page of surveys, the newest first."""

    items: list[Survey]
    total: int | None
    next_cursor: str | None


class InvitationBody(BaseModel):
    """Who is to be invited; a person named twice is invited once."""

    model_config = ConfigDict(extra="forbid")

    person_ids: list[PersonId] | None = Field(default=None, min_length=1, max_length=MAX_PERSONS)
    filter: dict[str, Any] | None = Field(default=None, description="Not taken yet (422 `filter_not_supported`).")


class Invitation(BaseModel):
    """What became of one person; the links are shown this once."""

    person_id: str
    invitation_id: str | None
    link: str | None
    unsubscribe_link: str | None
    status: Literal["invited", "eligible", "skipped"]
    reason: str | None = None


class InvitationList(BaseModel):
    """One item a person, in the order asked."""

    items: list[Invitation]
