"""The shapes of invitations: who is to be invited and how, and what became of each."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Ids = Annotated[list[Id], Field(min_length=1, max_length=1_000)]
MAX_PERSONS = 1_000


_ITEM: Final = {"account_id": "acme", "invitation_id": None, "link": None, "unsubscribe_link": None}
_ANSWER: Final[dict[str, Any]] = {
    "items": [
        {
            **_ITEM,
            "person_id": "p-1",
            "invitation_id": "invitation-5d7f3a1c",
            "link": "https://survey.example/s/kq3T0b8mVn2xYw5cR7dLfE9hJ1aPsZ4u",
            "unsubscribe_link": "https://survey.example/u/Zs4uPa1hJ9EfLd7cRw5xYn2mVb8T0qk3",
            "status": "invited",
            "send_at": "2026-10-01T03:00:00Z",
        },
        {**_ITEM, "person_id": "p-2", "status": "skipped", "reason": "quiet_period"},
    ],
    "delivery": "both",
    "counts": {"invited": 1, "skipped": 1},
    "reasons": {"quiet_period": 1},
}
_LEFT: Final = {"due_at": "2026-10-01T03:00:00Z", "left_at": "2026-10-01T03:00:01Z", "attempts": 1, "problem": None}
_STATES: Final[dict[str, Any]] = {
    "items": [
        {
            "invitation_id": "invitation-5d7f3a1c",
            "person_id": "p-1",
            "account_id": "acme",
            "status": "sent",
            "made_at": "2026-10-01T02:59:59Z",
            "due_at": "2026-10-01T03:00:00Z",
            "sent_at": "2026-10-01T03:00:01Z",
            "answered_at": None,
            "mails": [{"number": 0, "state": "left", **_LEFT}],
        }
    ],
    "total": 1,
    "next_cursor": None,
}


_DELIVERY: Final = (
    "`link`: in the answer. `mail`. `both`. Left out: `link` without a mail server; with one `both`, or `mail` with "
    "`send_at`, with `spread_days` and for more than 1,000 persons. A link in the answer is handed out at once."
)


class Audience(BaseModel):
    """Everyone who belongs to an account that meets every filter given, each by one of its values; `{}` means every
    account, for a CSM's key every one of theirs. `csm` knows `me`. Persons of churned accounts are skipped unless
    `status` names `churned`."""

    model_config = ConfigDict(extra="forbid")

    account_id: Id | Ids | None = None
    tier: Literal["high", "low", "tech"] | list[Literal["high", "low", "tech"]] | None = None
    rank: Literal["A", "B", "C", "D"] | list[Literal["A", "B", "C", "D"]] | None = None
    tenure: Literal["a", "b", "c", "d"] | list[Literal["a", "b", "c", "d"]] | None = None
    priority: Literal["High", "Middle", "Low"] | list[Literal["High", "Middle", "Low"]] | None = None
    band: Literal["red", "yellow", "green", "unknown"] | list[Literal["red", "yellow", "green", "unknown"]] | None = (
        None
    )
    status: Literal["onboarding", "active", "churned"] | list[Literal["onboarding", "active", "churned"]] | None = None
    csm: Id | Ids | None = None
    team: Id | Ids | None = None

    def columns(self) -> dict[str, list[str]]:
        """The filters given, by the names that scoring has for them."""
        given = self.model_dump(exclude_none=True)
        return {
            _COLUMNS.get(name, name): list(value) if isinstance(value, list) else [value]
            for name, value in given.items()
        }


_COLUMNS = {"band": "effective_band", "csm": "csm_id"}


class InvitationBody(BaseModel):
    """Who is to be invited: named persons (one named twice is invited once), or an audience."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"person_ids": ["p-1", "p-2"]},
                {"filter": {"tier": ["high", "low"], "status": "active"}, "sample": 0.25, "spread_days": 5},
            ]
        },
    )

    person_ids: list[Id] | None = Field(default=None, min_length=1, max_length=MAX_PERSONS)
    filter: Audience | None = None
    sample: float = Field(default=1, gt=0, le=1, description="The share of those who could be invited that is.")
    delivery: Literal["both", "mail", "link"] | None = Field(default=None, description=_DELIVERY)
    send_at: datetime | None = Field(
        default=None, description="Mails leave not before then; a time without offset is in the tenant's zone."
    )
    spread_days: int = Field(default=1, ge=1, le=90, strict=True, description="Days over which first mails spread.")

    @model_validator(mode="after")
    def _storable(self) -> Self:
        if self.send_at is not None and not 1970 <= self.send_at.year <= 9998:
            raise ValueError("send_at should lie before the year 9999")
        return self


class Invitation(BaseModel):
    """What became of one person. `invited`: the links here are handed out, shown this once. `queued`: a mail only, at
    `send_at`. `eligible`: would be invited. A mail carries links of its own that lead to the same answer."""

    person_id: str
    account_id: str | None
    invitation_id: str | None
    link: str | None
    unsubscribe_link: str | None
    status: Literal["invited", "queued", "eligible", "skipped"]
    reason: str | None = None
    send_at: datetime | None = None


class InvitationList(BaseModel):
    """One item a person, in the order asked, of an audience in order of id; with counts by status and by reason.
    `delivery`: what was done, or would be."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER]})

    items: list[Invitation]
    delivery: Literal["both", "mail", "link"]
    counts: dict[str, int]
    reasons: dict[str, int]


class MailState(BaseModel):
    """One mail of an invitation: number 0 is the first, the others are reminders. `problem` holds a server's code, or
    why it never left."""

    number: int
    state: Literal["waiting", "left", "bounced", "dropped"]
    due_at: datetime
    left_at: datetime | None
    attempts: int
    problem: str | None


class InvitationState(BaseModel):
    """How an invitation stands. `sent`: its link was handed out or its first mail has left. `dropped`: its mail never
    left, since the survey closed or the person opted out."""

    invitation_id: str
    person_id: str
    account_id: str | None
    status: Literal["waiting", "sent", "bounced", "dropped"]
    made_at: datetime
    due_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    mails: list[MailState]


class InvitationStates(BaseModel):
    """A page of a survey's invitations, in order of person."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STATES]})

    items: list[InvitationState]
    total: int | None
    next_cursor: str | None
