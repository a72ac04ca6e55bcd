"""The shapes of an account's people, for the OpenAPI document."""

from datetime import date, datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from services.scoring.accounts.shapes import Asked

_PERSON: Final[dict[str, Any]] = {
    "person_id": "ana@acme.example", "name": "Ana Sato", "email": "ana@acme.example", "title": "Site manager",
    "since": "2026-01-08T02:00:00Z", "uses_product": None, "deactivated": False, "is_id": True,
    "first_usage_day": "2026-01-09", "last_usage_day": "2026-06-14", "active_days_28": 12, "events_28": 84,
    "last_score": 9, "last_score_at": "2026-05-20T05:10:00Z", "last_contact_at": "2026-06-02T01:30:00Z",
}  # fmt: skip


class PersonItem(BaseModel):
    """One person. Name, e-mail and title are the person's own; all else is what is known of the person in this account.
    `since`: when a person fact first named them here; `uses_product`: what was said, null if nothing; `is_id`: counts
    among the account's IDs; `last_contact_at`: the last contact that reached them by name."""

    person_id: str
    name: str | None
    email: str | None
    title: str | None
    since: datetime | None
    uses_product: bool | None
    deactivated: bool
    is_id: bool
    first_usage_day: date | None
    last_usage_day: date | None
    active_days_28: int
    events_28: int
    last_score: int | None
    last_score_at: datetime | None
    last_contact_at: datetime | None


class PeopleAnswer(Asked):
    """A page of an account's people, by id."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "as_of": "2026-06-15T03:00:00Z", "fresh_to": "2026-06-15T03:00:00Z", "account_id": "acme",
                "items": [_PERSON], "total": 1, "next_cursor": None,
            }
        }
    )  # fmt: skip

    account_id: str
    items: list[PersonItem]
    total: int | None
    next_cursor: str | None
