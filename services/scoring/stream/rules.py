"""Which changes of an account's state are worth telling, and in what words. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

MOVED: Final = 1.0  # points of health since it was last told
HEALTH: Final = "health"
COVERAGE: Final = "coverage"
_TOLD: Final = ("score", "band", "effective_band")
Row = Mapping[str, Any]  # of account_state: score, band, effective_band, covered; of the new one account_id and csm_id


class Health(NamedTuple):
    """An account's health as it is told; `score` None without one."""

    score: float | None
    band: str
    effective_band: str


class Event(NamedTuple):
    """One thing to tell: `csm_id` owns the account, `body` is what listeners read."""

    kind: str
    csm_id: str | None
    body: dict[str, Any]


def health_of(row: Row) -> Health:
    """What a row says of health."""
    return Health(row["score"], row["band"], row["effective_band"])


def may_tell(before: Row | None, after: Row) -> bool:
    """Whether there can be an event at all: most assessments move nothing that is told."""
    return before is None or before["covered"] != after["covered"] or health_of(before) != health_of(after)


def health_moved(told: Health | None, now: Health) -> bool:
    """Whether the health has changed since it was last told (None: never): another band, computed or shown, a score
    that came or went, or one at least 1 point away."""
    if told is None or (told.band, told.effective_band) != (now.band, now.effective_band):
        return True
    if told.score is None or now.score is None:
        return told.score is not now.score
    return abs(now.score - told.score) >= MOVED


def health_event(told: Health | None, after: Row, at: datetime) -> Event:
    """`was_…` is what was told last, so that events of one account join without a gap; null when nothing was."""
    now = health_of(after)
    was = {f"was_{name}": getattr(told, name) if told else None for name in _TOLD}
    return _event(HEALTH, after, {**now._asdict(), **was}, at)


def coverage_moved(before: Row | None, after: Row) -> bool:
    """Whether the account was covered, uncovered or not eligible, and is now another of them. A new one that is not
    eligible has nothing to tell."""
    return (None if before is None else before["covered"]) is not after["covered"]


def coverage_event(after: Row, at: datetime) -> Event:
    """`covered` null: no longer eligible."""
    return _event(COVERAGE, after, {"covered": after["covered"]}, at)


def _event(kind: str, after: Row, said: dict[str, Any], at: datetime) -> Event:
    told_at = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return Event(kind, after["csm_id"], {"account_id": after["account_id"], **said, "at": told_at})
