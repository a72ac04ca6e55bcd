"""What a client may send to /v1/events, one struct per fact type. Null is absent, but where an account clears a field.

Money and `properties` stay the bytes they came in: the first for its exact digits, the second as it is not kept.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

NAME_LENGTH: Final = 200
ABSENT: Final = msgspec.Raw(b"null")

FactId = Annotated[str, Meta(max_length=100)]
Id = Annotated[str, Meta(max_length=NAME_LENGTH)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
Email = Annotated[str, Meta(min_length=1, max_length=320)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Seats = Annotated[int, Meta(ge=0, le=2_147_483_647)]
Channel = Literal["phone", "video", "meeting", "chat", "email", "event", "tech_touch"]
Outcome = Literal["reached", "replied", "no_answer", "bounced", "cancelled", "planned", "note"]
Change = Literal["new", "expansion", "contraction", "renewal", "churn", "reactivation"]


class Sent(msgspec.Struct, kw_only=True, tag_field="type", forbid_unknown_fields=True, gc=False):
    """What every item may carry."""

    id: FactId | None = None


class SentUsage(Sent, tag="usage", gc=False):
    """One person used one feature."""

    at: str
    person_id: Id
    event: Name
    account_id: Id | None = None
    count: Count | None = None
    properties: msgspec.Raw = ABSENT


class SentAccount(Sent, tag="account", gc=False):
    """What is said of an account; here null clears."""

    account_id: Id
    at: str
    merged_into: Id | None | UnsetType = UNSET
    name: Name | None | UnsetType = UNSET
    status: Literal["onboarding", "active", "churned"] | None | UnsetType = UNSET
    customer_since: str | None | UnsetType = UNSET
    acv: msgspec.Raw | UnsetType = UNSET
    potential_acv: msgspec.Raw | UnsetType = UNSET
    currency: str | None | UnsetType = UNSET
    seats: Seats | None | UnsetType = UNSET
    plan: Name | None | UnsetType = UNSET
    industry: Name | None | UnsetType = UNSET
    csm_id: Id | None | UnsetType = UNSET
    parent_id: Id | None | UnsetType = UNSET
    features: list[Name] | None | UnsetType = UNSET
    renewal_on: str | None | UnsetType = UNSET
    traits: dict[str, Any] | None | UnsetType = UNSET


class SentPerson(Sent, tag="person", gc=False):
    """What is said of a person, in an account or of the person alone."""

    person_id: Id
    at: str
    account_id: Id | None = None
    name: Name | None = None
    email: Email | None = None
    title: Name | None = None
    uses_product: bool | None = None
    deactivated: bool | None = None


class SentContact(Sent, tag="contact", gc=False):
    """One touch, with one account or with many at once."""

    account_id: Id
    at: str
    channel: Channel
    outcome: Outcome
    csm_id: Id | None = None
    person_ids: list[Id] | None = None
    account_ids: Annotated[list[Id], Meta(max_length=500)] | None = None
    direction: Literal["outbound", "inbound"] | None = None
    playbook: Name | None = None
    note: str | None = None
    voices: list[dict[str, Any]] | None = None
    replaces: FactId | None = None
    recorded_at: str | None = None


class SentContract(Sent, tag="contract", gc=False):
    """One change of one contract."""

    account_id: Id
    effective_on: str
    change: Change
    acv_after: msgspec.Raw
    contract_id: Id | None = None
    currency: str | None = None
    term_end: str | None = None
    reason: Name | None = None
    replaces: FactId | None = None
    recorded_at: str | None = None


class SentCsm(Sent, tag="csm", gc=False):
    """What is said of a customer success manager."""

    csm_id: Id
    at: str
    name: Name | None = None
    email: Email | None = None
    team: Name | None = None
    active: bool | None = None


AnySent = SentUsage | SentAccount | SentPerson | SentContact | SentContract | SentCsm
SENT_TYPES: Final[dict[str, type[Sent]]] = {
    "usage": SentUsage,
    "account": SentAccount,
    "person": SentPerson,
    "contact": SentContact,
    "contract": SentContract,
    "csm": SentCsm,
}
CLEARABLE: Final = frozenset(SentAccount.__struct_fields__) - {"id", "account_id", "at"}
