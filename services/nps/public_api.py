"""The pages behind links, open to everyone who has one: no key, no script, nothing recorded by looking."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from services.nps import pages
from services.nps.answering import Links
from services.nps.domain.forms import MAX_COMMENT, Unfit, choose_language, fields_of, read_reply, read_score
from services.nps.links import token_hash
from shared.errors import TooMany

FORM: Final = "application/x-www-form-urlencoded"
Lang = Annotated[str | None, Query(description="`ja` or `en`; else the browser's own liking.")]
_NOWHERE: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "The neutral page, the same for every link that leads nowhere"}
}
_LANG: Final = {"type": "string", "enum": ["ja", "en"]}
_REPLY: Final = {
    "type": "object",
    "required": ["score"],
    "properties": {
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
        "comment": {"type": "string", "maxLength": MAX_COMMENT},
        "lang": _LANG,
    },
}


class Pace:
    """How often one link may be answered through: each other answer is a fact for good. Looking is never limited, for
    scanners of a whole company come from one address, and a link cannot be guessed."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def step(self, token: str) -> None:
        """Raises TooMany."""
        hashed = token_hash(token)
        if hashed is not None and not await self._limiter.hit(self._limit, "answer", hashed.hex()):
            raise TooMany("This link was answered through too often.", retry_after=60)


def public_routes(links: Links, answers_per_minute: int) -> APIRouter:
    """`GET|POST /s/{token}` with its thanks, `GET|POST /u/{token}`."""
    routes = APIRouter(tags=["nps"])
    _survey(routes, links, Pace(answers_per_minute))
    _unsubscribe(routes, links)
    return routes


def _survey(routes: APIRouter, links: Links, pace: Pace) -> None:
    @routes.head("/s/{token}", include_in_schema=False)
    @routes.get("/s/{token}", response_class=HTMLResponse, responses=_NOWHERE, summary="The question of a link")
    async def show(
        request: Request,
        token: str,
        score: Annotated[str | None, Query(description="Preselected; never recorded.")] = None,
        lang: Lang = None,
    ) -> Response:
        """An HTML page in Japanese or English with the score preselected."""
        sheet = await links.sheet(token)
        if sheet is None:
            return pages.nowhere_page()
        return pages.question_page(token, _language(request, lang), sheet, read_score(score))

    @routes.post(
        "/s/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses={**_NOWHERE, 422: {"description": "The page again, with what is wrong; nothing is stored"}},
        openapi_extra={"requestBody": {"required": True, "content": {FORM: {"schema": _REPLY}}}},
        summary="Answer the question of a link, or change the answer",
    )
    async def answer(request: Request, token: str) -> Response:
        """Form fields `score`, `comment`, `lang`. The answer can be changed until the survey closes."""
        fields = fields_of(await request.body())
        lang = _language(request, next(iter(fields.get("lang", ())), None))
        reply = read_reply(fields)
        sheet = await links.sheet(token)
        if sheet is None:
            return pages.nowhere_page()
        if isinstance(reply, Unfit):
            return pages.question_page(token, lang, sheet, None, reply)
        await pace.step(token)  # of a link that leads somewhere: others take no memory
        if await links.answer(token, reply) is None:
            return pages.nowhere_page()
        return RedirectResponse(f"/s/{token}/thanks?lang={lang}", 303, pages.PAGES.headers)

    @routes.head("/s/{token}/thanks", include_in_schema=False)
    @routes.get("/s/{token}/thanks", response_class=HTMLResponse, responses=_NOWHERE, summary="Thanks for an answer")
    async def thanks(request: Request, token: str, lang: Lang = None) -> Response:
        """An HTML page by the answer's category; without an answer it leads nowhere."""
        sheet = await links.sheet(token)
        if sheet is None or sheet.score is None:
            return pages.nowhere_page()
        return pages.thanks_page(token, _language(request, lang), sheet.score)


def _unsubscribe(routes: APIRouter, links: Links) -> None:
    @routes.head("/u/{token}", include_in_schema=False)
    @routes.get("/u/{token}", response_class=HTMLResponse, responses=_NOWHERE, summary="Ask whether to unsubscribe")
    async def ask(request: Request, token: str, lang: Lang = None) -> Response:
        """An HTML page with one button; nothing changes before it is pressed."""
        if not await links.can_unsubscribe(token):
            return pages.nowhere_page()
        return pages.unsubscribe_page(token, _language(request, lang), done=False)

    @routes.post("/u/{token}", response_class=HTMLResponse, responses=_NOWHERE, summary="Unsubscribe")
    async def unsubscribe(request: Request, token: str) -> Response:
        """One click (RFC 8058) or the page's button: answered without a redirect, the same however often. The link can
        do nothing else, so any body does."""
        lang = _language(request, next(iter(fields_of(await request.body()).get("lang", ())), None))
        if not await links.unsubscribe(token):
            return pages.nowhere_page()
        return pages.unsubscribe_page(token, lang, done=True)


def _language(request: Request, asked: str | None) -> str:
    return choose_language(asked, request.headers.get("accept-language"))
