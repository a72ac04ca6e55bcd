"""The home screen as the API shows it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from services.scoring.accounts.answers import contact, money, planned
from services.scoring.coverage import answers as coverage
from services.scoring.coverage.rules import Key
from services.scoring.matrix.actions import Fired, main_rule, reason
from services.scoring.summary.rules import SHOWN_BANDS, Talk, Totals, talking_point
from shared.tenant_settings import CoverageSettings


def headline(found: Totals, currency: str, age: float | None, unassigned: int) -> dict[str, Any]:
    """How many, how much, and how fresh. The gateway adds `rejected_24h`."""
    return {
        "accounts": {status: found.statuses.get(status, 0) for status in ("onboarding", "active", "churned")},
        "acv": money(found.acv, currency),
        "currency": currency,
        "newest_fact_age_s": age,
        "unassigned": unassigned,
    }


def age_s(newest: datetime | None, at: datetime) -> float | None:
    """Seconds between the newest fact and T, never negative; null without any fact."""
    return None if newest is None else max(0.0, (at - newest).total_seconds())


def bands(found: Totals, currency: str) -> list[dict[str, Any]]:
    """All four bands, from good to unknown; `share` null without accounts."""
    total = sum(count for count, _ in found.bands.values())
    return [_band(found, band, total, currency) for band in SHOWN_BANDS]


def _band(found: Totals, band: str, total: int, currency: str) -> dict[str, Any]:
    accounts, acv = found.bands.get(band, (0, 0))
    return {
        "band": band,
        "accounts": accounts,
        "share": accounts / total if total else None,
        "acv": money(acv, currency),
        "moved_in_7d": found.moved_in(band),
        "moved_out_7d": found.moved_out(band),
    }


def cover(found: Totals, names: Mapping[str, str | None], settings: CoverageSettings) -> dict[str, Any]:
    """Coverage by tier and by CSM, the largest shortfall first, each group with those that fall out in 14 days."""
    tiers = coverage.by_shortfall(coverage.groups("tier", found.tiers, names, settings))
    csms = coverage.by_shortfall(coverage.groups("csm", found.csms, names, settings))
    return {"by_tier": _with_due(tiers, found.due_tiers), "by_csm": _with_due(csms, found.due_csms)}


def _with_due(groups: list[dict[str, Any]], due: Mapping[Key, int]) -> list[dict[str, Any]]:
    return [{**group, "due_14d": due.get(group["key"], 0)} for group in groups]


def contact_rate(found: Totals) -> dict[str, Any]:
    """`{accounts_in_use, contacted, rate}`."""
    rate = found.contacted / found.in_use if found.in_use else None
    return {"accounts_in_use": found.in_use, "contacted": found.contacted, "rate": rate}


def call(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """One account to call first, of a row of account_state; `band` is the effective one."""
    fired = main_rule(_fired(row["needs_action"]))
    return {
        "account_id": row["account_id"],
        "name": row["name"],
        "csm_id": row["csm_id"],
        "csm_name": row["csm_name"],
        "acv": money(row["acv"], currency),
        "rank": row["rank"],
        "tenure": row["tenure"],
        "priority": row["priority"],
        "band": row["effective_band"],
        "score": row["score"],
        "change_28d": row["change_28d"],
        "last_contact": contact(row["last_contact_at"], row["last_contact_channel"], row["last_contact_csm"]),
        "next_planned": planned(row["planned_at"], row["planned_channel"]),
        "rule": fired.rule if fired else None,
        "reason": reason(fired) if fired else None,
        "talking_point": talking_point(talk_of(row, fired)),
    }


def _fired(document: str) -> Sequence[Fired]:
    return [Fired(one["rule"], one["value"], one["threshold"]) for one in msgspec.json.decode(document)]


def talk_of(row: Mapping[str, Any], fired: Fired | None) -> Talk:
    """What a row of account_state gives to talk about."""
    metrics: dict[str, float | None] = {}
    for dimension in msgspec.json.decode(row["health"])["dimensions"]:
        metrics |= dimension.get("inputs", {})
    said = fired.rule if fired else None
    if said == "uncovered" and fired and fired.value is None:
        said = "never_contacted"
    return Talk(
        day=row["day"],
        renewal_on=row["renewal_on"],
        active_users_28=row["active_users_28d"],
        metrics=metrics,
        contacted_ever=row["last_contact_at"] is not None,
        said=said,
    )
