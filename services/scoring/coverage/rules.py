"""Coverage: who counts, who was talked to in time and until when; rates of groups and what they fall short. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import Final

from msgspec import Struct

from services.scoring.account import AccountAt, Moment, Touch
from services.scoring.lifecycle.rules import Lifecycle
from shared.clock import day_of, start_of_day
from shared.tenant_settings import TIERS, CoveragePolicy, CoverageSettings, exact


class Coverage(Struct, frozen=True):
    """One account at T. `covered` and `due_at` (when it falls or fell out) are None when it is not eligible."""

    eligible: bool
    covered: bool | None
    due_at: datetime | None
    due_day: date | None
    last_contact: Touch | None
    contact_day: date | None


@dataclass(frozen=True, slots=True)
class GroupCoverage:
    """A group: rate and target are fractions, None where nobody is eligible (an empty tier shows its own target)."""

    eligible: int
    covered: int
    rate: float | None
    target: float | None
    window: str | None
    shortfall: int


def last_counting(touches: Collection[Touch], policy: CoveragePolicy) -> Touch | None:
    """The latest contact that counts for the tier, by time, then id."""
    if not touches:
        return None
    counting = [touch for touch in touches if touch.channel in policy.channels and touch.outcome in policy.outcomes]
    return max(counting, key=lambda touch: (touch.at, touch.id), default=None)


def eligible(life: Lifecycle, day: date) -> bool:
    """A customer that has started and not churned."""
    return not life.churned and life.start is not None and life.start <= day


def coverage(account: AccountAt, life: Lifecycle, policy: CoveragePolicy, moment: Moment) -> Coverage:
    """Coverage at T under the policy of the account's tier at T (a churned one's: of the tier its money would give)."""
    told = reached(account, life, policy, moment)
    if life.start is None or not told.eligible:
        return told
    due_day = policy.window.first_out(told.contact_day) if told.contact_day else life.start
    covered = told.contact_day is not None and told.contact_day > policy.window.start_day(moment.day)
    return Coverage(True, covered, start_of_day(due_day, moment.tz), due_day, told.last_contact, told.contact_day)


def reached(account: AccountAt, life: Lifecycle, policy: CoveragePolicy, moment: Moment) -> Coverage:
    """What a score reads of the coverage at T: whether it is eligible and the last contact; no `covered` and no due."""
    last = last_counting(account.touches, policy)
    contact_day = day_of(last.at, moment.tz) if last else None
    return Coverage(eligible(life, moment.day), None, None, None, last, contact_day)


def contacted(start: date | None, contact_day: date | None) -> bool:
    """For the contact rate: talked to at all since the start (ever, if there is no start)."""
    return contact_day is not None and (start is None or contact_day >= start)


def group_coverage(
    tiers: Mapping[str, tuple[int, int]], settings: CoverageSettings, own: str | None = None
) -> GroupCoverage:
    """The coverage of a group from (eligible, covered) by tier; `own` is the tier when the group is one.

    Target = mean of the tiers' targets weighted by eligible accounts, exact until the last step; the window only where
    all eligible accounts are of one tier.
    """
    counts = {tier: tiers[tier] for tier in TIERS if tier in tiers and tiers[tier][0]}
    total, covered = sum(count for count, _ in counts.values()), sum(count for _, count in counts.values())
    if not total:
        policy = settings.of(own) if own else None
        return GroupCoverage(0, 0, None, policy.target if policy else None, str(policy.window) if policy else None, 0)
    wanted = sum((exact(settings.of(tier).target) * count for tier, (count, _) in counts.items()), Fraction(0))
    window = str(settings.of(next(iter(counts))).window) if len(counts) == 1 else None
    shortfall = max(0, ceil(wanted) - covered)
    return GroupCoverage(total, covered, covered / total, float(wanted / total), window, shortfall)


Key = str | None  # of a group; None = nobody
ByTier = Mapping[str, tuple[int, int]]  # tier → (eligible, covered)
WHOLE: Final = "tenant"  # the key of the one group that is everybody
SOON_DAYS: Final = 14


def tally(accounts: Iterable[tuple[Key, str, bool | None]]) -> dict[Key, dict[str, tuple[int, int]]]:
    """(eligible, covered) by group and tier of accounts that are not churned, given as (group, tier, covered).

    A group stands here with its first account, eligible or not."""
    found: dict[Key, dict[str, tuple[int, int]]] = {}
    for key, tier, is_covered in accounts:
        tiers = found.setdefault(key, {})
        counted, covered = tiers.get(tier, (0, 0))
        tiers[tier] = (counted + (is_covered is not None), covered + (is_covered is True))
    return found


def due_soon(day: date, due_day: date, within: int = SOON_DAYS) -> bool:
    """Whether a covered account falls out within so many calendar days of T's day."""
    return due_day <= day + timedelta(days=within)


def together(groups: Iterable[ByTier]) -> dict[str, tuple[int, int]]:
    """All groups as one."""
    total: dict[str, tuple[int, int]] = {}
    for tiers in groups:
        for tier, (eligible, covered) in tiers.items():
            before = total.get(tier, (0, 0))
            total[tier] = (before[0] + eligible, before[1] + covered)
    return total


def listed_keys(by: str, keys: Iterable[Key]) -> list[Key]:
    """The groups in their order: everybody as one, the three tiers even when empty, the others by key, nobody last."""
    if by == "tenant":
        return [WHOLE]
    if by == "tier":
        return list(TIERS)
    return sorted(set(keys), key=lambda key: (key is None, key or ""))
