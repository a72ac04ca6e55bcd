"""The vocabulary of the wire: every fact Genki knows, as it lies on the log.

One fact is one line of JSON. Instants are integers, microseconds since 1970-01-01 UTC; days are ISO dates; money is a
decimal string beside its ISO 4217 currency. Every line carries an envelope that ingest stamps and no client sends:
`tenant` (from the key), `received` (the accept time) and `hash` (of what the client sent, for the conflict list).

Evolution: a field is only ever added, and with a default, so that yesterday's lines decode tomorrow. A field's meaning
or unit never changes; a new meaning is a new name. `tests/contracts/facts/*.json` holds one golden line per type.
"""

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from xxhash import xxh3_64_intdigest

USAGE_TOPIC: Final = "genki.usage.v1"
FACTS_TOPIC: Final = "genki.facts.v1"
RESPONSES_TOPIC: Final = "genki.responses.v1"
DEAD_TOPIC: Final = "genki.dead.v1"
CONSUMED_TOPICS: Final = (USAGE_TOPIC, FACTS_TOPIC, RESPONSES_TOPIC)
ALL_TOPICS: Final = (*CONSUMED_TOPICS, DEAD_TOPIC)

UNSET = msgspec.UNSET


class Fact(msgspec.Struct, kw_only=True, tag_field="type", forbid_unknown_fields=False, omit_defaults=True):
    """What every line carries. `id` is unique per tenant and type; a resent id changes nothing."""

    tenant: int
    id: str
    received: int
    hash: int = 0


class Usage(Fact, tag="usage"):
    """One person used one feature `count` times. Without `account_id` the person's membership decides the account."""

    at: int
    person_id: str
    event: str
    account_id: str | None = None
    count: int = 1


class Account(Fact, tag="account"):
    """What is said of an account from `at` on. Absent = unchanged, null = cleared, last (`at`, `id`) wins per field."""

    account_id: str
    at: int
    merged_into: str | None | msgspec.UnsetType = UNSET
    name: str | None | msgspec.UnsetType = UNSET
    status: str | None | msgspec.UnsetType = UNSET
    customer_since: str | None | msgspec.UnsetType = UNSET
    acv: str | None | msgspec.UnsetType = UNSET
    potential_acv: str | None | msgspec.UnsetType = UNSET
    currency: str | None | msgspec.UnsetType = UNSET
    seats: int | None | msgspec.UnsetType = UNSET
    plan: str | None | msgspec.UnsetType = UNSET
    industry: str | None | msgspec.UnsetType = UNSET
    csm_id: str | None | msgspec.UnsetType = UNSET
    parent_id: str | None | msgspec.UnsetType = UNSET
    features: list[str] | None | msgspec.UnsetType = UNSET
    renewal_on: str | None | msgspec.UnsetType = UNSET
    traits: dict[str, Any] | None | msgspec.UnsetType = UNSET


class Person(Fact, tag="person"):
    """What is said of a person, in an account when `account_id` is given (a membership), else of the person alone."""

    person_id: str
    at: int
    account_id: str | None = None
    name: str | None = None
    email: str | None = None
    title: str | None = None
    uses_product: bool | None = None
    deactivated: bool | None = None


class Contact(Fact, tag="contact"):
    """One touch between a CSM and one account. `sent_id` is the id as sent when one call named many accounts."""

    account_id: str
    at: int
    channel: str
    outcome: str
    sent_id: str | None = None
    csm_id: str | None = None
    person_ids: list[str] = []
    direction: str | None = None
    playbook: str | None = None
    note: str | None = None
    voices: list[dict[str, Any]] = []
    replaces: str | None = None
    recorded_at: int | None = None


class Contract(Fact, tag="contract"):
    """One change of one contract of an account, in force from 00:00 of `effective_on` in the tenant's zone."""

    account_id: str
    contract_id: str
    effective_on: str
    change: str
    acv_after: str
    currency: str
    term_end: str | None = None
    reason: str | None = None
    replaces: str | None = None
    recorded_at: int | None = None


class Csm(Fact, tag="csm"):
    """What is said of a customer success manager from `at` on, last (`at`, `id`) wins per field."""

    csm_id: str
    at: int
    name: str | None = None
    email: str | None = None
    team: str | None = None
    active: bool | None = None


class Alias(Fact, tag="alias"):
    """`previous_id` and `person_id` are one person, for all time."""

    person_id: str
    previous_id: str
    at: int


class SurveyResponse(Fact, tag="survey_response"):
    """One version of one answer; an edit is a new `id` with the same `response_id`."""

    response_id: str
    survey_id: str
    at: int
    account_id: str | None = None
    person_id: str | None = None
    score: int | None = None
    comment: str | None = None
    invitation_id: str | None = None


class InvitationSent(Fact, tag="invitation_sent"):
    """The first mail of an invitation left, or its link was handed out."""

    invitation_id: str
    survey_id: str
    at: int
    person_id: str
    account_id: str | None = None


class InvitationBounced(Fact, tag="invitation_bounced"):
    """The first mail of an invitation came back."""

    invitation_id: str
    survey_id: str
    at: int
    person_id: str
    account_id: str | None = None


AnyFact = (
    Usage | Account | Person | Contact | Contract | Csm | Alias | SurveyResponse | InvitationSent | InvitationBounced
)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyFact)
WIRE_TYPES: Final[dict[str, tuple[str, str]]] = {  # type → its topic, and the field that is its key
    "usage": (USAGE_TOPIC, "person_id"),
    "person": (USAGE_TOPIC, "person_id"),
    "alias": (USAGE_TOPIC, "person_id"),
    "account": (FACTS_TOPIC, "account_id"),
    "contact": (FACTS_TOPIC, "account_id"),
    "contract": (FACTS_TOPIC, "account_id"),
    "csm": (FACTS_TOPIC, "csm_id"),
    "survey_response": (RESPONSES_TOPIC, "person_id"),
    "invitation_sent": (RESPONSES_TOPIC, "person_id"),
    "invitation_bounced": (RESPONSES_TOPIC, "person_id"),
}


def type_of(fact: AnyFact) -> str:
    """The wire name of a fact's type, e.g. "usage"."""
    return str(fact.__struct_config__.tag)


def encode(fact: AnyFact) -> bytes:
    """One line, without its newline."""
    return _encoder.encode(fact)


def decode(line: bytes | memoryview) -> AnyFact:
    """The fact of one line. Raises msgspec.DecodeError (ValidationError included) for what is not one."""
    return _decoder.decode(line)


def place(fact: AnyFact, partitions: int) -> tuple[str, int]:
    """(topic, partition) of a fact: crc32 of UTF-8 `tenant|key`, so that every copy of a fact takes the same way."""
    topic, field = WIRE_TYPES[type_of(fact)]
    key = getattr(fact, field) or fact.id
    return topic, partition(fact.tenant, key, partitions)


def partition(tenant: int, key: str, partitions: int) -> int:
    """crc32 of `tenant|key` modulo the number of partitions; never Python's salted `hash`."""
    return zlib.crc32(f"{tenant}|{key}".encode()) % partitions


def seen_key(tenant: int, kind: str, fact_id: str) -> bytes:
    """The dedupe key, 16 bytes: BLAKE2b-128 of tenant, type and id, each ended by NUL (no field may hold one)."""
    return hashlib.blake2b(f"{tenant}\0{kind}\0{fact_id}\0".encode(), digest_size=16).digest()


def sent_hash(sent: bytes) -> int:
    """A signed 64-bit XXH3 of what the client sent: equal ids with unequal hashes are a conflict."""
    return xxh3_64_intdigest(sent) - _HALF


def sent_hashes(sent: Iterable[bytes]) -> list[int]:
    """As `sent_hash`, of many."""
    return [digest - _HALF for digest in map(xxh3_64_intdigest, sent)]


_HALF: Final = 2**63
