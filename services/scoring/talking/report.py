"""The one-page usage report that a customer is given: figures of 28 days, put on a page without scripts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

from services.scoring.talking.report_words import WORDS, day, number, short
from services.scoring.talking.rules import FeatureUse
from shared.http.pages import Pages

MOST_FEATURES: Final = 8
MOST_UNUSED: Final = 5
WEEKS: Final = 8
PAGES: Final = Pages(Path(__file__).parent / "templates", "report.css")


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
    return PAGES.render("report.html", lang=lang, words=WORDS[lang], seen=seen, **shown)
