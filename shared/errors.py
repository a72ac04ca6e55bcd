"""Refusals on the wire: problem+json (RFC 9457) for every service, and the handlers that make it so."""

from typing import Final
from uuid import uuid4

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from shared.refusals import (
    MAX_ERRORS,
    BadRequest,
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    Later,
    MethodNotAllowed,
    NotFound,
    Refusal,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    Unexpected,
    from_status,
    from_validation,
    pointer,
    problem,
)

__all__ = [
    "MAX_ERRORS",
    "REQUEST_ID",
    "TOLD",
    "BadRequest",
    "Conflict",
    "Fault",
    "Forbidden",
    "Invalid",
    "Later",
    "MethodNotAllowed",
    "NotFound",
    "Refusal",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "Unavailable",
    "Unexpected",
    "from_status",
    "from_validation",
    "install_handlers",
    "pointer",
    "problem",
    "problem_response",
    "refusal_of",
    "request_id_of",
]

TOLD: Final = "genki.told"  # the scope key that says: this failure is in the log already
REQUEST_ID: Final = "genki.request_id"  # the scope key under which every layer finds the request's id
_log = structlog.get_logger("genki.errors")


def problem_response(refusal: Refusal, request_id: str) -> Response:
    """A refusal as `application/problem+json`, with its id in `x-request-id`."""
    return Response(
        msgspec.json.encode(problem(refusal, request_id)),
        status_code=refusal.status,
        headers={**refusal.headers, "x-request-id": request_id},
        media_type="application/problem+json",
    )


def request_id_of(scope: Scope) -> str:
    """The id of the request in hand; one is made (and kept in the scope) where no middleware has given it one."""
    return scope.setdefault(REQUEST_ID, uuid4().hex)


def install_handlers(app: Starlette | FastAPI) -> None:
    """Make an application answer every refusal, foreseen or not, as problem+json."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_refusal)
    app.add_exception_handler(HTTPException, _on_refusal)
    app.add_exception_handler(Exception, _on_unexpected)


def refusal_of(error: Exception) -> Refusal:
    """The refusal that an exception means: itself, a validation or HTTP error translated, else `Unexpected`."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RequestValidationError):
        return from_validation(error.errors())
    if isinstance(error, HTTPException):
        return from_status(error.status_code, error.headers)
    return Unexpected()


async def _on_refusal(request: Request, error: Exception) -> Response:
    return problem_response(refusal_of(error), request_id_of(request.scope))


async def _on_unexpected(request: Request, error: Exception) -> Response:
    request_id = request_id_of(request.scope)
    request.scope[TOLD] = True
    _log.error("request_failed", request_id=request_id, exc_info=error)
    return problem_response(Unexpected(), request_id)
