"""Activity as the API shows it. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from services.scoring.accounts.answers import utc
from services.scoring.activity.rules import Group, Groups, Inbound, Tally, answer_due, iso_week, ordered

Names = Mapping[str, str | None]


def week(monday: date, groups: Groups, names: Names | None) -> dict[str, Any]:
    """One ISO week with every group that did something or was written to."""
    return {"week": iso_week(monday), "monday": monday, "groups": listed(groups, names)}


def listed(groups: Groups, names: Names | None) -> list[dict[str, Any]]:
    """Groups in their order, nobody last. `names`: the CSMs' own; None: every group is called by its key."""
    return [
        {"key": key, "name": key if names is None else names.get(key or ""), **_group(groups[key])}
        for key in ordered(groups)
    ]


def _group(group: Group) -> dict[str, Any]:
    told = group.inbound
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


def unanswered(one: Inbound, tz: ZoneInfo) -> dict[str, Any]:
    """An inbound contact that is open for more than one working day."""
    return {
        "account_id": one.account_id,
        "contact_id": one.id,
        "at": utc(one.at),
        "channel": one.channel,
        "csm_id": one.csm_id,
        "answer_due": answer_due(one.at, tz),
    }
