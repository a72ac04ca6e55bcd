"""The shapes of nps requests and answers, for their validation and for the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


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


class SendHours(BaseModel):
    """When mails may leave, in the tenant's zone: from … to (exclusive), on every day or Monday to Friday."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    first: Clock = Field(alias="from", examples=["09:00"])
    last: Clock = Field(alias="to", examples=["18:00"])
    weekdays_only: bool = Field(default=True, strict=True)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.first < self.last:
            raise ValueError("should end after it begins")
        return self


class SurveyBody(BaseModel):
    """A survey to be made; questions left out are the usual ones, without `closes_at` it stays open until closed."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
    kind: Literal["relationship", "transactional"] = "relationship"
    question: Bilingual | None = None
    open_question: OpenQuestion | None = None
    closes_at: AwareDatetime | None = None
    quiet_days: int = Field(default=90, ge=0, le=3_650, strict=True)
    language: Literal["both", "ja", "en"] = Field(default="both", description="Of the mails; the page has both.")
    reminders: int = Field(default=0, ge=0, le=2, strict=True, description="To those who have not answered.")
    reminder_days: int = Field(default=7, ge=1, le=90, strict=True, description="Days from one mail to the next.")
    send_hours: SendHours | None = Field(default=None, description="When mails may leave; absent means at any hour.")

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
    language: Literal["both", "ja", "en"]
    quiet_days: int
    reminders: int
    reminder_days: int
    send_hours: SendHours | None
    closes_at: datetime | None
    closed_at: datetime | None
    created_at: datetime


class SurveyList(BaseModel):
    """A page of surveys, the newest first."""

    items: list[Survey]
    total: int | None
    next_cursor: str | None
