"""Rank × tenure: whom to look after first, and in which order the day's list stands. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from services.scoring.account import AccountAt
from services.scoring.health.readings import trait
from shared.clock import months_back
from shared.money import minor_digits
from shared.tenant_settings import RANKS, TENURES, RankSettings, TenantSettings, TenureSettings, exact

PRIORITIES: Final = ("High", "Middle", "Low", None)
BANDS: Final = ("red", "yellow", "unknown", "green")
_SOON_DAYS: Final = 7


class Place(Struct, frozen=True):
    """Where an account stands in the matrix; None = unranked, not started, or in no cell."""

    rank: str | None
    tenure: str | None
    priority: str | None


def rank_value(account: AccountAt, acv: int | None, settings: TenantSettings) -> float | None:
    """What the rank axis measures of the account: IDs, seats, ACV (minor units) or a numeric trait."""
    by, told = settings.rank.by, account.attributes
    if by == "ids":
        return account.usage.ids
    if by == "seats":
        return told.get("seats")
    if by == "acv":
        return acv
    return trait(account, by.removeprefix("trait:"))


def rank(value: float | None, settings: RankSettings, scale: int = 1) -> str | None:
    """The highest rank whose cut (times `scale`) the value reaches; None below all of them or without a value."""
    if value is None:
        return None
    cuts = settings.cuts
    for name, cut in zip(RANKS, (cuts.A, cuts.B, cuts.C, cuts.D), strict=True):
        if value >= (cut if scale == 1 else exact(cut) * scale):
            return name
    return None


@lru_cache(maxsize=16_384)
def months_since(start: date | None, day: date) -> int | None:
    """The greatest m with start + m months (clamped to the month's end) ≤ day; None before the start."""
    if start is None or start > day:
        return None
    months = (day.year - start.year) * 12 + day.month - start.month
    return months if months_back(start, -months) <= day else months - 1


def tenure(months: int | None, settings: TenureSettings) -> str | None:
    """The class `a`…`d` of whole months since the start."""
    if months is None:
        return None
    cuts = dict(zip(TENURES, (settings.a, settings.b, settings.c, settings.d), strict=True))
    return max(name for name, least in cuts.items() if months >= least)


def place(account: AccountAt, acv: int | None, start: date | None, settings: TenantSettings, day: date) -> Place:
    """Rank, tenure and priority of an account that is not churned. Cuts on ACV are in units of the currency."""
    scale = 10 ** minor_digits(settings.currency) if settings.rank.by == "acv" else 1
    row = rank(rank_value(account, acv, settings), settings.rank, scale)
    column = tenure(months_since(start, day), settings.tenure)
    return Place(row, column, settings.priorities[row + column] if row and column else None)


def _first_high(amount: int | None) -> tuple[bool, int]:
    return amount is None, -(amount or 0)


def default_list_key(priority: str | None, band: str, acv: int | None, account_id: str) -> tuple[Any, ...]:
    """Sort key of the account list: priority (none last), effective band (red, yellow, unknown, green), ACV high first
    (null last), id."""
    return PRIORITIES.index(priority), BANDS.index(band), *_first_high(acv), account_id


def call_first_key(
    priority: str | None, band: str, fired: int, acv: int | None, planned_in_days: int | None, account_id: str
) -> tuple[Any, ...]:
    """Sort key of "call first": no contact planned within 7 days, priority, red (effective band) before the rest, more
    rules fired, ACV high first (null last), id. `planned_in_days` None = nothing planned."""
    soon = planned_in_days is not None and planned_in_days <= _SOON_DAYS
    return soon, PRIORITIES.index(priority), band != "red", -fired, *_first_high(acv), account_id


def cells(settings: TenantSettings) -> list[tuple[str, str, str]]:
    """All sixteen (rank, tenure, priority), ranks outer."""
    priorities: Mapping[str, str] = settings.priorities
    return [(row, column, priorities[row + column]) for row in RANKS for column in TENURES]


CellKey = tuple[str | None, str | None]  # (rank, tenure)
NANO: Final = 10**9


@dataclass(slots=True)
class CellTotal:
    """What the accounts of one cell add up to: ACV in minor units, scores in 10⁻⁹ points."""

    accounts: int = 0
    acv: int = 0
    eligible: int = 0
    covered: int = 0
    scored: int = 0
    score: int = 0

    def add(self, acv: int | None, covered: bool | None, score: int | None) -> None:
        """One more account; `covered` None = not eligible, `score` None = none."""
        self.accounts += 1
        self.acv += acv or 0
        self.eligible += covered is not None
        self.covered += covered is True
        self.scored += score is not None
        self.score += score or 0

    @property
    def mean_health(self) -> float | None:
        """The plain mean of the scores, from their whole sum: the same whatever the order of addition."""
        return self.score / (self.scored * NANO) if self.scored else None

    @property
    def coverage(self) -> float | None:
        """Covered ÷ eligible; None where nobody is eligible."""
        return self.covered / self.eligible if self.eligible else None
