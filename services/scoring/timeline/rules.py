"""What becomes of an account when its money, status and contracts change: status and tier, turn by turn. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.scoring.account import AccountAt, Amounts, ContractChange, Moment
from services.scoring.lifecycle.rules import lifecycle
from services.scoring.tiers.rules import tier_of
from shared.clock import day_of, start_of_day


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: its kind, when, an id that is its own among its kind, and its figures."""

    kind: str
    at: datetime
    id: str
    figures: Mapping[str, Any]

    @property
    def place(self) -> tuple[datetime, str, str]:
        """Where it stands; the newest is the greatest."""
        return self.at, self.kind, self.id


@dataclass(frozen=True, slots=True)
class Told:
    """A field of the account from an instant on; None = cleared."""

    at: datetime
    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class Held:
    """What decides on status and tier: the account's own fields, its contracts, and the days from which published tier
    amounts hold, with what answers on a day (None: nothing is published by then)."""

    told: Sequence[Told]
    contracts: Sequence[ContractChange]
    policies: Sequence[date]
    published: Callable[[date], Amounts | None]
    tz: ZoneInfo


@dataclass(slots=True)
class _State:
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    status_at: datetime | None = None

    def take(self, told: Told) -> None:
        if told.value is None:
            self.attributes.pop(told.field, None)
        else:
            self.attributes[told.field] = told.value
        if told.field == "status":
            self.status_at = None if told.value is None else told.at


def turns(held: Held, at: datetime) -> Iterator[Entry]:
    """Every change of `status` and of `tier` by T, in order of time: `{was, now}`.

    A tier is told only under published amounts: provisional ones move with everybody's money and are no decision. The
    first such tier has `was` null, and so has the one after a return; a churned account has none.
    """
    status: str | None = None
    tier: str | None = None
    for instant, now_status, now_tier in _standings(held, at):
        if now_status != status and not (status is None and now_status == "active"):
            yield Entry("status", instant, "status", {"was": status, "now": now_status})
        if now_tier != tier and now_tier is not None:
            yield Entry("tier", instant, "tier", {"was": tier, "now": now_tier})
        status, tier = now_status, now_tier


def _standings(held: Held, at: datetime) -> Iterator[tuple[datetime, str, str | None]]:
    """(instant, status, tier) at every instant at which either could change; not before anything is known."""
    state, taken = _State(), 0
    told = sorted(held.told, key=lambda one: one.at)
    first = min((*(one.at for one in told), *_starts(held, held.contracts)), default=None)
    for instant in sorted({*(one.at for one in told), *_starts(held, held.contracts), *_days(held, held.policies)}):
        if first is None or instant < first or instant > at:
            continue
        while taken < len(told) and told[taken].at <= instant:
            state.take(told[taken])
            taken += 1
        moment = Moment(instant, day_of(instant, held.tz), held.tz)
        account = AccountAt(0, "", state.attributes, state.status_at, contracts=tuple(held.contracts))
        life, amounts = lifecycle(account, moment), held.published(moment.day)
        known = amounts is not None and not life.churned
        yield instant, life.status, tier_of(life.value, amounts) if known and amounts is not None else None


def _starts(held: Held, contracts: Iterable[ContractChange]) -> Iterable[datetime]:
    return _days(held, (change.effective_on for change in contracts))


def _days(held: Held, days: Iterable[date]) -> Iterable[datetime]:
    return [start_of_day(day, held.tz) for day in days]
