"""Tiers by money: the amounts, who stands where, who would move, and the load that results. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from services.scoring.account import Amounts
from shared.tenant_settings import LoadSettings, TierSettings, exact


@dataclass(frozen=True, slots=True)
class Move:
    """An account that would change its tier; None = it has none (it is new)."""

    account_id: str
    was: str | None
    now: str

    def as_json(self) -> dict[str, str | None]:
        """As the API shows it."""
        return {"account_id": self.account_id, "from": self.was, "to": self.now}


@dataclass(frozen=True, slots=True)
class Load:
    """What one CSM looks after (None = nobody's accounts): accounts by tier and the utilisation, a fraction of full."""

    csm_id: str | None
    high: int
    low: int
    tech: int
    utilisation: float
    over: bool
    under: bool


def position(n: int, percent: Fraction) -> int:
    """ceil(n · percent / 100), exact; 1 is the first."""
    return ceil(n * percent / 100)


def positions(n: int, settings: TierSettings) -> tuple[int, int]:
    """The places, from 1, of the high and the low amount among n values sorted high first."""
    high = exact(settings.high_percent)
    return position(n, high), position(n, high + exact(settings.low_percent))


def amounts(values: Iterable[int], settings: TierSettings, *, provisional: bool = True) -> Amounts:
    """The two amounts that these values (minor units, accounts not churned) lead to; values of 0 stand outside."""
    ranked = sorted((value for value in values if value > 0), reverse=True)
    if not ranked:
        return Amounts(None, None, provisional)
    high, low = positions(len(ranked), settings)
    return Amounts(ranked[high - 1], ranked[low - 1], provisional)


def tier_of(value: int, in_force: Amounts) -> str:
    """`high`, `low` or `tech`; ties fall upward, a value of 0 is `tech`."""
    if value <= 0:
        return "tech"
    if in_force.high is not None and value >= in_force.high:
        return "high"
    return "low" if in_force.low is not None and value >= in_force.low else "tech"


def moves(was: Mapping[str, str], now: Mapping[str, str]) -> list[Move]:
    """Who changes tier, by account id; an account that left is no move."""
    return [Move(account, was.get(account), tier) for account, tier in sorted(now.items()) if was.get(account) != tier]


def load(csm_id: str | None, counts: Mapping[str, int], settings: LoadSettings) -> Load:
    """The load of one CSM from accounts by tier: over the upper ends, under the lower ones; tech carries none."""
    high, low, tech = counts.get("high", 0), counts.get("low", 0), counts.get("tech", 0)
    used = Fraction(high, settings.high[1]) + Fraction(low, settings.low[1])
    least = Fraction(high, settings.high[0]) + Fraction(low, settings.low[0])
    return Load(csm_id, high, low, tech, float(used), over=used > 1, under=least < 1)


def loads(accounts: Iterable[tuple[str | None, str]], settings: LoadSettings) -> list[Load]:
    """The loads of (csm_id, tier) pairs, by csm_id, nobody last. A CSM without any account is not among them."""
    counts: dict[str | None, dict[str, int]] = {}
    for csm_id, tier in accounts:
        of_csm = counts.setdefault(csm_id, {})
        of_csm[tier] = of_csm.get(tier, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (item[0] is None, item[0] or ""))
    return [load(csm_id, of_csm, settings) for csm_id, of_csm in ordered]
