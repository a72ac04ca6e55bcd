"""Tiers by money: the amounts, who stands where, who would move, and the load that results. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil

from services.scoring.account import Amounts
from shared.money import MoneyError, to_minor
from shared.refusals import Fault, Invalid
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

    def as_json(self) -> dict[str, str | int | float | None]:
        """As the API shows it."""
        return asdict(self)


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
    return loads_of(((csm_id, tier, 1) for csm_id, tier in accounts), settings)


def loads_of(counted: Iterable[tuple[str | None, str, int]], settings: LoadSettings) -> list[Load]:
    """The same from (csm_id, tier, accounts)."""
    counts: dict[str | None, dict[str, int]] = {}
    for csm_id, tier, number in counted:
        of_csm = counts.setdefault(csm_id, {})
        of_csm[tier] = of_csm.get(tier, 0) + number
    ordered = sorted(counts.items(), key=lambda item: (item[0] is None, item[0] or ""))
    return [load(csm_id, of_csm, settings) for csm_id, of_csm in ordered]


@dataclass(frozen=True, slots=True)
class Valued:
    """An account that is not churned: its value (minor units), its tier at T and its owner."""

    account_id: str
    value: int
    tier: str
    csm_id: str | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a review finds: `n` accounts with a value, the amounts they lead to, who would move, and the load then."""

    n: int
    computed: Amounts
    moves: list[Move]
    loads: list[Load]


def propose(accounts: Iterable[Valued], settings: TierSettings) -> Proposal:
    """The review of the accounts that are not churned."""
    known = list(accounts)
    found = amounts((one.value for one in known), settings, provisional=False)
    then = {one.account_id: tier_of(one.value, found) for one in known}
    return Proposal(
        n=sum(one.value > 0 for one in known),
        computed=found,
        moves=moves({one.account_id: one.tier for one in known}, then),
        loads=loads(((one.csm_id, then[one.account_id]) for one in known), settings.load),
    )


def chosen(
    computed: tuple[int | None, int | None], wished: tuple[str | None, str | None], currency: str
) -> tuple[int, int]:
    """(high, low) in minor units to be published: as wished, else as computed. Raises Invalid with a pointer each."""
    faults: list[Fault] = []
    found: list[int] = []
    for name, own, text in zip(("high_amount", "low_amount"), computed, wished, strict=True):
        try:
            minor = own if text is None else to_minor(text, currency)
        except MoneyError as error:
            faults.append(Fault(f"/{name}", error.code, str(error)))
            continue
        if minor is None:
            faults.append(Fault(f"/{name}", "no_computed_amount", "No account had a value: an amount must be given."))
        elif minor < 0:
            faults.append(Fault(f"/{name}", "negative", "An amount is not negative."))
        else:
            found.append(minor)
    if not faults and found[1] > found[0]:
        faults.append(Fault("/low_amount", "low_above_high", "low_amount is at most high_amount."))
    if faults:
        raise Invalid(errors=faults)
    return found[0], found[1]
