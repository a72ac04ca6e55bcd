"""Activity as the API shows it. Pure."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.scoring.accounts.answers import utc
from services.scoring.activity.rules import (
    Group,
    Groups,
    Inbound,
    Tally,
    answer_due,
    answering,
    iso_week,
    ordered,
    overdue,
)

Names = Mapping[str, str | None]


def week(monday: date, groups: Groups, names: Names | None, now: datetime, tz: ZoneInfo) -> dict[str, Any]:
    """One ISO week with every group that did something or was written to."""
    return {"week": iso_week(monday), "monday": monday, "groups": listed(groups, names, now, tz)}


def listed(groups: Groups, names: Names | None, now: datetime, tz: ZoneInfo) -> list[dict[str, Any]]:
    """Groups in their order, nobody last. `names`: the CSMs' own; None: every group is called by its key."""
    return [
        {"key": key, "name": key if names is None else names.get(key or ""), **_group(groups[key], now, tz)}
        for key in ordered(groups)
    ]


def _group(group: Group, now: datetime, tz: ZoneInfo) -> dict[str, Any]:
    told = answering(group.inbound, now, tz)
    return {
        **_tally(group.whole),
        "by_channel": [{"channel": name, **_tally(one)} for name, one in sorted(group.channels.items())],
        "inbound": {
            "came": told.came,
            "waiting_for_answer": told.waiting,
            "answered": told.answered,
            "median_answer_s": told.median_s,
            "open": told.open,
            "open_over_1_working_day": told.overdue,
        },
    }


def _tally(one: Tally) -> dict[str, Any]:
    return {
        "attempts": one.attempts,
        "reached": one.reached,
        "reach_rate": one.rate,
        "accounts_touched": one.accounts,
        "accounts_reached": one.accounts_reached,
    }


def unanswered(groups: Groups, now: datetime, tz: ZoneInfo, most: int) -> list[dict[str, Any]]:
    """Inbound contacts open for more than one working day, the oldest first, at most so many."""
    found = [one for group in groups.values() for one in group.inbound if overdue(one, now, tz)]
    return [_open(one, tz) for one in sorted(found, key=lambda one: (one.at, one.id))[:most]]


def _open(one: Inbound, tz: ZoneInfo) -> dict[str, Any]:
    return {
        "account_id": one.account_id,
        "contact_id": one.id,
        "at": utc(one.at),
        "channel": one.channel,
        "csm_id": one.csm_id,
        "answer_due": answer_due(one.at, tz),
    }
