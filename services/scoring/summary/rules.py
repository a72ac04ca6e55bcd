"""The home screen's totals from single accounts, and one sentence to begin a call with. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from services.scoring.coverage.rules import Key, due_soon, tally
from services.scoring.talking import words
from shared.clock import day_of

SHOWN_BANDS: Final = ("green", "yellow", "red", "unknown")
CALLS: Final = 10
_RENEWAL_DAYS: Final = 90
_QUIET_DAYS: Final = 7
_DOWN, _UP, _FEW_SEATS, _FEW_FEATURES = 0.8, 1.2, 0.5, 0.5
Group = TypeVar("Group")


@dataclass(frozen=True, slots=True)
class Seen:
    """One account as the totals need it. `band_7d`: its effective band at the end of the day 7 days before, None when
    it did not exist or had churned then."""

    status: str
    churned: bool
    acv: int | None
    effective_band: str
    band_7d: str | None
    tier: str | None
    csm_id: str | None
    covered: bool | None
    due_at: datetime | None
    in_use: bool
    contacted: bool


@dataclass(slots=True)
class Totals:
    """What the home screen counts; money in minor units. Coverage: group → tier → (eligible, covered)."""

    statuses: dict[str, int] = field(default_factory=dict[str, int])
    acv: int = 0
    bands: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])  # → (accounts, acv)
    moves: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])  # (was, is) → accounts
    tiers: dict[Key, dict[str, tuple[int, int]]] = field(default_factory=dict[Key, dict[str, tuple[int, int]]])
    csms: dict[Key, dict[str, tuple[int, int]]] = field(default_factory=dict[Key, dict[str, tuple[int, int]]])
    due_tiers: dict[Key, int] = field(default_factory=dict[Key, int])
    due_csms: dict[Key, int] = field(default_factory=dict[Key, int])
    in_use: int = 0
    contacted: int = 0

    def moved_in(self, band: str) -> int:
        """Accounts of this band that stood in another one 7 days ago."""
        return sum(count for (_, now), count in self.moves.items() if now == band)

    def moved_out(self, band: str) -> int:
        """Accounts of another band that stood in this one 7 days ago."""
        return sum(count for (was, _), count in self.moves.items() if was == band)


def totals(accounts: Iterable[Seen], day: date, tz: ZoneInfo) -> Totals:
    """The totals of some accounts at the end of T."""
    known = list(accounts)
    kept = [one for one in known if not one.churned]
    due = [one for one in kept if one.covered and one.due_at is not None and due_soon(day, day_of(one.due_at, tz))]
    moved = [one for one in kept if one.band_7d is not None and one.band_7d != one.effective_band]
    bands = {band: [one for one in kept if one.effective_band == band] for band in SHOWN_BANDS}
    return Totals(
        statuses=_count(known, lambda one: one.status),
        acv=sum(one.acv or 0 for one in kept),
        bands={band: (len(some), sum(one.acv or 0 for one in some)) for band, some in bands.items()},
        moves=_count(moved, lambda one: (one.band_7d or "", one.effective_band)),
        tiers=tally((one.tier, one.tier or "", one.covered) for one in kept),
        csms=tally((one.csm_id, one.tier or "", one.covered) for one in kept),
        due_tiers=_count(due, lambda one: one.tier),
        due_csms=_count(due, lambda one: one.csm_id),
        in_use=sum(one.in_use for one in kept),
        contacted=sum(one.in_use and one.contacted for one in kept),
    )


def _count(accounts: Iterable[Seen], key: Callable[[Seen], Group]) -> dict[Group, int]:
    counted: dict[Group, int] = {}
    for one in accounts:
        counted[key(one)] = counted.get(key(one), 0) + 1
    return counted


@dataclass(frozen=True, slots=True)
class Talk:
    """What there is to talk about. `metrics`: the inputs of the health score by name, null where there is no data;
    `said`: the rule that the reason to call names already."""

    day: date
    renewal_on: date | None
    active_users_28: int
    metrics: Mapping[str, float | None]
    contacted_ever: bool
    said: str | None = None


def talking_point(talk: Talk) -> str | None:
    """One sentence with its figure, in English: the first that holds and is not the reason to call, or None."""
    for rule, point in _POINTS:
        if talk.said != rule and (said := point(talk)) is not None:
            return said
    return None


def _payment(talk: Talk) -> str | None:
    days = talk.metrics.get("payment_overdue_days")
    return words.payment(days).en if days is not None and days > 0 else None


def _renewal(talk: Talk) -> str | None:
    if talk.renewal_on is None or (talk.renewal_on - talk.day).days > _RENEWAL_DAYS:
        return None
    return words.renewal(talk.renewal_on, talk.day).en


def _usage_down(talk: Talk) -> str | None:
    ratio = talk.metrics.get("active_users_ratio_28")
    return None if ratio is None or ratio > _DOWN else words.users_against(talk.active_users_28, ratio).en


def _quiet(talk: Talk) -> str | None:
    days = talk.metrics.get("days_since_usage")
    return words.quiet(int(days)).en if days is not None and days >= _QUIET_DAYS else None


def _seats(talk: Talk) -> str | None:
    ratio = talk.metrics.get("active_users_per_seat_28")
    if ratio is None or ratio > _FEW_SEATS:
        return None
    return words.seats(talk.active_users_28, round(talk.active_users_28 / ratio) if ratio else 0).en


def _features(talk: Talk) -> str | None:
    ratio = talk.metrics.get("features_used_ratio_28")
    return None if ratio is None or ratio > _FEW_FEATURES else words.features_share(ratio).en


def _score(talk: Talk) -> str | None:
    score = talk.metrics.get("nps_weighted")
    return None if score is None else words.scores_mean(score).en


def _silence(talk: Talk) -> str | None:
    return None if talk.contacted_ever else words.no_contact().en


def _usage_up(talk: Talk) -> str | None:
    ratio = talk.metrics.get("active_users_ratio_28")
    return None if ratio is None or ratio < _UP else words.users_against(talk.active_users_28, ratio).en


def _rhythm(talk: Talk) -> str | None:
    days = talk.metrics.get("active_days_28")
    return words.rhythm(days).en if days else None


# (the rule whose reason says the same, the words), what weighs most first.
_POINTS: Final[Sequence[tuple[str | None, Callable[[Talk], str | None]]]] = (
    ("", _payment),
    ("", _renewal),
    ("usage_drop", _usage_down),
    ("silent", _quiet),
    ("", _seats),
    ("", _features),
    ("", _score),
    ("never_contacted", _silence),
    ("", _usage_up),
    ("", _rhythm),
)
