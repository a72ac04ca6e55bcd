"""Rows of the sample as facts of the public contract. Pure: a row and the shift in, a fact or None out."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.demo.shift import Shift

INDIVIDUAL: Final = "individual"  # the sample's word for a person of no company
ONBOARDING: Final = timedelta(days=90)
MIDNIGHT: Final = "T00:00:00+09:00"  # the demo tenant lives in Asia/Tokyo
Row = Mapping[str, str]
Sent = dict[str, Any]


def usage(row: Row, shift: Shift) -> Sent | None:
    """A usage fact; None when it lies after now."""
    at = shift.instant(int(row["ts"]))
    if shift.later(at):
        return None
    return {
        "type": "usage",
        "id": row["event_id"],
        "at": stamp(at),
        "account_id": row["account"],
        "person_id": row["user_id"],
        "event": row["event"],
    }


def touched(row: Row) -> tuple[str, str] | None:
    """(account, person) a touchpoint speaks of: `to_account` when that is a company, else `account`, else None."""
    if row["to_account"] != INDIVIDUAL:
        return row["to_account"], row["to_user"]
    return None if row["account"] == INDIVIDUAL else (row["account"], row["from_user"])


def contact(row: Row, shift: Shift, owners: Mapping[str, str]) -> Sent | None:
    """A meeting that reached its account, by the account's owner if it has one; None for no company or after now."""
    whom, at = touched(row), shift.instant(int(row["ts"]))
    if whom is None or shift.later(at):
        return None
    account, person = whom
    fact = {
        "type": "contact",
        "id": row["touchpoint_id"],
        "at": stamp(at),
        "account_id": account,
        "channel": "meeting",
        "outcome": "reached",
        "person_ids": [person],
    }
    return fact | ({"csm_id": owners[account]} if owners.get(account) else {})


def account(row: Row, shift: Shift) -> Iterator[Sent]:
    """What the book tells of an account: its start (onboarding), 90 days later active, at the end churned; only what
    lies before now, so nothing for an account that starts later."""
    since = shift.day(row["customer_since"])
    ended = shift.day(row["churned_on"]) if row["churned_on"] else None
    told: Sent = {
        "name": row["name"],
        "industry": row["industry"],
        "customer_since": since.isoformat(),
        "status": "onboarding",
    }
    for column, field in (("acv_jpy", "acv"), ("potential_acv_jpy", "potential_acv"), ("csm_id", "csm_id")):
        if row[column]:
            told[field] = row[column]
    if row["acv_jpy"]:
        told["currency"] = "JPY"
    if row["seats"]:
        told["seats"] = int(row["seats"])
    if row["renewal_on"]:
        told["renewal_on"] = shift.day(row["renewal_on"]).isoformat()
    steps = [("start", since, told), ("active", since + ONBOARDING, {"status": "active"})]
    steps = [step for step in steps if ended is None or step[1] < ended]
    steps += [("churned", ended, {"status": "churned"})] if ended else []
    for name, day, fields in steps:
        at = f"{day}{MIDNIGHT}"
        if not shift.later(datetime.fromisoformat(at)):
            yield {"type": "account", "id": f"book-{row['account_id']}-{name}", "at": at,
                   "account_id": row["account_id"], **fields}  # fmt: skip


def csm(row: Row, shift: Shift) -> Sent:
    """A CSM, known since before the sample begins."""
    at = shift.moment("2010-01-01T00:00:00+09:00")
    return {"type": "csm", "id": f"book-{row['csm_id']}", "at": stamp(at), "active": True, **row}


def response(row: Row, shift: Shift) -> Sent | None:
    """A line for the import of responses; None when it lies after now."""
    at = shift.moment(row["at"])
    return None if shift.later(at) else {**row, "at": stamp(at)}


def stamp(instant: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
