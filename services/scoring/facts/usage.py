"""Usage and membership, folded: which account each usage day of a person belongs to."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

UNASSIGNED: Final = 0
Person = tuple[int, int]  # tenant, person key
Stamp = tuple[int, str]  # at in µs, id


class Membership(NamedTuple):
    """The membership facts of one person and day: the earliest and the latest by (at, id)."""

    day: date
    first: Stamp
    first_account: int
    last: Stamp
    last_account: int


def joined(one: Membership | None, other: Membership) -> Membership:
    """Both together; any order of joining gives the same."""
    if one is None:
        return other
    early, late = min(one, other, key=lambda m: m.first), max(one, other, key=lambda m: m.last)
    return Membership(one.day, early.first, early.first_account, late.last, late.last_account)


def together(persons: Iterable[Iterable[Membership]]) -> list[Membership]:
    """The memberships of several ids of one person, folded per day."""
    days: dict[date, Membership] = {}
    for rows in persons:
        for row in rows:
            days[row.day] = joined(days.get(row.day), row)
    return list(days.values())


class Homes:
    """The account of each day for one person: the latest membership up to the day, else the earliest after it."""

    def __init__(self, memberships: Iterable[Membership]) -> None:
        self._rows = sorted(memberships)
        self._days = [row.day for row in self._rows]

    def of(self, day: date) -> int:
        """An account key, or UNASSIGNED while no membership is known."""
        index = bisect_right(self._days, day)
        if index:
            return self._rows[index - 1].last_account
        return self._rows[0].first_account if self._rows else UNASSIGNED


UsageKey = tuple[int, int, int, int, date, bool]  # tenant, account, person, feature, day, implied


@dataclass(slots=True)
class UsageBatch:
    """Counts of one batch: usage with a named account under its key, usage without under (person, feature, day)."""

    named: dict[UsageKey, list[int]] = field(default_factory=dict)
    waiting: dict[tuple[Person, int, date], list[int]] = field(default_factory=dict)
    memberships: dict[Person, dict[date, Membership]] = field(default_factory=dict)
    received: dict[Person, int] = field(default_factory=dict)  # least receipt (µs) of what concerns the person

    def add_named(self, key: UsageKey, count: int, at: int) -> None:
        """Adds `count` events last seen at `at` (µs)."""
        _add(self.named, key, count, at)

    def add_waiting(self, person: Person, feature: int, day: date, count: int, at: int) -> None:
        """Adds usage whose account the person's membership decides."""
        _add(self.waiting, (person, feature, day), count, at)

    def add_membership(self, person: Person, row: Membership) -> None:
        """Adds one membership fact."""
        days = self.memberships.setdefault(person, {})
        days[row.day] = joined(days.get(row.day), row)

    def note_receipt(self, person: Person, received: int) -> None:
        """Remembers when the oldest waiting fact of the person was accepted."""
        self.received[person] = min(self.received.get(person, received), received)

    def persons(self) -> set[Person]:
        """Everyone whose memberships are needed to place this batch's usage."""
        return {person for person, _, _ in self.waiting} | set(self.memberships)


def _add(counts: dict, key: object, count: int, at: int) -> None:
    found = counts.get(key)
    if found is None:
        counts[key] = [count, at]
    else:
        found[0] += count
        found[1] = max(found[1], at)


def place_waiting(batch: UsageBatch, homes: Mapping[Person, Homes]) -> dict[UsageKey, list[int]]:
    """The usage rows of the batch with every account decided (UNASSIGNED where nothing is known yet)."""
    rows = dict(batch.named)
    for (person, feature, day), (count, at) in batch.waiting.items():
        account = homes[person].of(day)
        _add(rows, (person[0], account, person[1], feature, day, True), count, at)
    return rows


def moved_home(before: Homes, after: Homes, changed: Iterable[date]) -> bool:
    """Whether any day changes its account when the memberships of the days `changed` were added."""
    return any(before.of(day) != after.of(day) for day in (date.min, *changed))
