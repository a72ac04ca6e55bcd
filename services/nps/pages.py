"""The public pages: HTML without scripts, one style sheet inside it, nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from services.nps.answering import Sheet
from services.nps.domain.forms import MAX_COMMENT, Unfit, shown
from services.nps.domain.surveys import CATEGORIES, category
from services.nps.domain.words import OTHER, WORDS

_HOME: Final = Path(__file__).parent / "templates"
_STYLE: Final = (_HOME / "style.css").read_text("utf-8")
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
}
_pages: Final = Environment(
    loader=FileSystemLoader(_HOME, encoding="utf-8"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def question_page(token: str, lang: str, sheet: Sheet, score: int | None, problem: Unfit | None = None) -> Response:
    """The question, `score` preselected (else that of the answer so far); after a refused answer what was sent."""
    if problem is not None:
        seen = replace(sheet, score=problem.score, comment=problem.comment)
    else:
        seen = replace(sheet, score=sheet.score if score is None else score)
    chosen = {} if seen.score is None else {"score": str(seen.score)}
    return _page(
        "survey.html",
        lang,
        f"/s/{token}",
        422 if problem else 200,
        chosen,
        action=f"/s/{token}",
        question=sheet.question[lang],
        open_questions=[(name, _text(sheet.open_question[name], lang)) for name in CATEGORIES],
        score=seen.score,
        category=None if seen.score is None else category(seen.score),
        comment=shown(seen.comment or ""),
        problem=problem and problem.problem,
        answered=sheet.score is not None,
        max_comment=MAX_COMMENT,
        category_of=category,
    )


def thanks_page(token: str, lang: str, score: int) -> Response:
    """Thanks, by what the answer was."""
    back = f"/s/{token}?lang={lang}"
    return _page("thanks.html", lang, f"/s/{token}/thanks", category=category(score), back=back)


def unsubscribe_page(token: str, lang: str, *, done: bool) -> Response:
    """Asks, or says that it is done."""
    here = f"/u/{token}"
    return _page("unsubscribed.html" if done else "unsubscribe.html", lang, here, action=here)


def nowhere_page() -> Response:
    """The one page of every link that leads nowhere: the same bytes for all of them, in both languages."""
    return _answer(_NOWHERE, 404)


def _text(text: str | Mapping[str, str], lang: str) -> str:
    return text if isinstance(text, str) else text[lang]


def _page(
    template: str, lang: str, here: str, status: int = 200, chosen: Mapping[str, str] | None = None, **values: Any
) -> Response:
    other = OTHER[lang]
    query = "&".join(f"{name}={value}" for name, value in {**(chosen or {}), "lang": other}.items())
    about = {"lang": lang, "words": WORDS[lang], "other": other, "other_link": f"{here}?{query}"}
    return _answer(_pages.get_template(template).render(style=Markup(_STYLE), **about, **values), status)  # noqa: S704


def _answer(html: str, status: int) -> Response:
    return HTMLResponse(html, status, HEADERS)


_NOWHERE: Final = _pages.get_template("nowhere.html").render(lang="ja", style=Markup(_STYLE))  # noqa: S704
