"""The shapes of nps answers, for the OpenAPI document."""

from datetime import datetime

from pydantic import BaseModel


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


class Survey(BaseModel):
    """A survey."""

    survey_id: str
    name: str
    kind: str
    created_at: datetime


class SurveyList(BaseModel):
    """A page of surveys, the newest first."""

    items: list[Survey]
    total: int | None
    next_cursor: str | None
