"""Short words for the input of the rules: an account at T, in Tokyo, on 15 June 2026 at noon."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.scoring.account import AccountAt, ContractChange, Moment, PersonScore, Touch, UsageAt
from shared.clock import start_of_day

TOKYO = ZoneInfo("Asia/Tokyo")
TODAY = date(2026, 6, 15)


def at(day: date, hour: int = 12, tz: ZoneInfo = TOKYO) -> datetime:
    """That hour of a day in the zone, as UTC."""
    return start_of_day(day, tz) + timedelta(hours=hour)


def moment(day: date = TODAY, **known: Any) -> Moment:
    """Noon of a day, in a tenant that has usage and contacts unless told otherwise."""
    facts: dict[str, Any] = {
        "first_usage_day": date(2020, 1, 1),
        "first_contact_at": datetime(2020, 1, 1, tzinfo=UTC),
        **known,
    }
    return Moment(at(day), day, TOKYO, **facts)


def account(account_id: str = "acme", **known: Any) -> AccountAt:
    """An account; what is no field of AccountAt is one of its attributes."""
    fields = {name: known.pop(name) for name in list(known) if name in AccountAt.__struct_fields__}
    return AccountAt(1, account_id, attributes=known, **fields)


def contract(change: str, on: date, acv: int = 0, contract_id: str = "main", **more: Any) -> ContractChange:
    """One change of a contract."""
    return ContractChange(contract_id, more.pop("id", f"{contract_id}-{on}-{change}"), on, change, acv, **more)


def touch(day: date, channel: str = "phone", outcome: str = "reached", hour: int = 12, name: str = "t") -> Touch:
    """A contact."""
    return Touch(at(day, hour), name, channel, outcome, "csm-1")


def used(last: date = TODAY, **more: Any) -> UsageAt:
    """Usage that ends on `last`."""
    known: dict[str, Any] = {"first_day": date(2025, 1, 1), "last_day": last, **more}
    return UsageAt(**known)


def score(value: int, age: int, person: str = "p", today: date = TODAY) -> PersonScore:
    """A response of that age in days."""
    day = today - timedelta(days=age)
    return PersonScore(person, value, at(day), day)
