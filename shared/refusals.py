"""Refusals: what Genki says when it says no, as data. Pure: rules may raise them; `shared.errors` tells them."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final, NamedTuple

MAX_ERRORS: Final = 20
_POINTER: Final = 200  # characters; a pointer may hold a name the client sent
_MESSAGE: Final = 300


class Fault(NamedTuple):
    """One thing wrong with a request: RFC 6901 pointer into it, a constant code, a sentence."""

    pointer: str
    code: str
    message: str


class Refusal(Exception):
    """The request was refused."""

    status: ClassVar[int] = 400
    code: str = "refused"
    title: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """A subclass without a code of its own is coded by its name: `SurveyClosed` → `survey_closed`."""
        super().__init_subclass__()
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(
        self,
        detail: str | None = None,
        *,
        code: str | None = None,
        errors: Iterable[Fault | Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`detail` speaks of this occurrence (never of ids); without one the class's docstring is the detail too."""
        self.message: str = _first_paragraph(type(self).__doc__)
        self.detail: str = detail or self.message
        self.errors: list[Fault] = [e if isinstance(e, Fault) else Fault(**e) for e in errors]
        self.headers: dict[str, str] = dict(headers or {})
        if code is not None:
            self.code = code
        super().__init__(self.detail)


class BadRequest(Refusal):
    """The request could not be understood."""


class Unauthorized(Refusal):
    """The key is missing, unknown, expired or revoked."""

    status = 401

    def __init__(self, detail: str | None = None, *, code: str | None = None) -> None:
        """The answer asks for a Bearer key."""
        super().__init__(detail, code=code, headers={"WWW-Authenticate": 'Bearer realm="genki"'})


class Forbidden(Refusal):
    """The key's kind or role does not allow this."""

    status = 403


class NotFound(Refusal):
    """There is nothing under this address."""

    status = 404

    def __init__(self) -> None:
        """Takes nothing: the answers for an id nobody has and for another tenant's are the same bytes."""
        super().__init__()


class MethodNotAllowed(Refusal):
    """This address does not take that method."""

    status = 405

    def __init__(self, allow: Iterable[str]) -> None:
        """`allow`: the methods it takes."""
        super().__init__(headers={"Allow": ", ".join(sorted(allow))})


class Conflict(Refusal):
    """The request conflicts with what is there."""

    status = 409


class TooLarge(Refusal):
    """The request is larger than this address takes."""

    status = 413


class Invalid(Refusal):
    """A value is missing, of the wrong kind or out of range."""

    status = 422


class Later(Refusal):
    """Try again later."""

    def __init__(self, detail: str | None = None, *, retry_after: float = 1, code: str | None = None) -> None:
        """`retry_after`: seconds, rounded up to whole ones, at least 1."""
        super().__init__(detail, code=code, headers={"Retry-After": str(max(1, -int(-retry_after // 1)))})


class TooMany(Later):
    """Too many requests for now."""

    status = 429


class Unavailable(Later):
    """A part of Genki is not available now; sending again is safe."""

    status = 503


class Unexpected(Refusal):
    """Something went wrong inside Genki."""

    status = 500


def problem(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """The body of a refusal: `type,title,status,detail,code,message,request_id,errors` (at most 20)."""
    return {
        "type": "about:blank",
        "title": refusal.title or HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
        "message": refusal.message,
        "request_id": request_id,
        "errors": [_bounded(fault) for fault in refusal.errors[:MAX_ERRORS]],
    }


def from_validation(errors: Iterable[Mapping[str, Any]]) -> Refusal:
    """Pydantic's error list as a refusal: one pointer each, the input never echoed; not JSON at all is a 400."""
    found = list(errors)
    if any(e["type"] == "json_invalid" for e in found):
        return BadRequest("The body is not JSON.", code="not_json")
    return Invalid(errors=[Fault(pointer(e["loc"]), e["type"], e["msg"]) for e in found[:MAX_ERRORS]])


def pointer(location: Iterable[str | int]) -> str:
    """The RFC 6901 pointer of a pydantic location: a body's own paths bare, parameters under `/query`, `/path`."""
    parts = [str(part) for part in location]
    if parts[:1] == ["body"]:
        parts = parts[1:]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


_BY_STATUS: Final[dict[int, type[Refusal]]] = {
    400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 413: TooLarge, 422: Invalid,
    429: TooMany, 500: Unexpected, 503: Unavailable,
}  # fmt: skip


def from_status(status: int, headers: Mapping[str, str] | None) -> Refusal:
    """The refusal that an HTTP status is, with the headers it came with."""
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowed((headers or {}).get("Allow", "").split(", "))
    known = _BY_STATUS.get(status)
    if known is not None:
        refusal = known()
    else:
        refusal = Refusal(code=HTTPStatus(status).name.lower())
        refusal.status = status  # pyright: ignore[reportAttributeAccessIssue]
    refusal.headers.update(headers or {})
    return refusal


def _first_paragraph(doc: str | None) -> str:
    return " ".join((doc or Refusal.__doc__ or "").strip().split("\n\n")[0].split())


def _bounded(fault: Fault) -> dict[str, str]:
    return {"pointer": fault.pointer[:_POINTER], "code": fault.code, "message": fault.message[:_MESSAGE]}
