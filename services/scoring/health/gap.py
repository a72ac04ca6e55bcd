"""Consumption gap: the part of a product's possible value that an account does not take. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from shared.fields import exact
from shared.tenant_settings import ValueFeature

WINDOW_DAYS: Final = 28
SMALL: Final = 0.2  # a gap up to this is a small one: at least four fifths of the value are taken
DESPITE_USE: Final = "small_gap_with_detractor"


@dataclass(frozen=True, slots=True)
class FeatureGap:
    """One entitled value feature: who used it, the share of the seats meant to, and its part of the gap."""

    feature: str
    users: int
    share: float
    weight: float
    missing: float | None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "feature": self.feature,
            "users": self.users,
            "share": self.share,
            "weight": self.weight,
            "missing": self.missing,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """0 (all value taken) … 1 (none); None without entitled features, or with neither seats nor IDs."""

    gap: float | None
    features: tuple[FeatureGap, ...]


def seats_of(seats: float | None, ids: int) -> float | None:
    """How many might use the product: the seats, where none are told the IDs, None where there are none either."""
    return seats or ids or None


def consumption_gap(features: Iterable[ValueFeature], users: Mapping[str, int], seats: float | None) -> Gap:
    """1 − Σ w·min(1, users ÷ (share·seats)) ÷ Σ w, in exact arithmetic; the features that make most of it first,
    equal ones by name. `users`: distinct persons with any of the feature's events in 28 days."""
    mine = list(features)
    whole = sum((exact(one.weight) for one in mine), Fraction())
    missing = {one.feature: _missing(one, users.get(one.feature, 0), seats, whole) for one in mine}
    rows = [
        FeatureGap(one.feature, users.get(one.feature, 0), one.share, one.weight, _plain(missing[one.feature]))
        for one in mine
    ]
    rows.sort(key=lambda row: (-(row.missing or 0.0), row.feature))
    parts = [part for part in missing.values() if part is not None]
    return Gap(float(sum(parts, Fraction())) if parts else None, tuple(rows))


def _missing(feature: ValueFeature, users: int, seats: float | None, whole: Fraction) -> Fraction | None:
    if seats is None:
        return None
    taken = min(Fraction(1), users / (exact(feature.share) * exact(seats)))
    return exact(feature.weight) * (1 - taken) / whole


def _plain(part: Fraction | None) -> float | None:
    return None if part is None else float(part)


def flag_of(gap: float | None, detractors: int) -> str | None:
    """`small_gap_with_detractor`: the product is used and somebody is unhappy all the same. The gap is of felt value,
    usage only stands in for it."""
    return DESPITE_USE if gap is not None and gap <= SMALL and detractors else None
