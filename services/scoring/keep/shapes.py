"""The shapes of the keep list, for the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.scoring.accounts.shapes import Asked, ContactSeen

Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]


class NamedReason(BaseModel):
    """Why the account is not covered, as somebody named it; it counts until the account is reached."""

    reason: str
    author: str
    at: datetime


class KeepItem(BaseModel):
    """One account of priority High. `state`: `uncovered`, `due` (falls out within 14 days), `covered`. Only uncovered
    ones have a `why`, which the facts say themselves (`planned`, `attempted`, `no_owner`, `never_contacted`, `lapsed`),
    and perhaps a `named_reason`. `attempts`: tried in vain since it was last reached."""

    account_id: str
    name: str | None
    tier: str
    rank: str
    tenure: str
    csm_id: str | None
    csm_name: str | None
    acv: str | None
    health: float | None
    effective_band: str
    state: Literal["uncovered", "due", "covered"]
    due_at: datetime
    last_contact: ContactSeen | None
    next_planned: ContactSeen | None
    attempts: int
    why: Literal["planned", "attempted", "no_owner", "never_contacted", "lapsed"] | None
    named_reason: NamedReason | None


class StateCounts(BaseModel):
    """Accounts by state."""

    uncovered: int
    due: int
    covered: int


class KeepList(Asked):
    """A page of the keep list: uncovered accounts first, then those due, ACV high first, id. `without_reason`:
    uncovered accounts for which nobody has named a reason; it should be 0."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "as_of": "2026-06-15T03:00:00Z", "fresh_to": "2026-06-15T03:00:00Z", "currency": "JPY",
                "states": {"uncovered": 1, "due": 0, "covered": 0}, "without_reason": 0,
                "items": [{
                    "account_id": "acme", "name": "Acme", "tier": "high", "rank": "A", "tenure": "d", "csm_id": "hana",
                    "csm_name": "Hana", "acv": "1500000", "health": 55.2, "effective_band": "yellow",
                    "state": "uncovered", "due_at": "2026-06-01T15:00:00Z", "last_contact": None, "next_planned": None,
                    "attempts": 2, "why": "attempted", "named_reason": {
                        "reason": "New contact person from July", "author": "hana", "at": "2026-06-10T01:00:00Z",
                    },
                }],
                "total": 1, "next_cursor": None,
            }
        }
    )  # fmt: skip

    currency: str
    states: StateCounts
    without_reason: int
    items: list[KeepItem]
    total: int | None
    next_cursor: str | None


class ReasonWish(BaseModel):
    """The reason to be named."""

    model_config = ConfigDict(extra="forbid")

    reason: Text


class ReasonShown(NamedReason):
    """The reason as it counts from now on."""

    account_id: str
