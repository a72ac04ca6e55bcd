"""Routes of invitations: persons are invited, and how their invitations stand."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from services.nps.invitation_shapes import InvitationBody, InvitationList, InvitationStates
from services.nps.invitations import Invitations
from services.nps.inviting import Asked, Inviting
from shared.clock import zone
from shared.errors import Fault, Invalid
from shared.http import Json, decode_cursor, encode_cursor, fingerprint, listing, parse_limit
from shared.tenancy import Principal, Right, require

Reader = Annotated[Principal, Depends(require(Right.READ))]
Worker = Annotated[Principal, Depends(require(Right.WORK))]
DryRun = Annotated[bool, Query(description="Say who would be invited and who not, invite nobody.")]
_PATH: Final = "/v1/surveys/{survey_id:id}/invitations"


def invitation_routes(inviting: Inviting, invitations: Invitations, public_url: str | None) -> APIRouter:
    """`GET|POST /v1/surveys/{survey_id}/invitations`. `public_url`: where links lead; without it, where the request
    came to."""
    routes = APIRouter(tags=["nps"])

    @routes.post(_PATH, response_model=InvitationList, summary="Invite persons to a survey")
    async def invite(
        request: Request, asker: Worker, survey_id: str, body: InvitationBody, dry_run: DryRun = False
    ) -> Response:
        """One item a person. One whose personal link is in the answer is `invited`: the link is shown this once and
        counts as handed out now; with `delivery` `both` a mail with a link of its own follows at `send_at`. One who
        gets a mail only is `queued`. A CSM's key invites persons of its own accounts. `reason` of a skipped one:
        unknown_person, not_yours, deactivated, account_churned, opted_out, already_invited, no_email, bad_email,
        quiet_period, not_sampled, after_close. 409 `survey_closed`, `no_mail_server`, `no_password`."""
        asked = _asked(asker, survey_id, body, request.headers.get("authorization", ""), _base(request, public_url))
        return Json(await (inviting.would_invite if dry_run else inviting.invite)(asker, asked))

    @routes.get(_PATH, response_model=InvitationStates, summary="How the invitations of a survey stand")
    async def listed(asker: Reader, survey_id: str, limit: str | None = None, cursor: str | None = None) -> Response:
        """Every invitation with its mails, in order of person."""
        size, stamp = parse_limit(limit), fingerprint("invitations", survey_id)
        after = decode_cursor(cursor, stamp, str) or [""]
        rows, total = await invitations.page(asker, survey_id, (after[0] or "").replace("\0", ""), size + 1)
        following = encode_cursor([rows[size - 1]["person_id"]], stamp) if len(rows) > size else None
        return Json(listing(rows[:size], total, following, filtered=False))

    return routes


def _asked(asker: Principal, survey_id: str, body: InvitationBody, authorization: str, base: str) -> Asked:
    if (body.person_ids is None) == (body.filter is None):
        code, detail = ("missing", "Name persons, or an audience by a filter.")
        if body.filter is not None:
            code, detail = ("two_audiences", "Either person_ids or a filter, not both.")
        raise Invalid(errors=[Fault("/person_ids", code, detail)])
    return Asked(
        survey_id=survey_id,
        authorization=authorization,
        base=base,
        person_ids=body.person_ids,
        filters=_filters(asker, body),
        sample=body.sample,
        delivery=body.delivery,
        at=_local(body.send_at, asker),
        days=body.spread_days,
    )


def _filters(asker: Principal, body: InvitationBody) -> dict[str, list[str]]:
    filters: dict[str, Any] = body.filter.columns() if body.filter is not None else {}
    if "me" in filters.get("csm_id", ()):
        if asker.csm_id is None:
            raise Invalid(errors=[Fault("/filter/csm", "no_csm", "This key names no CSM.")])
        filters["csm_id"] = [asker.csm_id if one == "me" else one for one in filters["csm_id"]]
    return filters


def _local(instant: datetime | None, asker: Principal) -> datetime | None:
    if instant is None or instant.tzinfo is not None:
        return instant
    return instant.replace(tzinfo=zone(asker.time_zone))


def _base(request: Request, public_url: str | None) -> str:
    if public_url is not None:
        return public_url.rstrip("/")
    told = request.headers.get("x-forwarded-proto")
    return f"{told if told in ('http', 'https') else request.url.scheme}://{request.url.netloc}"
