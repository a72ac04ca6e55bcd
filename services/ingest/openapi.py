"""ingest's part of the OpenAPI document: its routes read raw bytes, so nobody else can tell what they take."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.ingest.domain.rows import KINDS
from services.ingest.domain.sent import SENT_TYPES
from shared.http.answers import Json

_TEXT: Final = {"type": "string"}
_MAYBE: Final = {"type": ["string", "null"]}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members)}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_PROBLEM: Final = _object(
    type=_TEXT,
    title=_TEXT,
    status={"type": "integer"},
    detail=_TEXT,
    code=_TEXT,
    message=_TEXT,
    request_id=_TEXT,
    errors=_array(_object(pointer=_TEXT, code=_TEXT, message=_TEXT)),
)
_FACT: Final = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"enum": list(SENT_TYPES)}, "id": {"type": ["string", "null"], "maxLength": 100}},
}
_CLOUD_EVENT: Final = _object(specversion={"const": "1.0"}, type=_TEXT, source=_TEXT, id=_TEXT, time=_TEXT) | {
    "description": "`type` is `genki.<fact>`, `id` and `time` are the fact's id and at, `data` holds the rest."
}
_SENT: Final = {
    "application/json": {"schema": {"oneOf": [_FACT, _array(_FACT)]}},
    "application/cloudevents+json": {"schema": _CLOUD_EVENT},
    "application/cloudevents-batch+json": {"schema": _array(_CLOUD_EVENT)},
}
_RESULT: Final = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {"id": _MAYBE, "status": {"enum": ["accepted", "rejected"]}, "code": _TEXT, "message": _TEXT},
}
_TRACKED: Final = _object(
    success={"const": True},
    accepted=_COUNT,
    rejected=_array(_object(index=_COUNT, messageId=_MAYBE, code=_TEXT, message=_TEXT)),
)
_REJECTION: Final = _object(
    at={"type": "string", "format": "date-time"},
    route=_TEXT,
    index=_COUNT,
    type=_MAYBE,
    id=_MAYBE,
    code=_TEXT,
    message=_TEXT,
    payload=_TEXT,
)
_IMPORTED: Final = _object(
    rows_read=_COUNT,
    accepted=_COUNT,
    rejected=_array(_object(line=_COUNT, reason=_TEXT, code=_TEXT)),
    warnings=_array(_TEXT),
)
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BINARY: Final = {"type": "string", "format": "binary"}
_COLUMNS: Final = {
    "map": "column=field; a column may be used twice; of accounts also column=traits.<key>.",
    "set": "field=value: the same in every row.",
    "where": "column=value: only these rows; twice on one column means either.",
}
_LIST: Final = _object(items=_array(_REJECTION), total={"type": ["integer", "null"]}, next_cursor=_MAYBE)


def _operation(summary: str, answer: dict[str, Any], refusals: str, **more: Any) -> dict[str, Any]:
    problem = {"content": {"application/problem+json": {"schema": _PROBLEM}}}
    refused = {status: {"description": "Refused", **problem} for status in refusals.split()}
    good = {"description": summary, "content": {"application/json": {"schema": answer}}}
    return {"summary": summary, "responses": {"200": good, **refused}, **more}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _query(name: str, schema: dict[str, Any], place: str = "query") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def document(tracking: list[str]) -> dict[str, Any]:
    """The document: `tracking` are the paths of the tracking doors."""
    events = _operation(
        "Takes one fact or up to 1,000",
        _object(results=_array(_RESULT)),
        "400 401 403 413 429 503",
        requestBody={"required": True, "content": _SENT},
    )
    track = _operation(
        "Takes calls of Segment and RudderStack SDKs",
        _TRACKED,
        "400 401 403 413 429 503",
        requestBody=_body({"type": "object"}),
    )
    pages = [_query("limit", {"type": "integer", "minimum": 1, "maximum": 500}), _query("cursor", _TEXT)]
    listed = _operation("Items refused in the last seven days", _LIST, "401 403 422 503", parameters=pages)
    imports = _operation(
        "Takes a sheet: CSV (UTF-8, UTF-16, Shift_JIS) or XLSX; the same file twice changes nothing",
        _IMPORTED,
        "400 401 403 404 413 422 429 503",
        requestBody={"required": True, "content": {kind: {"schema": _BINARY} for kind in ("text/csv", _XLSX)}},
        parameters=[
            _query("kind", {"enum": list(KINDS)}, "path"),
            *(_query(name, _array(_TEXT)) | {"description": says} for name, says in _COLUMNS.items()),
            _query("dry_run", {"type": "boolean"}) | {"description": "Say what would happen, change nothing."},
        ],
    )
    settings = _operation("What analytics.js fetches first", {"type": "object"}, "")
    source = _operation("What the RudderStack SDK fetches first", {"type": "object"}, "")
    paths = {path: {"post": track} for path in tracking} | {
        "/v1/events": {"post": events},
        "/v1/imports/{kind}": {"post": imports},
        "/v1/m": {"post": _operation("What SDKs measure about themselves", _object(success={"const": True}), "")},
        "/v1/projects/{write_key}/settings": {"get": settings | {"parameters": [_query("write_key", _TEXT, "path")]}},
        "/sourceConfig/": {"get": source | {"parameters": [_query("writeKey", _TEXT)]}},
        "/v1/ingest/rejections": {"get": listed},
    }
    return {"openapi": "3.1.0", "info": {"title": "Genki ingest", "version": "1"}, "paths": paths}


def route_of(tracking: list[str]) -> Any:
    """The endpoint of GET /openapi.json."""
    told = document(tracking)

    async def endpoint(request: Request) -> Response:
        return Json(told)

    return endpoint
