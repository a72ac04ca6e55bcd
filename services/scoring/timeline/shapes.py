"""The shapes of a timeline, for the OpenAPI document."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from services.scoring.accounts.shapes import Asked
from services.scoring.contracts.shapes import ToldAmount


class Entry(BaseModel):
    """What every entry has. `id` is its own among those of its kind and instant."""

    at: datetime
    id: str


class ContactEntry(Entry):
    """A contact that stands; `id` is the fact's."""

    kind: Literal["contact"]
    channel: str
    outcome: str
    direction: str | None
    csm_id: str | None
    csm_name: str | None
    person_ids: list[str]
    playbook: str | None
    note: str | None
    voices: list[dict[str, Any]]


class ContractEntry(Entry):
    """A contract's change, at 00:00 of the day it takes effect; `id` is the fact's."""

    kind: Literal["contract"]
    contract_id: str
    effective_on: date
    change: str
    acv_before: str
    acv_after: str
    difference: str
    currency: str
    told: ToldAmount
    term_end: date | None
    reason: str | None


class ResponseEntry(Entry):
    """An answer as it stands, at its last edit; `id` is the answer's."""

    kind: Literal["response"]
    survey_id: str
    person_id: str | None
    score: int | None
    comment: str | None
    category: str | None


class TurnEntry(Entry):
    """The status that is shown, or the tier under published amounts; null = none yet."""

    kind: Literal["status", "tier"]
    was: str | None
    now: str


class OwnerEntry(Entry):
    """The CSM who looks after it."""

    kind: Literal["owner"]
    was: str | None
    was_name: str | None
    now: str | None
    now_name: str | None


class BandEntry(Entry):
    """The band as it was shown that day; `effective` is the one that a manual band stands in for."""

    kind: Literal["band"]
    was: str
    now: str
    was_effective: str
    now_effective: str
    score_was: float | None
    score_now: float | None


class OverrideEntry(Entry):
    """A manual band was given, or ended: by somebody, or (author null) because it expired."""

    kind: Literal["override"]
    change: Literal["given", "ended"]
    band: str
    reason: str
    author: str | None
    expires_at: datetime


class MemberEntry(Entry):
    """A person was first said to belong to the account, was deactivated, or came back."""

    kind: Literal["member"]
    change: Literal["joined", "left", "returned"]
    person_id: str


class AttributeEntry(Entry):
    """Something told of the account changed; money in the reporting currency by the rate in force now."""

    kind: Literal["attribute"]
    field: str
    was: str | int | float | None
    now: str | int | float | None


AnyEntry = (
    ContactEntry | ContractEntry | ResponseEntry | TurnEntry | OwnerEntry | BandEntry | OverrideEntry | MemberEntry
    | AttributeEntry
)  # fmt: skip


class Timeline(Asked):
    """A page of what happened, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "as_of": "2026-06-15T03:00:00Z", "fresh_to": "2026-06-15T03:00:00Z", "account_id": "acme",
                "items": [
                    {"kind": "owner", "at": "2026-06-01T00:00:00Z", "id": "csm_id crm-12", "was": "hana",
                     "was_name": "Hana", "now": "ken", "now_name": "Ken"},
                    {"kind": "status", "at": "2026-05-01T00:00:00Z", "id": "status", "was": "onboarding",
                     "now": "active"},
                ],
                "total": 2, "next_cursor": None,
            }
        }
    )  # fmt: skip

    account_id: str
    items: list[AnyEntry]
    total: int | None
    total_over: int | None = None
    next_cursor: str | None
