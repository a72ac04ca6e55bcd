"""One OpenAPI document out of several: only public routes, no clash of names, every refusal a problem."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from services.gateway.domain.access import COMPOSED, Rule
from shared.rights import Right

Document = Mapping[str, Any]
_FRAMEWORKS: Final = frozenset(("HTTPValidationError", "ValidationError"))  # FastAPI's own error shapes, never sent
_REF: Final = re.compile(r"#/components/(\w+)/(.+)")
_PROBLEM_FIELDS: Final = ("type", "title", "status", "detail", "code", "message", "request_id", "errors")
_TEXT: Final = {"type": "string"}
PROBLEM: Final[Document] = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "required": list(_PROBLEM_FIELDS),
    "properties": dict.fromkeys(_PROBLEM_FIELDS[:-1], _TEXT) | {
        "status": {"type": "integer"},
        "errors": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {"pointer": _TEXT, "code": _TEXT, "message": _TEXT},
            },
        },
    },
}  # fmt: skip
SCHEMES: Final[Document] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key `gk_<kind>_<id>_<secret>_<checksum>`, or a JWT of an issuer that the operator named.",
    },
    "writeKey": {"type": "http", "scheme": "basic", "description": "A write key as the user name, as SDKs send it."},
}
_DAY: Final[Document] = {"type": "string", "format": "date"}
_TIME: Final[Document] = {"anyOf": [_DAY, {"type": "string", "format": "date-time"}]}
# Values that services read from text, so that what is wrong is told in their words: what they are, by name.
_VALUES: Final[Mapping[str, tuple[Document, str]]] = {
    "as_of": (_TIME, "A day or an RFC 3339 instant, not ahead; now when absent."),
    "since": (_TIME, "A day or an RFC 3339 instant."),
    "from": (_DAY, "The first day."),
    "to": (_DAY, "The last day."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 500}, "1 to 500, default 50."),
    "cursor": ({"type": "string", "minLength": 1}, "`next_cursor` of the page before."),
    "days": ({"type": "integer", "minimum": 1, "maximum": 36500}, "Days back."),
    "within_days": ({"type": "integer", "minimum": 0, "maximum": 3650}, "Days ahead."),
    "lang": ({"type": "string", "enum": ["ja", "en"]}, "The page's language."),
}
_REASONS: Final = {
    400: "The request could not be understood", 401: "The key is missing, unknown, expired or revoked",
    403: "The key's kind or role does not allow this", 404: "There is nothing under this address",
    413: "The request is too large", 422: "A value is missing, of the wrong kind or out of range",
    503: "A part of Genki is not available now; sending again is safe",
}  # fmt: skip


def merge(info: Document, documents: Mapping[str, Document], rules: Iterable[Rule]) -> dict[str, Any]:
    """The public document: of each service's own one the operations that `rules` give to that service."""
    paths: dict[str, dict[str, Any]] = {}
    components: dict[str, dict[str, Any]] = {"schemas": {"Problem": PROBLEM}, "securitySchemes": dict(SCHEMES)}
    public = {(COMPOSED.get(rule.template, rule.service), _shape(rule.template), rule.method): rule for rule in rules}
    for service, document in documents.items():
        names = _take_components(service, document, components)
        for path, operations in document.get("paths", {}).items():
            for method, operation in operations.items():
                rule = public.get((service, _shape(path), method.upper()))
                if rule is not None:
                    paths.setdefault(path, {})[method] = _operation(_renamed(operation, names), rule)
    return {"openapi": "3.1.0", "info": info, "paths": dict(sorted(paths.items())), "components": components}


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def _take_components(service: str, document: Document, into: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Adds a document's components; a name that already means something else gets the service's name before it."""
    names: dict[str, str] = {}
    for sort, parts in document.get("components", {}).items():
        taken = into.setdefault(sort, {})
        for name, part in parts.items():
            if sort == "securitySchemes" or name in _FRAMEWORKS:
                continue
            clash = name in taken and taken[name] != part
            names[f"{sort}/{name}"] = f"{service.capitalize()}{name}" if clash else name
    for sort, parts in document.get("components", {}).items():
        for name, part in parts.items():
            if f"{sort}/{name}" in names:
                into[sort][names[f"{sort}/{name}"]] = _renamed(part, names)
    return names


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        fields = cast("dict[str, Any]", node)
        return {k: _reference(v, names) if k == "$ref" else _renamed(v, names) for k, v in fields.items()}
    return [_renamed(item, names) for item in cast("list[Any]", node)] if isinstance(node, list) else node


def _reference(text: Any, names: Mapping[str, str]) -> Any:
    match = _REF.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return text
    sort, name = match.groups()
    return f"#/components/{sort}/{names.get(f'{sort}/{name}', name)}"


def _operation(operation: dict[str, Any], rule: Rule) -> dict[str, Any]:
    responses = {code: body for code, body in operation.get("responses", {}).items() if code != "422"}
    for status in _refusals(operation, rule):
        responses.setdefault(str(status), _problem(_REASONS[status]))
    if "parameters" in operation:
        operation = {**operation, "parameters": [_parameter(one) for one in operation["parameters"]]}
    return {**operation, "tags": [rule.service], "responses": responses, "security": _security(rule)}


def _parameter(told: dict[str, Any]) -> dict[str, Any]:
    """A query parameter that is text to its service, with what the text has to be; one that says more stays."""
    kinds = cast("list[dict[str, Any]]", told["schema"].get("anyOf", [told["schema"]]))
    plain = all(kind.keys() <= {"type", "title"} and kind.get("type") in ("string", "null") for kind in kinds)
    if told["in"] != "query" or told["name"] not in _VALUES or not plain:
        return told
    schema, description = _VALUES[told["name"]]
    return {**told, "schema": schema, "description": told.get("description", description)}


def _refusals(operation: Document, rule: Rule) -> list[int]:
    keyed = [401, 403] if rule.right is not None else [401] if rule.service == "ingest" else []
    named = [404] if "{" in rule.template else []
    bodied = [400, 413] if "requestBody" in operation or rule.method in ("POST", "PUT") else []
    ranged = [422] if operation.get("parameters") or bodied else []
    return [*keyed, *named, *bodied, *ranged, 503]


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    if rule.right is not None:
        return [{"key": []}, {"writeKey": []}] if rule.right in (Right.EVENTS, Right.IMPORT) else [{"key": []}]
    return [{"key": []}, {"writeKey": []}, {}] if rule.service == "ingest" else []


def _problem(reason: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": reason, "content": {"application/problem+json": {"schema": schema}}}
