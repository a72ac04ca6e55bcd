"""Every metric of an account at T, as its health model reads them. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from services.scoring.account import AccountAt, Moment, PersonScore
from services.scoring.coverage.rules import Coverage
from services.scoring.lifecycle.rules import Lifecycle
from shared.tenant_settings import CoveragePolicy, TenantSettings, ValueFeature

QUIET_DAYS: Final = 28  # a customer that started this long ago and never used the product is silent, not unknown
TREND_USERS: Final = 3  # fewer active users before say nothing about a trend
SCORE_DAYS: Final = 180  # a response this old says nothing any more
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)


class Reading(Struct, frozen=True):
    """One metric of one account. `input` is shown and goes through the curve; `points` stand in for the curve where
    silence itself is the value; `for_cap` is what a cap compares where it differs from the input."""

    input: float | None = None
    points: float | None = None
    for_cap: float | None = None

    @property
    def has_data(self) -> bool:
        """Whether it takes part in its dimension."""
        return self.input is not None or self.points is not None


Readings = Mapping[str, Reading]
NO_DATA: Final = Reading()


def readings_of(
    account: AccountAt,
    life: Lifecycle,
    cover: Coverage,
    policy: CoveragePolicy,
    settings: TenantSettings,
    moment: Moment,
) -> dict[str, Reading]:
    """Every metric of the account at T, by its model name. `step_age_ratio` has no data until journeys are kept."""
    usage, told = account.usage, account.attributes
    return {
        **usage_readings(account, life, moment),
        "features_used_ratio_28": _features(told.get("features"), usage.events_used_28, settings, moment.day),
        "active_users_per_seat_28": _ratio(usage.active_users_28, told.get("seats")),
        "contact_age_ratio": contact_reading(cover, policy, moment),
        "nps_weighted": Reading(weighted_score(account.scores, moment.day)),
        "active_users_ratio_28": _ratio(usage.active_users_28, usage.active_users_28_before, least=TREND_USERS),
        "step_age_ratio": NO_DATA,
        "renewal": Reading(None if life.renewal_on is None else (life.renewal_on - moment.day).days),
        "payment_overdue_days": Reading(trait(account, "payment_overdue_days")),
    }


def usage_readings(account: AccountAt, life: Lifecycle, moment: Moment) -> dict[str, Reading]:
    """The frequency metrics. Never used: nothing is known until 28 days after the start, then silence is 0; caps count
    from the start, and only in a tenant that sends usage."""
    usage = account.usage
    active = {"active_days_28": usage.active_days_28, "active_days_90": usage.active_days_90}
    if usage.last_day is not None:
        since = Reading((moment.day - usage.last_day).days)
        return {**{name: Reading(days) for name, days in active.items()}, "days_since_usage": since}
    silent = None
    if moment.first_usage_day is not None and life.start is not None and life.start <= moment.day:
        silent = (moment.day - life.start).days
    counts = silent is not None and silent >= QUIET_DAYS
    readings = {name: Reading(0) if counts else NO_DATA for name in active}
    return {**readings, "days_since_usage": Reading(for_cap=silent)}


def contact_reading(cover: Coverage, policy: CoveragePolicy, moment: Moment) -> Reading:
    """Age of the last counting contact in windows. Never talked to: 0 points once the tenant records contacts."""
    if cover.contact_day is not None:
        return Reading((moment.day - cover.contact_day).days / policy.window.days(moment.day))
    return Reading(points=0.0) if cover.eligible and moment.first_contact_at is not None else NO_DATA


def entitled(features: Sequence[str] | None, settings: TenantSettings, day: date) -> list[ValueFeature]:
    """The value features an account may use: all when none are named, else those named; not yet released ones never."""
    released = [it for it in settings.value_features if it.released_on is None or it.released_on <= day]
    return [it for it in released if features is None or it.feature in features]


def _features(features: Sequence[str] | None, used: frozenset[str], settings: TenantSettings, day: date) -> Reading:
    mine = entitled(features, settings, day)
    return Reading(len([it for it in mine if not used.isdisjoint(it.events)]) / len(mine)) if mine else NO_DATA


def _ratio(part: int, whole: int | None, least: int = 1) -> Reading:
    return Reading(part / whole) if whole is not None and whole >= least else NO_DATA


def weighted_score(scores: Collection[PersonScore], day: date) -> float | None:
    """Mean of each person's latest score, weighted 1 − age/180 by whole days; None without one younger than 180 days.

    In integers up to the one division, so that the order of persons cannot matter.
    """
    if not scores:
        return None
    told = [(SCORE_DAYS - (day - score.day).days, score.score) for score in scores]
    young = [(weight, score) for weight, score in told if weight > 0]
    total = sum(weight for weight, _ in young)
    return sum(weight * score for weight, score in young) / total if total else None


def trait(account: AccountAt, name: str) -> float | None:
    """A numeric trait of the account; None when it is not told or no number."""
    traits: Mapping[str, object] = account.attributes.get("traits") or {}
    return number(traits.get(name))


def number(value: object) -> float | None:
    """A trait as a number: a JSON number, or text that is plainly one (imports send text); None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return value if -1e15 <= value <= 1e15 else None
