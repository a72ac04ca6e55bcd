"""The default health model, written down again from DOMAIN.md: metrics, curves, caps, and what having data means."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Curve = tuple[tuple[float, float], ...]
Row = dict[str, Any]

CURVES: dict[str, Curve] = {
    "active_days_28": ((0, 0), (1, 20), (4, 50), (8, 70), (12, 85), (20, 100)),
    "active_days_90": ((0, 0), (3, 20), (10, 50), (20, 75), (40, 100)),
    "days_since_usage": ((0, 100), (7, 80), (14, 60), (28, 30), (60, 0)),
    "features_used_ratio_28": ((0, 0), (0.25, 40), (0.5, 70), (0.8, 100)),
    "active_users_per_seat_28": ((0, 0), (0.2, 30), (0.5, 65), (0.8, 100)),
    "contact_age_ratio": ((0, 100), (0.5, 100), (1, 60), (2, 0)),
    "nps_weighted": ((0, 0), (6, 30), (7, 55), (8, 70), (9, 90), (10, 100)),
    "active_users_ratio_28": ((0, 0), (0.5, 40), (1, 70)),
    "payment_overdue_days": ((0, 100), (30, 50), (60, 0)),
}
WEIGHTS = (
    ("frequency", 35), ("breadth", 15), ("depth", 15), ("relationship", 10), ("sentiment", 10), ("trend", 5),
    ("journey", 5), ("commercial", 5),
)  # fmt: skip
BANDS = ((70, "green"), (40, "yellow"), (float("-inf"), "red"))


@dataclass(frozen=True)
class Health:
    """One account's health. `contributions`: by dimension with data, and `cap` when one bites."""

    score: float | None
    band: str
    confidence: float
    values: dict[str, float] = field(default_factory=dict)
    contributions: dict[str, float] = field(default_factory=dict)


NOTHING = Health(None, "unknown", 0.0)


def curve(name: str, x: float) -> float:
    """Lines between points, flat beyond the ends."""
    points = CURVES[name]
    if x <= points[0][0]:
        return float(points[0][1])
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return float(points[-1][1])


def health(account: Row, day: Any, tenant: Row) -> Health:
    """The score of one account at T. `account`: its row, with entitled, opened, weighted and weight beside."""
    if account["churned"]:
        return NOTHING
    values = {name: value for name, _ in WEIGHTS if (value := _MEASURES[name](account, day, tenant)) is not None}
    if not values:
        return NOTHING
    total = sum(weight for name, weight in WEIGHTS if name in values)
    parts = {name: weight / total * values[name] for name, weight in WEIGHTS if name in values}
    plain = sum(parts.values())
    score = min([plain, *_caps(account, day, tenant)])
    if score < plain:
        parts["cap"] = score - plain
    return Health(score, band(score), total / 100, values, parts)


def band(score: float | None) -> str:
    """green, yellow or red; unknown without a score."""
    return "unknown" if score is None else next(name for least, name in BANDS if score >= least)


def _caps(account: Row, day: Any, tenant: Row) -> list[float]:
    since = account["last_day"] or (account["start"] if tenant["has_usage"] else None)
    silent = -1 if since is None else (day - since).days
    return [cap for least, cap in ((28, 69.0), (60, 39.0)) if silent >= least]


def _frequency(account: Row, day: Any, tenant: Row) -> float | None:
    days = (("active_days_28", account["days_28"], 0.4), ("active_days_90", account["days_90"], 0.4))
    if account["last_day"] is None:
        old = account["start"] is not None and (day - account["start"]).days >= 28
        return 0.0 if old and tenant["has_usage"] else None
    parts = (*days, ("days_since_usage", (day - account["last_day"]).days, 0.2))
    return sum(share * curve(name, x) for name, x, share in parts)


def _breadth(account: Row, day: Any, tenant: Row) -> float | None:
    if not account["entitled"]:
        return None
    return curve("features_used_ratio_28", account["opened"] / account["entitled"])


def _depth(account: Row, day: Any, tenant: Row) -> float | None:
    return curve("active_users_per_seat_28", account["active_28"] / account["seats"]) if account["seats"] else None


def _relationship(account: Row, day: Any, tenant: Row) -> float | None:
    if account["last_day_touched"] is not None:
        age = (day - account["last_day_touched"]).days
        return curve("contact_age_ratio", age / account["window_days"])
    return 0.0 if account["eligible"] and tenant["has_contacts"] else None


def _sentiment(account: Row, day: Any, tenant: Row) -> float | None:
    return curve("nps_weighted", account["weighted"] / account["weight"]) if account["weight"] else None


def _trend(account: Row, day: Any, tenant: Row) -> float | None:
    if account["active_before"] < 3:
        return None
    return curve("active_users_ratio_28", account["active_28"] / account["active_before"])


def _commercial(account: Row, day: Any, tenant: Row) -> float | None:
    found = []
    if account["renewal"] is not None:
        left = (account["renewal"] - day).days
        found.append(0.0 if left < 0 else 30 + 40 * min(left, 90) / 90)
    if account["overdue_days"] is not None:
        found.append(curve("payment_overdue_days", account["overdue_days"]))
    return min(found) if found else None


_MEASURES = {
    "frequency": _frequency, "breadth": _breadth, "depth": _depth, "relationship": _relationship,
    "sentiment": _sentiment, "trend": _trend, "journey": lambda *_: None, "commercial": _commercial,
}  # fmt: skip
