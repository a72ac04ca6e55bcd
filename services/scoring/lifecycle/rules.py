"""Whether an account is a customer at T, since when, what it pays and when that renews. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.scoring.account import AccountAt, ContractChange, Moment
from shared.clock import start_of_day

_SIGNALS: Final[Mapping[str, bool]] = {"churn": True, "new": False, "reactivation": False}  # change → churned


class ContractAt(Struct, frozen=True):
    """One contract at a day: the amount in force (minor units) and the last `term_end` that was told."""

    acv: int
    term_end: date | None

    @property
    def live(self) -> bool:
        """Whether anything is paid under it."""
        return self.acv > 0


class Lifecycle(Struct, frozen=True):
    """Where an account stands at T. Money in minor units of the reporting currency; `start_source` is
    `customer_since`, `contract` or `usage`; `acv` None = never told."""

    status: str
    churned: bool
    start: date | None
    start_source: str | None
    acv: int | None
    value: int
    renewal_on: date | None
    live: bool


def in_order(changes: Iterable[ContractChange]) -> list[ContractChange]:
    """Contract changes as they take effect: by day, then id."""
    return sorted(changes, key=lambda change: (change.effective_on, change.id))


def contracts_at(changes: Iterable[ContractChange], day: date) -> dict[str, ContractAt]:
    """Every contract that took effect by `day`, by contract id."""
    standing: dict[str, ContractAt] = {}
    for change in in_order(changes):
        if change.effective_on <= day:
            before = standing.get(change.contract_id)
            term_end = change.term_end or (before.term_end if before else None)
            standing[change.contract_id] = ContractAt(change.acv_after, term_end)
    return standing


def churned(
    status: str | None,
    status_at: datetime | None,
    changes: Sequence[ContractChange],
    tz: ZoneInfo,
    day: date,
) -> bool:
    """Whether the latest word up to `day` says churned: status fact or contract change, a tie goes to the contract.

    A contract speaks at 00:00 of `effective_on`; the churn of one contract says nothing while another is live that day.
    """
    says_churned = status == "churned" and status_at is not None
    if not changes:
        return says_churned
    known = [change for change in in_order(changes) if change.effective_on <= day]
    for change in reversed(known):
        if not _speaks(change, known):
            continue
        at = start_of_day(change.effective_on, tz)
        return _SIGNALS[change.change] if status_at is None or at >= status_at else says_churned
    return says_churned


def _speaks(change: ContractChange, known: list[ContractChange]) -> bool:
    if change.change not in _SIGNALS:
        return False
    if not _SIGNALS[change.change]:
        return True
    that_day = contracts_at(known, change.effective_on)
    return not any(contract.live for name, contract in that_day.items() if name != change.contract_id)


def start_of(account: AccountAt, day: date) -> tuple[date | None, str | None]:
    """The day the customer relation began by what is known at `day`, and what says so (contract before usage)."""
    since: date | None = account.attributes.get("customer_since")
    if since is not None:
        return since, "customer_since"
    used = account.usage.first_day
    if not account.contracts:
        return used, None if used is None else "usage"
    told = [(change.effective_on, 0, "contract") for change in account.contracts if change.effective_on <= day]
    if used is not None:
        told.append((used, 1, "usage"))
    if not told:
        return None, None
    first = min(told)
    return first[0], first[2]


def renewal_date(contracts: Collection[ContractAt], renewal_on: date | None) -> date | None:
    """The earliest `term_end` of the live contracts, else what the account itself says. A past one stays: overdue."""
    if not contracts:
        return renewal_on
    ends = [contract.term_end for contract in contracts if contract.live and contract.term_end is not None]
    return min(ends, default=renewal_on)


def amount(contracts: Collection[ContractAt], told: int | None, is_churned: bool) -> int | None:
    """ACV in minor units: of the contracts once there is one, else the account's own figure; 0 while churned."""
    if is_churned:
        return 0
    return sum([contract.acv for contract in contracts]) if contracts else told


def lifecycle(account: AccountAt, moment: Moment) -> Lifecycle:
    """All of it at T."""
    told = account.attributes
    gone = churned(told.get("status"), account.status_at, account.contracts, moment.tz, moment.day)
    contracts = contracts_at(account.contracts, moment.day).values() if account.contracts else ()  # most have none
    start, source = start_of(account, moment.day)
    acv = amount(contracts, told.get("acv"), gone)
    return Lifecycle(
        status=shown_status(told.get("status"), gone),
        churned=gone,
        start=start,
        start_source=source,
        acv=acv,
        value=(acv or 0) + (told.get("potential_acv") or 0),
        renewal_on=renewal_date(contracts, told.get("renewal_on")),
        live=any(contract.live for contract in contracts),
    )


def shown_status(status: str | None, is_churned: bool) -> str:
    """`churned` when churned, else `onboarding` when the last status fact says so, else `active`."""
    if is_churned:
        return "churned"
    return "onboarding" if status == "onboarding" else "active"
