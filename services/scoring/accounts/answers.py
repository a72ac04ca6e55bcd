"""Rows and assessments as the account list and the account answer show them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from services.scoring.assessment import Assessment
from shared.money import minor_digits, to_decimal_text


def listed(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """One item of the list, of a row of account_state."""
    return {
        "account_id": row["account_id"],
        "name": row["name"],
        "status": row["status"],
        "tier": row["tier"],
        "rank": row["rank"],
        "tenure": row["tenure"],
        "acv": money(row["acv"], currency),
        "currency": currency,
        "health": row["score"],
        "band": row["band"],
        "effective_band": row["effective_band"],
        "change_1d": row["change_1d"],
        "change_7d": row["change_7d"],
        "change_28d": row["change_28d"],
        "active_users_28d": row["active_users_28d"],
        "last_contact_at": utc(row["last_contact_at"]),
        "covered": row["covered"],
        "priority": row["priority"],
        "csm_id": row["csm_id"],
        "csm_name": row["csm_name"],
        "team": row["team"],
        "renewal_on": row["renewal_on"],
        "needs_action": msgspec.Raw(row["needs_action"].encode()),
    }


class Listed(msgspec.Struct):
    """The same as `listed`, quicker to make and to write; its members stand as answers show them."""

    account_id: str
    name: str | None
    status: str
    tier: str | None
    rank: str | None
    tenure: str | None
    acv: str | None
    currency: str
    health: float | None
    band: str
    effective_band: str
    change_1d: float | None
    change_7d: float | None
    change_28d: float | None
    active_users_28d: int
    last_contact_at: datetime | None
    covered: bool | None
    priority: str | None
    csm_id: str | None
    csm_name: str | None
    team: str | None
    renewal_on: date | None
    needs_action: msgspec.Raw


def listed_rows(rows: Iterable[Mapping[str, Any]], currency: str) -> list[Listed]:
    """Items of the list, of rows of account_state whose columns stand in the order of LIST_COLUMNS."""
    found: list[Listed] = []
    for row in rows:
        told: list[Any] = list(row.values())
        shown: Any = (*told[:6], money(told[6], currency), currency, *told[7:21], msgspec.Raw(told[21].encode()))
        found.append(Listed(*shown))
    return found


def listed_past(one: Assessment, currency: str) -> dict[str, Any]:
    """One item of the list, of an account as it stood at T."""
    return {
        "account_id": one.account_id,
        "name": one.name,
        "status": one.status,
        "tier": one.tier,
        "rank": one.rank,
        "tenure": one.tenure,
        "acv": money(one.acv, currency),
        "currency": currency,
        "health": one.score,
        "band": one.band,
        "effective_band": one.effective_band,
        "change_1d": one.change_1d,
        "change_7d": one.change_7d,
        "change_28d": one.change_28d,
        "active_users_28d": one.active_users_28,
        "last_contact_at": one.last_contact.at if one.last_contact else None,
        "covered": one.covered,
        "priority": one.priority,
        "csm_id": one.csm_id,
        "csm_name": one.csm_name,
        "team": one.team,
        "renewal_on": one.renewal_on,
        "needs_action": [fired.as_json() for fired in one.needs_action],
    }


def detail(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """One account now: its list item and what the 360 view adds."""
    return {
        **listed(row, currency),
        "start": row["start"],
        "start_source": row["start_source"],
        "value": money(row["value"], currency),
        "confidence": row["confidence"],
        "ids": row["ids"],
        "first_usage_day": row["first_usage_day"],
        "last_usage_day": row["last_usage_day"],
        "due_at": utc(row["due_at"]),
        "last_contact": contact(row["last_contact_at"], row["last_contact_channel"], row["last_contact_csm"]),
        "next_planned": planned(row["planned_at"], row["planned_channel"]),
    }


def detail_past(one: Assessment, currency: str) -> dict[str, Any]:
    """One account as it stood at T."""
    last, ahead = one.last_contact, one.planned
    return {
        **listed_past(one, currency),
        "start": one.start,
        "start_source": one.start_source,
        "value": money(one.value, currency),
        "confidence": one.confidence,
        "ids": one.ids,
        "first_usage_day": one.first_usage_day,
        "last_usage_day": one.last_usage_day,
        "due_at": one.due_at,
        "last_contact": contact(last.at, last.channel, last.csm_id) if last else None,
        "next_planned": planned(ahead.at, ahead.channel) if ahead else None,
    }


def money(minor: int | None, currency: str) -> str | None:
    """A decimal string of minor units; null stays null."""
    if minor is None:
        return None
    return str(minor) if minor_digits(currency) == 0 else to_decimal_text(minor, currency)


def contact(at: datetime | None, channel: str | None, csm_id: str | None) -> dict[str, Any] | None:
    """The last counting contact."""
    return None if at is None else {"at": utc(at), "channel": channel, "csm_id": csm_id}


def planned(at: datetime | None, channel: str | None) -> dict[str, Any] | None:
    """The next planned contact."""
    return None if at is None else {"at": utc(at), "channel": channel}


def utc(at: datetime | None) -> datetime | None:
    """The instant in UTC."""
    return None if at is None else at.astimezone(UTC)
