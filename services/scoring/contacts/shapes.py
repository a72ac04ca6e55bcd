"""The shapes of planned contacts, for the OpenAPI document."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.scoring.accounts.shapes import Asked


class ClosedBy(BaseModel):
    """The contact that replaces a plan; `planned` again: it was put off."""

    id: str
    at: datetime
    channel: str
    outcome: str


class PlannedItem(BaseModel):
    """One plan. `id` is what a contact names in `replaces` to close it; `csm_id`: who shall do it, the account's owner
    where the plan names nobody; `state`: `open` lies ahead, `overdue` has passed and nothing replaces it."""

    id: str
    account_id: str
    name: str | None
    owner: str | None
    csm_id: str | None
    csm_name: str | None
    at: datetime
    channel: str
    playbook: str | None
    note: str | None
    person_ids: list[str]
    state: Literal["open", "overdue", "closed"]
    closed_by: ClosedBy | None


class PlannedContacts(Asked):
    """A page of plans, the earliest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "as_of": "2026-06-15T03:00:00Z", "fresh_to": "2026-06-15T03:00:00Z",
                "items": [{
                    "id": "cal-77", "account_id": "acme", "name": "Acme", "owner": "hana", "csm_id": "hana",
                    "csm_name": "Hana", "at": "2026-06-18T03:00:00Z", "channel": "video", "playbook": "quarterly",
                    "note": None, "person_ids": ["ana@acme.example"], "state": "open", "closed_by": None,
                }],
                "total": 1, "next_cursor": None,
            }
        }
    )  # fmt: skip

    items: list[PlannedItem]
    total: int | None
    total_over: int | None = None
    next_cursor: str | None
