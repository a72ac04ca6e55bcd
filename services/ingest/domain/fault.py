"""A second, patient look at an item that the typed decoder refused: names the fault, or reads what JSON allows."""

import json
from typing import Any, Final, NamedTuple

import msgspec

from services.ingest.domain.sent import ABSENT, CLEARABLE, SENT_TYPES, Sent, SentAccount
from services.ingest.domain.split import LENIENT
from services.ingest.domain.verdict import Refused, Rejected


class Reread(NamedTuple):
    """The item is good after all."""

    sent: Sent


def reread(raw: bytes) -> Reread | Rejected:
    """The item of these bytes, or what is wrong with it: its type, then its fields in the order of the contract."""
    if not raw.startswith(b"{"):
        return Rejected("not_an_object", "an item is a JSON object")
    value: dict[str, Any] = LENIENT.decode(raw.decode())
    shown_id, shown_type = shown(value.get("id")), shown(value.get("type"))
    try:
        return Reread(_read(value))
    except Refused as fault:
        return Rejected(fault.code, fault.message, shown_id, shown_type)


def shown(value: Any) -> str | None:
    """Text to answer with: at most 100 characters, always encodable; None for what is no text."""
    return value[:100].encode(errors="replace").decode() if isinstance(value, str) else None


def _read(item: dict[str, Any]) -> Sent:
    kind = item.pop("type", None)
    if kind is None:
        raise Refused("missing_field", "type is missing")
    shape = SENT_TYPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise Refused("unknown_type", "no fact that may be sent has this type")
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    if not fields.keys() >= item.keys():
        raise Refused("unknown_field", f"a {kind} fact has a field that is not in the contract")
    told = {name: value for name, value in item.items() if value is not None or _clears(shape, name)}
    for name, field in fields.items():
        if field.required and name not in told:
            raise Refused("missing_field", f"{name} is missing")
    return shape(**{name: _field(name, fields[name].type, value) for name, value in told.items()})


def _clears(shape: type[Sent], name: str) -> bool:
    return shape is SentAccount and name in CLEARABLE


def _field(name: str, kind: Any, value: Any) -> Any:
    if name in _KEPT_RAW:
        return _raw(name, value)
    try:
        return msgspec.convert(_settled(value, name), kind)
    except (msgspec.ValidationError, UnicodeError):
        raise Refused(f"invalid_{name}", f"{name} is not what the contract says") from None


_KEPT_RAW: Final = frozenset(("properties", "acv", "potential_acv", "acv_after"))


def _raw(name: str, value: Any) -> msgspec.Raw:
    if value is None:
        return ABSENT
    if name == "properties" and not isinstance(value, dict):
        raise Refused("invalid_properties", "properties is not an object")
    return msgspec.Raw(json.dumps(value, separators=(",", ":")).encode())


def _settled(value: Any, name: str) -> Any:
    """3.0 is the whole number 3, as JSON has it."""
    whole = name in ("count", "seats") and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value
