"""The one-page usage report that a customer is given: figures of 28 days, put on a page without scripts. Pure."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.scoring.talking.report_words import WORDS, day, number, short
from services.scoring.talking.rules import FeatureUse

MOST_FEATURES: Final = 8
MOST_UNUSED: Final = 5
WEEKS: Final = 8
_HOME: Final = Path(__file__).parent / "templates"
_STYLE: Final = (_HOME / "report.css").read_text("utf-8")
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
}
_pages: Final = Environment(
    loader=FileSystemLoader(_HOME, encoding="utf-8"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days; `share`: its uses in percent of the busiest week's."""

    first: date
    last: date
    users: int
    events: int
    share: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows, of the 28 days `first`…`last` and those before. `brand`: the tenant's own name."""

    name: str
    brand: str | None
    first: date
    last: date
    users: int
    users_before: int
    events: int
    events_before: int
    active_days: int
    seats: int | None
    weeks: Sequence[Week]
    features: Sequence[FeatureUse]
    more_features: int
    new: Sequence[tuple[str, date]]
    unused: Sequence[str]
    more_unused: int

    @property
    def seats_used(self) -> int:
        """At most all of them."""
        return min(self.users, self.seats or 0)


def most_used(features: Sequence[FeatureUse]) -> tuple[list[FeatureUse], int]:
    """The features used most, equal ones by name, and how many more there are."""
    used = sorted((one for one in features if one.events), key=lambda one: (-one.events, one.feature))
    return used[:MOST_FEATURES], max(0, len(used) - MOST_FEATURES)


def page(seen: Report, lang: str) -> str:
    """The page as HTML; every text from outside is escaped."""
    shown = {"day": partial(day, lang=lang), "short": partial(short, lang=lang), "number": number}
    template = _pages.get_template("report.html")
    return template.render(lang=lang, words=WORDS[lang], seen=seen, style=Markup(_STYLE), **shown)  # noqa: S704
