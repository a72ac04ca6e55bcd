"""The tracking calls of Segment and RudderStack SDKs, as facts.

track, page, screen → usage; identify → person (a membership too when `context.groupId` names the account it happened
in); group → account, and a membership when it names a person; alias → alias. An unusable `context.groupId` or
`properties.groupId` counts as absent, as a junk `userId` does: the person's last group answers then.
"""

from typing import Any, Final, NamedTuple

import msgspec

from services.ingest.domain import checks
from services.ingest.domain.fault import shown
from services.ingest.domain.message import Call, Context, Message
from services.ingest.domain.split import LENIENT
from services.ingest.domain.verdict import Accepted, Door, Refused, Rejected
from shared.facts import UNSET, Account, Alias, AnyFact, Person, Usage, sent_hash

MAX_ID: Final = 200
MAX_MESSAGE_ID: Final = 100
_encode = msgspec.json.Encoder().encode


class _Grouped(msgspec.Struct):
    groupId: str | int | None = None  # noqa: N815 - the wire's name


_group_of = msgspec.json.Decoder(_Grouped).decode


class Surroundings(NamedTuple):
    """What a message takes from its request: when it was sent (µs, None when unknown), the batch's context."""

    sent: int | None
    context: Context | None


def surroundings(call: Call, header_sent_at: str | None) -> Surroundings:
    """What a call says around its messages. Its own sentAt wins over the header's."""
    return Surroundings(checks.micros_of(call.sent_at or header_sent_at or ""), call.context)


def admit_call(call: Call, header_sent_at: str | None, door: Door) -> list[Accepted | Rejected]:
    """What becomes of each message of a call, in order. Its own sentAt wins, then the batch's, then the header's."""
    around = surroundings(call, header_sent_at)
    return [one if isinstance(one, Rejected) else admit_message(one, around, door) for one in call.messages]


def admit_message(message: Message, around: Surroundings, door: Door) -> Accepted | Rejected:
    """What becomes of one message. Raises nothing."""
    try:
        maker = _MAKERS.get(message.type or "")
        if maker is None:
            missing = message.type is None
            raise Refused(*(("missing_field", "type is missing") if missing else ("unknown_type", "no such call")))
        fact_id = _message_id(message, door)
        envelope = {"tenant": door.tenant, "id": fact_id, "received": door.received, "hash": stamp_of(message)}
        envelope["at"] = happened(message, around.sent, door)
        return Accepted(fact_id, maker(message, around.context, envelope))
    except Refused as fault:
        return Rejected(fault.code, fault.message, _shown_id(message), shown(message.type))


def happened(message: Message, sent: int | None, door: Door) -> int:
    """received − (sentAt − originalTimestamp) in µs, never later than the accept time; without sentAt as it is. `sent`:
    the request's sentAt; the message's own wins."""
    text = message.originalTimestamp or message.timestamp
    if not text:
        return door.received
    field = "originalTimestamp" if message.originalTimestamp else "timestamp"
    original = checks.micros_of(text)
    if original is None:
        raise Refused(f"invalid_{field}", f"{field} is not an RFC 3339 instant with offset")
    if message.sentAt:
        sent = checks.micros_of(message.sentAt)
    at = corrected(original, sent, door.received)
    if at < checks.EARLIEST:
        raise Refused(f"invalid_{field}", f"{field} lies before 1900")
    return at


def corrected(original: int, sent: int | None, received: int) -> int:
    """An instant by our clock: as far before `received` as it was before `sent`, never later. All in µs."""
    return min(original if sent is None else received - (sent - original), received)


def stamp_of(message: Message) -> int:
    """The conflict hash: what the client said, without `sentAt`, which differs in each retry, and the write key."""
    sent_at, key = message.sentAt, message.writeKey
    if sent_at is not None or key is not None:
        message.sentAt = message.writeKey = None
    try:
        return sent_hash(_encode(message))
    except (UnicodeError, msgspec.EncodeError, OverflowError):
        raise Refused("invalid_text", "a field that is kept holds a lone surrogate or a number out of range") from None
    finally:
        message.sentAt, message.writeKey = sent_at, key


def _message_id(message: Message, door: Door) -> str:
    if message.messageId is None or message.messageId == "":
        return door.new_id()
    text = str(message.messageId)
    if len(text) > MAX_MESSAGE_ID:
        raise Refused("invalid_messageId", f"messageId has more than {MAX_MESSAGE_ID} characters")
    return _clean(checks.ident(text, "messageId"), "messageId")


def _shown_id(message: Message) -> str | None:
    return None if message.messageId is None else shown(str(message.messageId))


def _clean(text: str, field: str) -> str:
    if not checks.storable(text):
        raise Refused(f"invalid_{field}", f"{field} holds NUL or a lone surrogate")
    return text


def _usable(value: str | int | None, field: str) -> str | None:
    """An id as text; None when absent or junk. Too long or not storable refuses the message."""
    if value is None:
        return None
    text = str(value)
    if checks.is_junk(text):
        return None
    if len(text) > MAX_ID:
        raise Refused(f"invalid_{field}", f"{field} has more than {MAX_ID} characters")
    return _clean(text, field)


def _needed(value: str | int | None, field: str) -> str:
    if value is None:
        raise Refused("missing_field", f"{field} is missing")
    usable = _usable(value, field)
    if usable is None:
        raise Refused("junk_id", f"{field} is empty, a placeholder, or holds #")
    return usable


def _person_id(message: Message) -> str | None:
    """userId wins, a junk one falls through to anonymousId."""
    return _usable(message.userId, "userId") or _usable(message.anonymousId, "anonymousId")


def _needed_person(message: Message) -> str:
    person = _person_id(message)
    if person is None:
        absent = message.userId is None and message.anonymousId is None
        if absent:
            raise Refused("missing_field", "userId or anonymousId is missing")
        raise Refused("junk_id", "neither userId nor anonymousId is more than a placeholder")
    return person


def _context_group(message: Message, outer: Context | None) -> str | None:
    """The account that the message's context names, else the batch's context."""
    for context in (message.context, outer):
        group = None if context is None else _group(context.groupId)
        if group is not None:
            return group
    return None


def _group(value: str | int | None) -> str | None:
    """An account id that was said by the way: unusable is absent."""
    text = "" if value is None else str(value)
    return None if len(text) > MAX_ID or checks.is_junk(text) or not checks.storable(text) else text


def _properties_group(properties: msgspec.Raw) -> str | None:
    raw = bytes(properties)
    if b"groupId" not in raw:
        return None
    try:
        return _group(_group_of(raw).groupId)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _name(text: str | None, field: str) -> str | None:
    """A name that Genki keeps, None when empty. Codes: invalid_<field>."""
    if not text:
        return None
    if len(text) > MAX_ID:
        raise Refused(f"invalid_{field}", f"{field} has more than {MAX_ID} characters")
    return _clean(text, field)


def _usage(message: Message, outer: Context | None, envelope: dict[str, Any]) -> tuple[AnyFact, ...]:
    if message.type == "track":
        event = _name(message.event, "event")
        if event is None:
            raise Refused("missing_field", "event is missing")
    else:
        event = _name(message.name, "name") or str(message.type)
    account = _context_group(message, outer) or _properties_group(message.properties)
    return (Usage(person_id=_needed_person(message), event=event, account_id=account, **envelope),)


def _identify(message: Message, outer: Context | None, envelope: dict[str, Any]) -> tuple[AnyFact, ...]:
    traits = _traits(message, outer)
    name = _trait(traits, "name") or " ".join(
        part for part in (_trait(traits, "firstName"), _trait(traits, "lastName")) if part
    )
    return (
        Person(
            person_id=_needed_person(message),
            account_id=_context_group(message, outer),
            name=_name(name, "name"),
            email=_trait(traits, "email"),
            title=_trait(traits, "title"),
            **envelope,
        ),
    )


def _traits(message: Message, outer: Context | None) -> dict[str, Any]:
    """RudderStack's browser SDK puts them into the context, all others beside it."""
    told: dict[str, Any] = {}
    for context in (outer, message.context):
        told.update(_object(context.traits) if context is not None else {})
    told.update(_object(message.traits))
    return told


def _object(raw: msgspec.Raw) -> dict[str, Any]:
    """What an SDK calls an object; PHP's empty list and anything else that is none is an empty one."""
    text = bytes(raw)
    return LENIENT.decode(text.decode()) if text.startswith(b"{") else {}


def _trait(traits: dict[str, Any], key: str) -> str | None:
    value = traits.get(key)
    return _name(value, key) if isinstance(value, str) else None


_ACCOUNT_TRAITS: Final = ("name", "industry", "plan")


def _grouped(message: Message, outer: Context | None, envelope: dict[str, Any]) -> tuple[AnyFact, ...]:
    """name, industry and plan are the account's own, the rest its traits: a public key sets no money, owner, status."""
    account_id = _needed(message.groupId, "groupId")
    traits = {key: value for key, value in _object(message.traits).items() if value is not None}
    if not checks.storable(traits):
        raise Refused("invalid_traits", "traits hold NUL, a lone surrogate or a number out of range")
    own = {key: _trait(traits, key) for key in _ACCOUNT_TRAITS}
    own = {key: value for key, value in own.items() if value is not None}
    rest = {key: value for key, value in traits.items() if key not in own and value != ""}
    account = Account(account_id=account_id, traits=rest or UNSET, **own, **envelope)
    person = _person_id(message)
    if person is None:
        return (account,)
    return account, Person(person_id=person, account_id=account_id, **envelope)


def _alias(message: Message, outer: Context | None, envelope: dict[str, Any]) -> tuple[AnyFact, ...]:
    person, previous = _needed(message.userId, "userId"), _needed(message.previousId, "previousId")
    return (Alias(person_id=person, previous_id=previous, **envelope),)


_MAKERS: Final[dict[str, Any]] = {
    "track": _usage,
    "page": _usage,
    "screen": _usage,
    "identify": _identify,
    "group": _grouped,
    "alias": _alias,
}
