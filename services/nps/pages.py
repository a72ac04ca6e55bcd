"""The public pages: HTML without scripts, one style sheet inside it, nothing from elsewhere."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from starlette.responses import HTMLResponse, Response

from services.nps.answering import Sheet
from services.nps.domain.forms import MAX_COMMENT, Unfit, shown
from services.nps.domain.surveys import CATEGORIES, category
from services.nps.domain.words import OTHER, WORDS
from shared.http.pages import Pages

PAGES: Final = Pages(Path(__file__).parent / "templates", "style.css", forms=True)


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
    return _answer(PAGES.render(template, **about, **values), status)


def _answer(html: str, status: int) -> Response:
    return HTMLResponse(html, status, PAGES.headers)


_NOWHERE: Final = PAGES.render("nowhere.html", lang="ja")
