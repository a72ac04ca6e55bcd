"""A tracking request as SDKs send it: its envelope, its messages, the write keys it names. Lenient where SDKs are."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from services.ingest.domain.fault import shown
from services.ingest.domain.intake import MAX_ITEM
from services.ingest.domain.split import (
    LENIENT,
    NOT_JSON,
    TOO_DEEP,
    Unsound,
    elements,
    judged,
    members,
    text_of,
    too_deep,
)
from services.ingest.domain.verdict import Rejected

BATCHED: Final = frozenset(("batch", "import"))
NOTHING: Final = msgspec.Raw(b"null")
_Text = str | int | None


class Context(msgspec.Struct, omit_defaults=True, gc=False):
    """What of a message's context bears on facts."""

    groupId: _Text = None  # noqa: N815 - the wire's name
    traits: msgspec.Raw = NOTHING


class Message(msgspec.Struct, omit_defaults=True, gc=False):
    """One call, the fields that bear on facts. Everything else an SDK sends is ignored."""

    type: str | None = None
    messageId: _Text = None  # noqa: N815
    userId: _Text = None  # noqa: N815
    anonymousId: _Text = None  # noqa: N815
    groupId: _Text = None  # noqa: N815
    previousId: _Text = None  # noqa: N815
    event: str | None = None
    name: str | None = None
    timestamp: str | None = None
    originalTimestamp: str | None = None  # noqa: N815
    sentAt: str | None = None  # noqa: N815
    writeKey: str | None = None  # noqa: N815
    context: Context | None = None
    traits: msgspec.Raw = NOTHING
    properties: msgspec.Raw = NOTHING


class Envelope(msgspec.Struct, gc=False):
    """What surrounds the messages of a batch."""

    batch: list[msgspec.Raw]
    sentAt: str | None = None  # noqa: N815
    writeKey: str | None = None  # noqa: N815
    context: Context | None = None


class Call(NamedTuple):
    """A request read: each message or why it is refused, beside its bytes; `keys` are the write keys it names."""

    messages: list[Message | Rejected]
    raws: list[bytes]
    sent_at: str | None
    context: Context | None
    keys: frozenset[str]


_decode = msgspec.json.Decoder(Message).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
_split_one = msgspec.json.Decoder(msgspec.Raw).decode


def read_call(kind: str, body: bytes) -> Call | Unsound:
    """The messages of a body that came to `/v1/<kind>` (long name). Outside a batch the route says the type."""
    text = text_of(body)
    if text is None:
        return NOT_JSON
    if kind in BATCHED:
        return _batch(body, text)
    try:
        raw = bytes(_split_one(body))
    except (msgspec.DecodeError, RecursionError):
        fault = judged(text)
        if fault is not None:
            return fault
        raw = text.strip().encode()
    if too_deep(body, []):
        return TOO_DEEP
    message = _message(raw)
    if isinstance(message, Message):
        message.type = kind
    return Call([message], [raw], None, None, _keys([message]))


def _batch(body: bytes, text: str) -> Call | Unsound:
    envelope = _envelope(body, text)
    if not isinstance(envelope, Envelope):
        return envelope
    raws = list(map(bytes, envelope.batch))
    if too_deep(body, raws):
        return TOO_DEEP
    messages = _messages(raws)
    return Call(messages, raws, envelope.sentAt, envelope.context, _keys([envelope, *messages]))


def _envelope(body: bytes, text: str) -> Envelope | Unsound:
    try:
        return _decode_envelope(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        fault = judged(text)
    if fault is not None:
        return fault
    if not text.lstrip().startswith("{"):
        return NO_BATCH
    parts = members(text)
    batch = parts.get("batch", "").strip()
    if not batch.startswith("["):
        return NO_BATCH
    outer = _lenient(Message, {name: parts[name] for name in ("sentAt", "writeKey", "context") if name in parts})
    raws = [msgspec.Raw(piece.encode()) for piece in elements(batch)]
    return Envelope(raws, outer.sentAt, outer.writeKey, outer.context)


NO_BATCH: Final = Unsound("no_batch", "the body is not an object with an array named batch")


def _messages(raws: list[bytes]) -> list[Message | Rejected]:
    if max(map(len, raws), default=0) <= MAX_ITEM:
        try:
            return list(map(_decode, raws))
        except (msgspec.DecodeError, UnicodeError):
            pass
    return [_message(raw) for raw in raws]


def _message(raw: bytes) -> Message | Rejected:
    if len(raw) > MAX_ITEM:
        return Rejected("too_large", f"a message may have {MAX_ITEM} bytes")
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeError):
        text = raw.decode()
    if not text.startswith("{"):
        return Rejected("not_an_object", "a message is a JSON object")
    parts = members(text)
    for name in _STRICT:
        if not parts.get(name, "null").startswith(('"', "null")):
            return Rejected(f"invalid_{name}", f"{name} is not text", shown(_value(parts.get("messageId", "null"))))
    return _lenient(Message, parts)


_STRICT: Final = ("type", "event", "timestamp", "originalTimestamp")
"""Fields whose wrong kind refuses the message; of all others a wrong kind is as good as nothing."""


def _lenient(shape: Any, parts: Mapping[str, str]) -> Any:
    """The struct of what fits: PHP sends `[]` for an empty object, and nobody minds a context that is text.

    `parts` are the slices of an object's values: what stays raw stays as it was received."""
    told: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        part = parts.get(field.name, "null")
        if field.type is msgspec.Raw:
            told[field.name] = msgspec.Raw(part.encode())
        elif field.name == "context":
            told["context"] = _lenient(Context, members(part)) if part.startswith("{") else None
        else:
            _keep_fitting(told, field, _value(part))
    return shape(**told)


def _keep_fitting(told: dict[str, Any], field: Any, given: Any) -> None:
    try:
        told[field.name] = msgspec.convert(given, field.type)
    except (msgspec.ValidationError, UnicodeError):
        return


def _value(part: str) -> Any:
    return LENIENT.decode(part)


def _keys(messages: list[Any]) -> frozenset[str]:
    return frozenset([one.writeKey for one in messages if type(one) is not Rejected and one.writeKey])
