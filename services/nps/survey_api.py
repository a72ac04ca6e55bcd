"""Routes of surveys for the people who run them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from services.nps.shapes import InvitationBody, InvitationList, Survey, SurveyBody, SurveyList
from services.nps.surveys import Asked, Surveys
from shared.clock import Clock, from_micros, to_micros
from shared.errors import Fault, Invalid
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.tenancy import Principal, Right, require

_STAMP: Final = fingerprint("surveys")
_END: Final = datetime(9999, 12, 31, tzinfo=UTC)
_LAST: Final = 253_402_300_799_999_999  # µs: the end of 9999
Reader = Annotated[Principal, Depends(require(Right.READ))]
Manager = Annotated[Principal, Depends(require(Right.MANAGE))]
Worker = Annotated[Principal, Depends(require(Right.WORK))]
DryRun = Annotated[bool, Query(description="Say who would be invited and who not, invite nobody.")]


def survey_routes(surveys: Surveys, clock: Clock, public_url: str | None) -> APIRouter:
    """`/v1/surveys` and what lies under it. `public_url`: where links lead; without it, where the request came to."""
    routes = APIRouter(tags=["nps"])
    _invitations(routes, surveys, public_url)

    @routes.post("/v1/surveys", status_code=201, response_model=Survey, summary="Make a survey")
    async def make(asker: Manager, body: SurveyBody) -> Response:
        """A survey with its questions; those left out are the usual ones. 409 `name_taken` for a name in use."""
        if body.closes_at is not None and body.closes_at <= clock.now():
            raise Invalid(errors=[Fault("/closes_at", "in_past", "Should lie in the future.")])
        return Json(await surveys.make(asker, body.model_dump()), 201)

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

    @routes.post("/v1/surveys/{survey_id:id}/close", response_model=Survey, summary="Close a survey")
    async def close(asker: Manager, survey_id: str) -> Response:
        """From now on its links lead nowhere. Closing it again changes nothing."""
        return Json(await surveys.close(asker, survey_id))

    return routes


def _invitations(routes: APIRouter, surveys: Surveys, public_url: str | None) -> None:
    @routes.post(
        "/v1/surveys/{survey_id:id}/invitations", response_model=InvitationList, summary="Invite persons to a survey"
    )
    async def invite(
        request: Request, asker: Worker, survey_id: str, body: InvitationBody, dry_run: DryRun = False
    ) -> Response:
        """One item a person. A personal link is shown this once and counts as handed out. `reason` of a skipped one:
        unknown_person, deactivated, opted_out, already_invited, no_email, quiet_period. 409 `survey_closed`."""
        if body.filter is not None or body.person_ids is None:
            detail = "Name the persons in person_ids; a filter is not taken yet."
            code = "missing" if body.filter is None else "filter_not_supported"
            raise Invalid(errors=[Fault("/person_ids" if body.filter is None else "/filter", code, detail)])
        asked = Asked(survey_id, body.person_ids, request.headers.get("authorization", ""), _base(request, public_url))
        return Json({"items": await (surveys.would_invite if dry_run else surveys.invite)(asker, asked)})


def _base(request: Request, public_url: str | None) -> str:
    if public_url is not None:
        return public_url.rstrip("/")
    told = request.headers.get("x-forwarded-proto")
    return f"{told if told in ('http', 'https') else request.url.scheme}://{request.url.netloc}"


def _before(found: Sequence[Any] | None) -> tuple[datetime, str]:
    if not found:
        return _END, ""
    return from_micros(max(0, min(found[0] or 0, _LAST))), (found[1] or "").replace("\0", "")


def _next(rows: Sequence[Any], size: int) -> str | None:
    if len(rows) <= size:
        return None
    last = rows[size - 1]
    return encode_cursor([to_micros(last["created_at"].astimezone(UTC)), last["survey_id"]], _STAMP)
