"""From sound facts to rows: pure, one small function per fact type, nothing read and nothing written."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from services.scoring.batch import Line
from services.scoring.facts.usage import Membership, UsageBatch
from shared import facts
from shared.clock import Days, from_micros, start_of_day, to_micros
from shared.money import to_minor
from shared.tenant_settings import TenantSettings

SHARDS: Final = 8
EVER: Final = date.min  # asyncpg writes it as -infinity: reaches back to the beginning
FOREVER: Final = date.max  # asyncpg writes it as infinity: unique for ever
OWN: Final = 0  # the account key under which a person's own fields stand
_DEFAULTED: Final = ("tenant", "id", "received", "hash")


@dataclass(frozen=True, slots=True)
class TenantTerms:
    """What must be known of a tenant before its rows are read: zone, days, and the settings it began with."""

    tz: ZoneInfo
    days: Days
    base: TenantSettings


@dataclass(frozen=True, slots=True)
class Resolved:
    """Integer keys of everything a batch names, and the zones of its tenants."""

    accounts: Mapping[tuple[int, str], int]
    persons: Mapping[tuple[int, str], int]
    features: Mapping[tuple[int, str], int]
    tenants: Mapping[int, TenantTerms]


@dataclass(slots=True)
class Rows:
    """Everything a batch writes, table by table."""

    usage: UsageBatch = field(default_factory=UsageBatch)
    account_attribute: list[tuple] = field(default_factory=list)
    person_attribute: list[tuple] = field(default_factory=list)
    csm_attribute: list[tuple] = field(default_factory=list)
    contact: list[tuple] = field(default_factory=list)
    contract: list[tuple] = field(default_factory=list)
    alias: dict[tuple, tuple] = field(default_factory=dict)
    account_merge: list[tuple] = field(default_factory=list)
    response: list[tuple] = field(default_factory=list)
    invitation: dict[tuple, tuple] = field(default_factory=dict)
    dirty: dict[tuple[int, int], list] = field(default_factory=dict)  # (tenant, account) → [received µs, since]
    newest: dict[tuple[int, str, int], int] = field(default_factory=dict)  # (tenant, topic, partition) → µs
    due: set[tuple] = field(default_factory=set)
    recheck: dict[tuple[int, str, str], tuple[date, int]] = field(default_factory=dict)  # → (since, received µs)

    def touch(self, tenant: int, account: int, received: int, since: date) -> None:
        """The account waits for its assessment, from the day `since` on."""
        found = self.dirty.get((tenant, account))
        if found is None:
            self.dirty[(tenant, account)] = [received, since]
        else:
            found[0] = min(found[0], received)
            found[1] = min(found[1], since)

    def ask(self, tenant: int, kind: str, key: str, since: date, received: int) -> None:
        """The tenant's own job has something to look at."""
        asked = (tenant, kind, key)
        day, oldest = self.recheck.get(asked, (since, received))
        self.recheck[asked] = (min(day, since), min(oldest, received))


class Wanted:
    """The ids a batch names, collected before its transaction."""

    def __init__(self) -> None:
        self.accounts: set[tuple[int, str]] = set()
        self.persons: set[tuple[int, str]] = set()
        self.features: set[tuple[int, str]] = set()

    @classmethod
    def of(cls, lines: Iterable[Line]) -> "Wanted":
        """What these lines name."""
        found = cls()
        for line in lines:
            found.add(line.fact)
        return found

    def add(self, fact: facts.AnyFact) -> None:
        """Notes what one fact names."""
        tenant = fact.tenant
        account = getattr(fact, "account_id", None)
        if account is not None:
            self.accounts.add((tenant, account))
        person = getattr(fact, "person_id", None)
        if person is not None:
            self.persons.add((tenant, person))
        if isinstance(fact, facts.Usage):
            self.features.add((tenant, fact.event))
        elif isinstance(fact, facts.Alias):
            self.persons.add((tenant, fact.previous_id))
        elif isinstance(fact, facts.Account) and isinstance(fact.merged_into, str):
            self.accounts.add((tenant, fact.merged_into))


def gather(lines: Iterable[Line], known: Resolved) -> Rows:
    """The rows of a batch. Raises ValueError only for what `batch.check` should have refused."""
    rows = Rows()
    for line in lines:
        _note_newest(rows, line, known)
        _GATHER[type(line.fact)](rows, line.fact, known)
    return rows


def _note_newest(rows: Rows, line: Line, known: Resolved) -> None:
    """A fact dated ahead says something new when it comes in, not when it comes due."""
    fact = line.fact
    if isinstance(fact, facts.Contract):
        at = to_micros(start_of_day(date.fromisoformat(fact.effective_on), known.tenants[fact.tenant].tz))
    else:
        at = fact.at
    at = min(at, fact.received)
    place = (fact.tenant, *line.place)
    if rows.newest.get(place, at) <= at:
        rows.newest[place] = at


def _usage(rows: Rows, fact: facts.Usage, known: Resolved) -> None:
    tenant = fact.tenant
    day = known.tenants[tenant].days.of(fact.at)
    person = known.persons[tenant, fact.person_id]
    feature = known.features[tenant, fact.event]
    if fact.account_id is None:
        rows.usage.add_waiting((tenant, person), feature, day, fact.count, fact.at)
        rows.usage.note_receipt((tenant, person), fact.received)
        return
    account = known.accounts[tenant, fact.account_id]
    rows.usage.add_named((tenant, account, person, feature, day, False), fact.count, fact.at)
    rows.touch(tenant, account, fact.received, day)


def _account(rows: Rows, fact: facts.Account, known: Resolved) -> None:
    account = known.accounts[fact.tenant, fact.account_id]
    at = from_micros(fact.at)
    fields = list(_account_fields(fact)) or [("", None)]
    for name, value in fields:
        rows.account_attribute.append((fact.tenant, account, name, at, fact.id, value))
    if fact.merged_into is not msgspec.UNSET:
        _merge(rows, fact, account, known)
    _dated(rows, fact, account, known)


def _merge(rows: Rows, fact: facts.Account, account: int, known: Resolved) -> None:
    target = known.accounts[fact.tenant, fact.merged_into] if isinstance(fact.merged_into, str) else None
    rows.account_merge.append((fact.tenant, account, from_micros(fact.at), fact.id, target))
    rows.ask(fact.tenant, "merge", str(account), EVER, fact.received)
    if fact.at > fact.received:
        rows.due.add((from_micros(fact.at), fact.tenant, "merge", str(account)))


def _account_fields(fact: facts.Account) -> Iterable[tuple[str, str | None]]:
    """(field, JSON text or None for cleared) of what the fact says; traits one by one, money with its currency."""
    for name in ACCOUNT_FIELDS:
        value = getattr(fact, name)
        if value is msgspec.UNSET:
            continue
        if name == "traits" and value is not None:
            yield from ((f"traits.{key}", None if item is None else json.dumps(item)) for key, item in value.items())
        elif name in ("acv", "potential_acv") and value is not None:
            yield name, json.dumps({"minor": to_minor(value, str(fact.currency)), "currency": fact.currency})
        else:
            yield name, None if value is None else json.dumps(value)


ACCOUNT_FIELDS: Final = tuple(
    name for name in facts.Account.__struct_fields__ if name not in (*_DEFAULTED, "account_id", "at", "currency")
)


def _person(rows: Rows, fact: facts.Person, known: Resolved) -> None:
    tenant, at = fact.tenant, from_micros(fact.at)
    person = known.persons[tenant, fact.person_id]
    account = OWN if fact.account_id is None else known.accounts[tenant, fact.account_id]
    told = [(name, getattr(fact, name)) for name in ("name", "email", "title", "uses_product", "deactivated")]
    fields = [(name, json.dumps(value)) for name, value in told if value is not None]
    for name, value in fields or [("", None)]:
        rows.person_attribute.append((tenant, account, person, name, at, fact.id, value))
    if account == OWN:
        return
    _dated(rows, fact, account, known)
    if fact.deactivated is not True:
        stamp, day = (fact.at, fact.id), known.tenants[tenant].days.of(fact.at)
        rows.usage.add_membership((tenant, person), Membership(day, stamp, account, stamp, account))
        rows.usage.note_receipt((tenant, person), fact.received)


def _contact(rows: Rows, fact: facts.Contact, known: Resolved) -> None:
    account = known.accounts[fact.tenant, fact.account_id]
    at = from_micros(fact.at)
    recorded = at if fact.recorded_at is None else from_micros(fact.recorded_at)
    voices = json.dumps(fact.voices) if fact.voices else None
    rows.contact.append((
        fact.tenant, account, at, fact.id, fact.sent_id or fact.id, fact.channel, fact.outcome, fact.csm_id,
        fact.person_ids, fact.direction, fact.playbook, fact.note, voices, fact.replaces, recorded,
    ))  # fmt: skip
    if fact.replaces is not None:
        rows.ask(fact.tenant, "replaces", fact.replaces, EVER, fact.received)
    _dated(rows, fact, account, known)


def _contract(rows: Rows, fact: facts.Contract, known: Resolved) -> None:
    account = known.accounts[fact.tenant, fact.account_id]
    effective_on = date.fromisoformat(fact.effective_on)
    term_end = None if fact.term_end is None else date.fromisoformat(fact.term_end)
    tz = known.tenants[fact.tenant].tz
    takes_effect = start_of_day(effective_on, tz)
    recorded = takes_effect if fact.recorded_at is None else from_micros(fact.recorded_at)
    rows.contract.append((
        fact.tenant, account, fact.id, fact.contract_id, effective_on, fact.change,
        to_minor(fact.acv_after, fact.currency), fact.currency, term_end, fact.reason, fact.replaces, recorded,
    ))  # fmt: skip
    if fact.replaces is not None:
        rows.ask(fact.tenant, "replaces", fact.replaces, EVER, fact.received)
    rows.touch(fact.tenant, account, fact.received, effective_on)
    if takes_effect > from_micros(fact.received):
        rows.due.add((takes_effect, fact.tenant, "account", str(account)))


def _csm(rows: Rows, fact: facts.Csm, known: Resolved) -> None:
    at = from_micros(fact.at)
    told = [(name, getattr(fact, name)) for name in ("name", "email", "team", "active")]
    fields = [(name, json.dumps(value)) for name, value in told if value is not None]
    for name, value in fields or [("", None)]:
        rows.csm_attribute.append((fact.tenant, fact.csm_id, name, at, fact.id, value))
    rows.ask(fact.tenant, "csm", fact.csm_id, known.tenants[fact.tenant].days.of(fact.at), fact.received)
    if fact.at > fact.received:
        rows.due.add((at, fact.tenant, "csm", fact.csm_id))


def _alias(rows: Rows, fact: facts.Alias, known: Resolved) -> None:
    person, previous = known.persons[fact.tenant, fact.person_id], known.persons[fact.tenant, fact.previous_id]
    row = (fact.tenant, person, previous, from_micros(fact.at), fact.id)
    key = row[:3]
    rows.alias[key] = min(rows.alias.get(key, row), row, key=lambda one: one[3:])
    rows.ask(fact.tenant, "alias", str(person), EVER, fact.received)


def _response(rows: Rows, fact: facts.SurveyResponse, known: Resolved) -> None:
    account, person = _who(fact, known)
    rows.response.append((
        fact.tenant, fact.id, fact.response_id, fact.survey_id, account, person, from_micros(fact.at), fact.score,
        fact.comment, fact.invitation_id,
    ))  # fmt: skip
    if account is not None:
        _dated(rows, fact, account, known)


def _invitation(rows: Rows, fact: facts.InvitationSent | facts.InvitationBounced, known: Resolved) -> None:
    account, person = _who(fact, known)
    kind = "sent" if isinstance(fact, facts.InvitationSent) else "bounced"
    row = (fact.tenant, fact.invitation_id, kind, fact.survey_id, account, person, from_micros(fact.at), fact.id)
    key = row[:3]
    rows.invitation[key] = min(rows.invitation.get(key, row), row, key=lambda one: (one[6], one[7]))


def _who(fact: Any, known: Resolved) -> tuple[int | None, int | None]:
    account = None if fact.account_id is None else known.accounts[fact.tenant, fact.account_id]
    person = None if fact.person_id is None else known.persons[fact.tenant, fact.person_id]
    return account, person


def _dated(rows: Rows, fact: Any, account: int, known: Resolved) -> None:
    """Marks the account, and when the fact lies ahead, the instant at which it comes due."""
    rows.touch(fact.tenant, account, fact.received, known.tenants[fact.tenant].days.of(fact.at))
    if fact.at > fact.received:
        rows.due.add((from_micros(fact.at), fact.tenant, "account", str(account)))


_GATHER: Final[dict[type, Callable[[Rows, Any, Resolved], None]]] = {
    facts.Usage: _usage,
    facts.Account: _account,
    facts.Person: _person,
    facts.Contact: _contact,
    facts.Contract: _contract,
    facts.Csm: _csm,
    facts.Alias: _alias,
    facts.SurveyResponse: _response,
    facts.InvitationSent: _invitation,
    facts.InvitationBounced: _invitation,
}
