"""Tiers as the API shows them. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from services.scoring.account import Amounts
from services.scoring.accounts.answers import money, utc
from shared.tenant_settings import TenantSettings


def in_force(found: Amounts, effective_from: date | None, settings: TenantSettings, day: date) -> dict[str, Any]:
    """The amounts at T; `overdue` from the day on which the period has passed."""
    due = None if effective_from is None else settings.tiers.period.first_out(effective_from)
    return {
        **amounts(found.high, found.low, settings.currency),
        "currency": settings.currency,
        "effective_from": effective_from,
        "review_due": due,
        "overdue": due is not None and day >= due,
        "provisional": found.provisional,
    }


def amounts(high: int | None, low: int | None, currency: str) -> dict[str, str | None]:
    """Both amounts as decimal text."""
    return {"high_amount": money(high, currency), "low_amount": money(low, currency)}


def review_short(row: Mapping[str, Any], settings: TenantSettings) -> dict[str, Any]:
    """One review in the list."""
    return {
        "id": row["review_id"],
        "as_of": utc(row["as_of"]),
        "n": row["n"],
        "currency": settings.currency,
        "computed": amounts(row["computed_high"], row["computed_low"], settings.currency),
        "author": row["author"],
        "created_at": utc(row["created_at"]),
        "published": None if row["policy_id"] is None else published(row, settings),
    }


def published(row: Mapping[str, Any], settings: TenantSettings) -> dict[str, Any]:
    """What was published of a review."""
    return {
        "effective_from": row["effective_from"],
        "review_due": settings.tiers.period.first_out(row["effective_from"]),
        **amounts(row["high"], row["low"], settings.currency),
        "note": row["note"],
        "author": row["published_by"],
        "published_at": utc(row["published_at"]),
    }


def review(row: Mapping[str, Any], settings: TenantSettings) -> dict[str, Any]:
    """One review with its moves and load."""
    told = {name: msgspec.Raw(row[name].encode()) for name in ("moves", "load")}
    return {**review_short(row, settings), **told}
