"""One item of /v1/events: the facts it is, or why it is refused."""

from decimal import Decimal
from typing import Any, Final

import msgspec

from services.ingest.domain import checks
from services.ingest.domain.fault import Reread, reread, shown
from services.ingest.domain.sent import (
    ABSENT,
    AnySent,
    Sent,
    SentAccount,
    SentContact,
    SentContract,
    SentCsm,
    SentPerson,
    SentUsage,
)
from services.ingest.domain.verdict import Accepted, Door, Refused, Rejected
from shared.facts import UNSET, Account, AnyFact, Contact, Contract, Csm, Person, Usage, sent_hash

MAX_ITEM: Final = 32_768
DEFAULT_CONTRACT: Final = "default"
"""The contract of an account that names none: one per account."""
_decode = msgspec.json.Decoder(AnySent).decode
_encode = msgspec.json.Encoder().encode


def admit(raw: bytes, door: Door) -> Accepted | Rejected:
    """What becomes of one item, given as the bytes it was received in. Raises nothing."""
    if len(raw) > MAX_ITEM:
        return Rejected("too_large", f"an item may have {MAX_ITEM} bytes")
    try:
        sent = _decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        return _admit_slowly(raw, door)
    return _judge(sent, door, b"\\u" in raw)


def _admit_slowly(raw: bytes, door: Door) -> Accepted | Rejected:
    """For what the typed decoder does not take: duplicate keys and 3.0 pass, all else learns its reason."""
    read = reread(raw)
    return _judge(read.sent, door, True) if isinstance(read, Reread) else read


def _judge(sent: Any, door: Door, escaped: bool) -> Accepted | Rejected:
    try:
        if escaped:
            _storable(sent)
        fact_id = door.new_id() if sent.id is None else checks.ident(sent.id, "id")
        stamp = sent_hash(_encode(sent))
        return Accepted(fact_id, _MAKERS[type(sent)](sent, door, fact_id, stamp))
    except Refused as fault:
        return Rejected(fault.code, fault.message, shown(sent.id), str(sent.__struct_config__.tag))


def _storable(sent: Sent) -> None:
    for name in sent.__struct_fields__:
        value = getattr(sent, name)
        if not isinstance(value, msgspec.Raw) and not checks.storable(value):
            raise Refused(f"invalid_{name}", f"{name} holds NUL, a lone surrogate or a number out of range")


def _usage(sent: SentUsage, door: Door, fact_id: str, stamp: int) -> tuple[AnyFact, ...]:
    account = sent.account_id
    if account is not None:
        checks.ident(account, "account_id")
    if sent.properties is not ABSENT and bytes(sent.properties)[:1] not in (b"{", b"n"):
        raise Refused("invalid_properties", "properties is not an object")
    return (
        Usage(
            tenant=door.tenant,
            id=fact_id,
            received=door.received,
            hash=stamp,
            at=checks.instant(sent.at, "at", door.latest),
            person_id=checks.ident(sent.person_id, "person_id"),
            event=sent.event,
            account_id=account,
            count=sent.count or 1,
        ),
    )


def _account(sent: SentAccount, door: Door, fact_id: str, stamp: int) -> tuple[AnyFact, ...]:
    if sent.merged_into == sent.account_id:
        raise Refused("invalid_merged_into", "an account cannot be merged into itself")
    for name in ("merged_into", "csm_id", "parent_id"):
        _if_told(getattr(sent, name), checks.ident, name)
    for name in ("customer_since", "renewal_on"):
        _if_told(getattr(sent, name), checks.day, name)
    if not checks.storable(sent.traits):
        raise Refused("invalid_traits", "traits hold a number out of range")
    return (
        Account(
            tenant=door.tenant,
            id=fact_id,
            received=door.received,
            hash=stamp,
            account_id=checks.ident(sent.account_id, "account_id"),
            at=checks.instant(sent.at, "at", door.latest),
            **_account_money(sent, door),
            **{name: getattr(sent, name) for name in _ACCOUNT_AS_SENT},
        ),
    )


_ACCOUNT_AS_SENT: Final = (
    "merged_into", "name", "status", "customer_since", "seats", "plan", "industry", "csm_id", "parent_id", "features",
    "renewal_on", "traits",
)  # fmt: skip


def _account_money(sent: SentAccount, door: Door) -> dict[str, Any]:
    """acv, potential_acv and, beside an amount, its currency: as sent, else the tenant's."""
    amounts = {name: getattr(sent, name) for name in ("acv", "potential_acv")}
    amounts = {name: None if bytes(raw) == b"null" else bytes(raw) for name, raw in amounts.items() if raw is not UNSET}
    if sent.currency is UNSET or sent.currency is None:
        currency = sent.currency
    else:
        currency = checks.currency(sent.currency, door)
    if any(amount is not None for amount in amounts.values()):
        currency = checks.currency(currency or None, door)
    told = {
        name: None if raw is None else checks.money(raw, name, currency or door.currency)
        for name, raw in amounts.items()
    }
    return {**told, "currency": currency}


def _if_told(value: Any, check: Any, name: str) -> None:
    if value is not UNSET and value is not None:
        check(value, name)


def _person(sent: SentPerson, door: Door, fact_id: str, stamp: int) -> tuple[AnyFact, ...]:
    if sent.account_id is None and (sent.uses_product is not None or sent.deactivated is not None):
        raise Refused("missing_field", "uses_product and deactivated need account_id")
    _if_told(sent.account_id, checks.ident, "account_id")
    return (
        Person(
            tenant=door.tenant,
            id=fact_id,
            received=door.received,
            hash=stamp,
            person_id=checks.ident(sent.person_id, "person_id"),
            at=checks.instant(sent.at, "at", door.latest),
            account_id=sent.account_id,
            name=sent.name,
            email=sent.email,
            title=sent.title,
            uses_product=sent.uses_product,
            deactivated=sent.deactivated,
        ),
    )


def _contact(sent: SentContact, door: Door, fact_id: str, stamp: int) -> tuple[AnyFact, ...]:
    planned = sent.outcome == "planned"
    _contact_ids(sent)
    common: dict[str, Any] = {
        "tenant": door.tenant,
        "received": door.received,
        "hash": stamp,
        "at": checks.instant(sent.at, "at", door.latest_planned if planned else door.latest),
        "recorded_at": _recorded(sent.recorded_at, door),
        "person_ids": sent.person_ids or [],
        "voices": _voices(sent.voices or []),
        **{name: getattr(sent, name) for name in _CONTACT_AS_SENT},
    }
    if not sent.account_ids:
        return (Contact(id=fact_id, account_id=sent.account_id, **common),)
    accounts = dict.fromkeys((sent.account_id, *sent.account_ids))
    return tuple(Contact(id=f"{fact_id}#{one}", account_id=one, sent_id=fact_id, **common) for one in accounts)


_CONTACT_AS_SENT: Final = ("channel", "outcome", "csm_id", "direction", "playbook", "note", "replaces")


def _contact_ids(sent: SentContact) -> None:
    checks.ident(sent.account_id, "account_id")
    _if_told(sent.csm_id, checks.ident, "csm_id")
    _if_told(sent.replaces, checks.ident, "replaces")
    for name in ("person_ids", "account_ids"):
        for one in getattr(sent, name) or ():
            checks.ident(one, name)


def _voices(voices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for voice in voices:
        if not checks.storable(voice) or voice.get("kind", "request") not in ("request", "problem", "praise"):
            raise Refused("invalid_voices", "a voice has kind request, problem or praise and numbers in range")
    return voices


def _recorded(text: str | None, door: Door) -> int | None:
    return None if text is None else checks.instant(text, "recorded_at", door.latest)


def _contract(sent: SentContract, door: Door, fact_id: str, stamp: int) -> tuple[AnyFact, ...]:
    currency = checks.currency(sent.currency, door)
    if bytes(sent.acv_after) == b"null":
        raise Refused("missing_field", "acv_after is missing")
    after = checks.money(bytes(sent.acv_after), "acv_after", currency)
    if sent.change == "churn" and Decimal(after):
        raise Refused("invalid_acv_after", "acv_after of a churn is 0")
    _if_told(sent.term_end, checks.day, "term_end")
    _if_told(sent.contract_id, checks.ident, "contract_id")
    _if_told(sent.replaces, checks.ident, "replaces")
    return (
        Contract(
            tenant=door.tenant,
            id=fact_id,
            received=door.received,
            hash=stamp,
            account_id=checks.ident(sent.account_id, "account_id"),
            contract_id=sent.contract_id or DEFAULT_CONTRACT,
            effective_on=checks.day(sent.effective_on, "effective_on"),
            change=sent.change,
            acv_after=after,
            currency=currency,
            term_end=sent.term_end,
            reason=sent.reason,
            replaces=sent.replaces,
            recorded_at=_recorded(sent.recorded_at, door),
        ),
    )


def _csm(sent: SentCsm, door: Door, fact_id: str, stamp: int) -> tuple[AnyFact, ...]:
    return (
        Csm(
            tenant=door.tenant,
            id=fact_id,
            received=door.received,
            hash=stamp,
            csm_id=checks.ident(sent.csm_id, "csm_id"),
            at=checks.instant(sent.at, "at", door.latest),
            name=sent.name,
            email=sent.email,
            team=sent.team,
            active=sent.active,
        ),
    )


_MAKERS: Final[dict[type, Any]] = {
    SentUsage: _usage,
    SentAccount: _account,
    SentPerson: _person,
    SentContact: _contact,
    SentContract: _contract,
    SentCsm: _csm,
}
