"""NPS: which answer stands for whom, and the figure with its interval. Pure."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from math import sqrt
from typing import Final
from zoneinfo import ZoneInfo

from shared.clock import day_of

_Z: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Response:
    """One version of one answer: `id` names the version, `response_id` the answer, `at` the time of this edit."""

    response_id: str
    id: str
    survey_id: str
    at: datetime
    score: int | None
    account_id: str | None = None
    person_id: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Nps:
    """−100…100, not rounded; nps and interval None without responses."""

    n: int
    promoters: int
    passives: int
    detractors: int
    nps: float | None
    interval: tuple[float, float] | None


def category(score: int | None) -> str | None:
    """`promoter` 9–10, `passive` 7–8, `detractor` 0–6; None for a comment without score."""
    if score is None:
        return None
    if score >= 9:
        return "promoter"
    return "passive" if score >= 7 else "detractor"


def person_of(response: Response) -> Hashable:
    """Who answered; without a person the answer is a person of its own."""
    if response.person_id is None:
        return ("response", response.response_id)
    return ("person", response.person_id)


def _age(one: Response) -> tuple[datetime, str, str]:
    return one.at, one.response_id, one.id


def latest(responses: Iterable[Response], key: Callable[[Response], Hashable]) -> list[Response]:
    """Per key the response with the greatest (`at`, answer id, version id); listed from early to late."""
    standing: dict[Hashable, Response] = {}
    for response in sorted(responses, key=_age):
        standing[key(response)] = response
    return sorted(standing.values(), key=_age)


def answers(versions: Iterable[Response], at: datetime) -> list[Response]:
    """Each answer as it stands at T: its last edit not after T. An earlier edit counts nowhere any more."""
    return latest((version for version in versions if version.at <= at), lambda one: one.response_id)


def in_period(responses: Iterable[Response], first: date, last: date, tz: ZoneInfo) -> list[Response]:
    """Those with a score whose last edit lies on a day of [first, last] in the tenant's zone."""
    return [one for one in responses if one.score is not None and first <= day_of(one.at, tz) <= last]


def per_person(responses: Iterable[Response]) -> list[Response]:
    """One score each: the person's latest."""
    return latest(responses, person_of)


def per_person_and_account(responses: Iterable[Response]) -> list[Response]:
    """For account, tier and CSM: the person's latest in each account."""
    return latest(responses, lambda one: (person_of(one), one.account_id))


def per_person_and_survey(responses: Iterable[Response]) -> list[Response]:
    """For surveys: the person's latest in each survey."""
    return latest(responses, lambda one: (person_of(one), one.survey_id))


def figure(scores: Iterable[int]) -> Nps:
    """The NPS of one score per unit."""
    counts = {"promoter": 0, "passive": 0, "detractor": 0}
    for score in scores:
        counts[category(score) or "passive"] += 1
    return of_counts(counts["promoter"], counts["passive"], counts["detractor"])


@dataclass(slots=True)
class Tally:
    """What was answered and sent: units by their score, invitations sent, and those of them with a scored answer."""

    scores: Counter[int] = field(default_factory=Counter[int])
    sent: int = 0
    answered: int = 0

    def add(self, other: "Tally") -> None:
        """Counts the other's too."""
        self.scores.update(other.scores)
        self.sent += other.sent
        self.answered += other.answered

    def figure(self) -> Nps:
        """The NPS of these scores."""
        counts = Counter[str]()
        for score, units in self.scores.items():
            counts[category(score) or ""] += units
        return of_counts(counts["promoter"], counts["passive"], counts["detractor"])


def of_counts(promoters: int, passives: int, detractors: int) -> Nps:
    """The NPS of counts by category."""
    n = promoters + passives + detractors
    if not n:
        return Nps(0, 0, 0, 0, None, None)
    value = 100 * (promoters - detractors) / n
    return Nps(n, promoters, passives, detractors, value, interval(promoters, detractors, n))


def interval(promoters: int, detractors: int, n: int) -> tuple[float, float]:
    """95 %, adjusted Wald: three more answers, ¾ promoters and ¾ detractors; cut at ±100 (Bonett and Price 2012)."""
    more = n + 3
    p, d = (promoters + 0.75) / more, (detractors + 0.75) / more
    half = _Z * sqrt((p + d - (p - d) ** 2) / more)
    return max(-100.0, 100 * (p - d - half)), min(100.0, 100 * (p - d + half))


def response_rate(sent: int, answered: int) -> float | None:
    """Answered ÷ sent; None when nothing was sent."""
    return answered / sent if sent else None
