"""The ledger: what each change of a contract made of its amount. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Told:
    """One contract fact. `acv_after` in reporting minor units, `amount` in minor units of `currency` as it was told."""

    contract_id: str
    id: str
    effective_on: date
    change: str
    acv_after: int
    amount: int
    currency: str
    term_end: date | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger: the fact, and what the contract was worth before (0: it did not exist)."""

    told: Told
    acv_before: int


def ledger(changes: Iterable[Told]) -> list[Entry]:
    """Every change with the amount that its own contract had before it, by day, then id; the newest first."""
    worth: dict[str, int] = {}
    found: list[Entry] = []
    for told in sorted(changes, key=lambda one: (one.effective_on, one.id)):
        found.append(Entry(told, worth.get(told.contract_id, 0)))
        worth[told.contract_id] = told.acv_after
    return found[::-1]
