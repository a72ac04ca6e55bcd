"""The AsyncAPI 3 document of the log: its topics, and every fact as it lies on them, made from the facts themselves."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast, get_args

import msgspec

from shared import facts

VERSION: Final = "3.0.0"
_INSTANT: Final = "microseconds since 1970-01-01T00:00:00Z"
_TOLD: Final = {
    "tenant": "number of the tenant, from the key",
    "received": f"when the fact was accepted, {_INSTANT}",
    "hash": "64-bit hash of what the client sent: equal ids with unequal hashes are a conflict",
    "at": f"when it happened, {_INSTANT}",
    "recorded_at": f"when it was written down, {_INSTANT}",
    "account_id": "the account",
    "person_id": "the person",
    "id": "unique per tenant and type; a resent id changes nothing",
}
_TOPICS: Final = {
    facts.USAGE_TOPIC: ("usage", "What persons do and which accounts they belong to; key = person."),
    facts.FACTS_TOPIC: ("facts", "Accounts, contracts and contacts (key = account) and CSMs (key = CSM)."),
    facts.RESPONSES_TOPIC: ("responses", "Survey responses and invitations; key = person, else the fact's id."),
    facts.DEAD_TOPIC: ("dead", "Lines that can never be applied, each with its place and the reason."),
}
_DEAD: Final = {
    "type": "object",
    "description": "One line that can never be applied.",
    "required": ["topic", "partition", "offset", "line", "reason", "raw"],
    "properties": {
        "topic": {"type": "string"},
        "partition": {"type": "integer", "minimum": 0},
        "offset": {"type": "integer", "minimum": 0, "description": "of its record"},
        "line": {"type": "integer", "minimum": 0, "description": "within its record"},
        "reason": {"type": "string"},
        "raw": {"type": "string", "description": "the line as it came"},
    },
}
_HEADERS: Final = {
    "type": "object",
    "properties": {
        "content-type": {"type": "string", "const": "application/x-ndjson"},
        "traceparent": {"type": "string", "description": "W3C trace context of the request that it came with"},
    },
}


def document(version: str) -> dict[str, Any]:
    """The whole document; `version` is Genki's. A record's value is NDJSON: each of its lines is one of the channel's
    messages, all of one partition = crc32 of UTF-8 `tenant|key` modulo the number of partitions."""
    kinds = sorted(facts.WIRE_TYPES)
    schemas = _schemas() | {"DeadLine": _DEAD}
    messages = {kind: _message(kind, _name(kind)) for kind in kinds} | {"dead_line": _message("dead_line", "DeadLine")}
    return {
        "asyncapi": VERSION,
        "info": {"title": "Genki's log", "version": version, "description": (document.__doc__ or "").split("; ", 1)[1]},
        "defaultContentType": "application/x-ndjson",
        "channels": {name: _channel(topic, text, _kinds(topic)) for topic, (name, text) in _TOPICS.items()},
        "operations": {
            f"{action}_{_TOPICS[topic][0]}": {"action": action, "channel": _ref("channels", _TOPICS[topic][0])}
            for topic in facts.ALL_TOPICS
            for action in (("send",) if topic == facts.DEAD_TOPIC else ("send", "receive"))
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _kinds(topic: str) -> Iterable[str]:
    found = [kind for kind, (of, _) in facts.WIRE_TYPES.items() if of == topic]
    return sorted(found) or ["dead_line"]


def _channel(topic: str, text: str, kinds: Iterable[str]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": text,
        "messages": {kind: _ref("components/messages", kind) for kind in kinds},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
    }


def _message(kind: str, schema: str) -> dict[str, Any]:
    return {"name": kind, "headers": _HEADERS, "payload": _ref("components/schemas", schema)}


def _ref(place: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{place}/{name}"}


def _name(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.split("_"))


def _schemas() -> dict[str, Any]:
    """Each fact's schema as msgspec decodes it, with its units said."""
    _, found = msgspec.json.schema_components(get_args(facts.AnyFact), ref_template="#/components/schemas/{name}")
    for schema in found.values():
        for name, field in cast("Mapping[str, dict[str, Any]]", schema["properties"]).items():
            if name in _TOLD:
                field["description"] = _TOLD[name]
    return dict(sorted(found.items()))
