"""Coverage as the API shows it. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from services.scoring.accounts.answers import contact, money
from services.scoring.coverage.rules import ByTier, GroupCoverage, Key, group_coverage, listed_keys, together
from services.scoring.coverage.worklist import Item
from shared.tenant_settings import CoverageSettings


def overall(counts: Mapping[Key, ByTier], settings: CoverageSettings) -> dict[str, Any]:
    """`{eligible, covered, rate, target}` of all groups together."""
    found = group_coverage(together(counts.values()), settings)
    return {"eligible": found.eligible, "covered": found.covered, "rate": found.rate, "target": found.target}


def groups(
    by: str, counts: Mapping[Key, ByTier], names: Mapping[str, str | None], settings: CoverageSettings
) -> list[dict[str, Any]]:
    """Every group in its order; `names` are the CSMs'."""
    return [
        group(
            key, name_of(by, key, names), group_coverage(counts.get(key, {}), settings, key if by == "tier" else None)
        )
        for key in listed_keys(by, counts)
    ]


def name_of(by: str, key: Key, names: Mapping[str, str | None]) -> str | None:
    """A CSM's own name, null when it is not told; every other group is called by its key."""
    return names.get(key or "") if by == "csm" else key


def group(key: Key, name: str | None, found: GroupCoverage) -> dict[str, Any]:
    """One group."""
    return {
        "key": key,
        "name": name,
        "eligible": found.eligible,
        "covered": found.covered,
        "rate": found.rate,
        "target": found.target,
        "window": found.window,
        "shortfall": found.shortfall,
    }


def contact_rate(in_use: int, contacted: int) -> dict[str, Any]:
    """`{accounts_in_use, contacted, rate}`; rate null when none is in use."""
    return {"accounts_in_use": in_use, "contacted": contacted, "rate": contacted / in_use if in_use else None}


def series_day(day: date, by: str, counts: Mapping[Key, ByTier], settings: CoverageSettings) -> dict[str, Any]:
    """One day of a series: its groups in their order."""
    named = ("key", "eligible", "covered", "rate")
    return {"day": day, "groups": [{name: one[name] for name in named} for one in groups(by, counts, {}, settings)]}


def work(item: Item, attempts: int, currency: str) -> dict[str, Any]:
    """One item of the worklist."""
    last = item.last
    return {
        "account_id": item.account_id,
        "name": item.name,
        "tier": item.tier,
        "csm_id": item.csm_id,
        "acv": money(item.acv, currency),
        "last_contact": contact(last.at, last.channel, last.csm_id) if last else None,
        "due_at": item.due_at,
        "state": "due" if item.covered else "uncovered",
        "planned_at": item.planned.at if item.planned else None,
        "attempts": attempts,
    }


def by_shortfall(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest shortfall first, else as listed; nobody's accounts last all the same."""
    return sorted(listed, key=lambda one: (one["key"] is None, -one["shortfall"]))
