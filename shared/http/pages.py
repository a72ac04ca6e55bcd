"""Pages for people: HTML from templates, no scripts, one style sheet inside, nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


class Pages:
    """The templates of one folder with their style sheet. `headers`: what every answer with such a page carries."""

    def __init__(self, home: Path, style: str, *, forms: bool = False) -> None:
        """`style`: the sheet's file name; `forms`: whether the pages may send forms, to their own host alone."""
        sheet = (home / style).read_text("utf-8")
        self._style = Markup(sheet)  # noqa: S704 our own file
        self._templates = Environment(
            loader=FileSystemLoader(home, encoding="utf-8"),
            autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        )  # fmt: skip
        self.headers = _headers(sheet, "'self'" if forms else "'none'")

    def render(self, template: str, **values: Any) -> str:
        """The page as HTML; every text among the values is escaped."""
        return self._templates.get_template(template).render(style=self._style, **values)


def _headers(sheet: str, form_action: str) -> Mapping[str, str]:
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; form-action {form_action}"
    return {
        "content-security-policy": f"{policy}; frame-ancestors 'none'; base-uri 'none'",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex, nofollow",
    }
