"""Routes of surveys for the people who run them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.nps.shapes import Survey, SurveyBody, SurveyList
from services.nps.surveys import Surveys
from shared.clock import Clock, from_micros, to_micros
from shared.errors import Fault, Invalid
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.tenancy import Principal, Right, require

_STAMP: Final = fingerprint("surveys")
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)
_LAST: Final = 253_402_300_799_999_999  # µs: the end of 9999
Reader = Annotated[Principal, Depends(require(Right.READ))]
Manager = Annotated[Principal, Depends(require(Right.MANAGE))]


def survey_routes(surveys: Surveys, clock: Clock) -> APIRouter:
    """`/v1/surveys`, one survey and its closing."""
    routes = APIRouter(tags=["nps"])

    @routes.post("/v1/surveys", status_code=201, response_model=Survey, summary="Make a survey")
    async def make(asker: Manager, body: SurveyBody) -> Response:
        """A survey with its questions; those left out are the usual ones. 409 `name_taken` for a name in use."""
        if body.closes_at is not None and body.closes_at <= clock.now():
            raise Invalid(errors=[Fault("/closes_at", "in_past", "Should lie in the future.")])
        return Json(await surveys.make(asker, body.model_dump(by_alias=True)), 201)

    @routes.get("/v1/surveys", response_model=SurveyList, summary="Surveys")
    async def listed(asker: Reader, limit: str | None = None, cursor: str | None = None) -> Response:
        """Every survey, the newest first."""
        size = parse_limit(limit)
        rows, total = await surveys.page(asker, _before(decode_cursor(cursor, _STAMP, int, str)), size + 1)
        return Json(listing(rows[:size], total, _next(rows, size), filtered=False))

    @routes.get("/v1/surveys/{survey_id:id}", response_model=Survey, summary="One survey")
    async def one(asker: Reader, survey_id: str) -> Response:
        """A survey with the questions that its page asks."""
        return Json(await surveys.one(asker, survey_id))

    @routes.get("/internal/survey-names", include_in_schema=False)
    async def names(asker: Reader) -> Response:
        return Json(await surveys.names(asker))

    @routes.post("/v1/surveys/{survey_id:id}/close", response_model=Survey, summary="Close a survey")
    async def close(asker: Manager, survey_id: str) -> Response:
        """From now on its links lead nowhere. Closing it again changes nothing."""
        return Json(await surveys.close(asker, survey_id))

    return routes


def _before(found: Sequence[Any] | None) -> tuple[datetime, str]:
    if not found:
        return _END, ""
    return from_micros(max(0, min(found[0] or 0, _LAST))), (found[1] or "").replace("\0", "")


def _next(rows: Sequence[Any], size: int) -> str | None:
    if len(rows) <= size:
        return None
    last = rows[size - 1]
    return encode_cursor([to_micros(last["created_at"].astimezone(UTC)), last["survey_id"]], _STAMP)
