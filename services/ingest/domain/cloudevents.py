"""CloudEvents 1.0 as items of /v1/events: structured, batched and in HTTP headers (binary).

`type` is `genki.<fact>`, `id` and `time` are the fact's `id` and `at` (a contract has no `at`: its time is checked and
not kept), `data` holds the rest. `source` is needed and is no part of the identity; optional and extension attributes
are not looked at.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from services.ingest.domain import checks
from services.ingest.domain.fault import shown
from services.ingest.domain.intake import MAX_ITEM
from services.ingest.domain.sent import SENT_TYPES
from services.ingest.domain.split import LENIENT, Items, Unsound, members, split
from services.ingest.domain.verdict import Refused, Rejected

PREFIX: Final = "genki."
_MEDIA: Final = "application/cloudevents"
_NEEDED: Final = ("specversion", "type", "source", "id", "time")
_OWN: Final = ("type", "id", "at")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
Headers = Iterable[tuple[bytes, bytes]]
Unwrap = Callable[[bytes], bytes | Rejected]


class Mode(StrEnum):
    """How the events of a request travel."""

    STRUCTURED = "json"
    BATCH = "batch+json"
    BINARY = "binary"


class Wrapped(NamedTuple):
    """The events of a body as received, and what makes an item of /v1/events of each, or says why none can be."""

    items: Items
    unwrap: Unwrap


def mode_of(headers: Headers) -> Mode | Unsound | None:
    """The mode that a request's headers name, None for plain facts. Unsound: an event format that is not JSON."""
    binary = False
    for name, value in headers:
        if name == b"content-type":
            kind = value.decode("latin-1").partition(";")[0].strip().lower()
            if kind.startswith(_MEDIA):
                return _FORMATS.get(kind, _NO_FORMAT)
        binary = binary or (name.startswith(b"ce-") and name[3:].decode("latin-1") in _NEEDED)
    return Mode.BINARY if binary else None


_FORMATS: Final = {f"{_MEDIA}+json": Mode.STRUCTURED, f"{_MEDIA}-batch+json": Mode.BATCH}
_NO_FORMAT: Final = Unsound("unknown_format", "of CloudEvents formats only JSON is read")


def read_events(mode: Mode, headers: Headers, body: bytes) -> Wrapped | Unsound:
    """The events of a body. Unsound as for plain facts: what is not JSON refuses the request."""
    found = split(body or b"{}" if mode is Mode.BINARY else body)
    if isinstance(found, Unsound):
        return found
    if mode is Mode.BATCH:
        return Wrapped(found, _no_batch if found.single else item_of)
    whole = Items([body], True)
    return Wrapped(whole, item_of if mode is Mode.STRUCTURED else partial(_bound, _of_headers(headers)))


def _no_batch(raw: bytes) -> Rejected:
    return Rejected("not_an_array", "a batch is a JSON array of events")


def item_of(raw: bytes) -> bytes | Rejected:
    """The item that an event in JSON is, or why it is refused."""
    if len(raw) > MAX_ITEM:
        return Rejected("too_large", f"an item may have {MAX_ITEM} bytes")
    text = raw.decode().strip()
    if not text.startswith("{"):
        return Rejected("not_an_object", "an event is a JSON object")
    told = {name: part for name, part in members(text).items() if part != "null"}
    attributes: dict[str, Any] = {name: LENIENT.decode(told[name]) for name in _NEEDED if name in told}
    try:
        return _item(attributes, _data(told))
    except Refused as fault:
        return _rejected(fault, attributes)


def _bound(attributes: Mapping[str, Any], body: bytes) -> bytes | Rejected:
    """The item of attributes that came as headers and the body that is its data."""
    if len(body) > MAX_ITEM:
        return Rejected("too_large", f"an item may have {MAX_ITEM} bytes", *_shown(attributes))
    try:
        return _item(attributes, body.decode().strip() or "{}")
    except Refused as fault:
        return _rejected(fault, attributes)


def _data(told: Mapping[str, str]) -> str:
    """The event's data as JSON text; absent is an empty object."""
    if "data_base64" not in told:
        return told.get("data", "{}")
    packed = LENIENT.decode(told["data_base64"])
    try:
        if "data" in told or not isinstance(packed, str):
            raise ValueError("one of data and data_base64, as text")
        data = base64.b64decode(packed, validate=True)
        found = split(data)
    except (ValueError, binascii.Error):
        raise _NO_DATA from None
    if isinstance(found, Unsound):
        raise _NO_DATA
    return data.decode().strip()


_NO_DATA: Final = Refused("invalid_data", "data is no JSON object")


def _item(attributes: Mapping[str, Any], data: str) -> bytes:
    """The bytes of the item; what the attributes say goes before what data says. Raises Refused."""
    for name in _NEEDED:
        _check(name, attributes.get(name))
    kind = str(attributes["type"]).removeprefix(PREFIX)
    shape = SENT_TYPES.get(kind)
    if shape is None or kind == attributes["type"]:
        raise Refused("unknown_type", "type is not genki. and a fact that may be sent")
    if not data.startswith("{"):
        raise _NO_DATA
    if any(name in _OWN for name in members(data)):
        raise Refused("unknown_field", "type, id and at are the event's type, id and time and not told in data")
    own = {"type": kind, "id": attributes["id"], "at": attributes["time"]}
    if "at" not in shape.__struct_fields__ and checks.micros_of(own.pop("at")) is None:
        raise Refused("invalid_time", "time is not an RFC 3339 instant with offset")
    inside = data[1:-1].strip()
    return f"{json.dumps(own)[:-1]}{',' if inside else ''}{inside}}}".encode()


def _check(name: str, value: Any) -> None:
    if value is None:
        raise Refused("missing_field", f"{name} is missing")
    if not isinstance(value, str) or not value or (name == "specversion" and value != "1.0"):
        raise Refused(f"invalid_{name}", f"{name} is not what CloudEvents 1.0 says")


def _rejected(fault: Refused, attributes: Mapping[str, Any]) -> Rejected:
    return Rejected(fault.code, fault.message, *_shown(attributes))


def _shown(attributes: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return shown(attributes.get("id")), shown(attributes.get("type"))


def _of_headers(headers: Headers) -> dict[str, Any]:
    """The attributes by name; one that cannot be read, or came twice, is no text."""
    told: dict[str, Any] = {}
    for header, value in headers:
        name = header.decode("latin-1").removeprefix("ce-")
        if header.startswith(b"ce-") and name in _NEEDED:
            told[name] = _UNREADABLE if name in told else _header_text(value)
    return told


_UNREADABLE: Final = 0


def _header_text(value: bytes) -> str | int:
    """A header's value: quotes taken off, then percent-decoded once, as UTF-8."""
    try:
        text = value.decode().strip()
        quoted = _QUOTED.fullmatch(text)
        return unquote_to_bytes(re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text).decode()
    except UnicodeDecodeError:
        return _UNREADABLE
