"""Usage of accounts in the windows that the rules ask for, at one moment or at several, out of masks of days."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from services.scoring.account import UsageAt

DAYS: Final = 90  # the longest window
_HALF: Final = 60  # days in one integer; two of them reach back, so the earliest moment may lie 30 days before
_USERS: Final = 28
_IN_USERS, _IN_DAYS = (1 << _USERS) - 1, (1 << DAYS) - 1  # the first days of a mask
# Bit n = the day n days before D ($3). `near` has days 0…59, `far` 60…119.
_MASK: Final = (
    "coalesce(bit_or(1::bigint << ($3::date - day - {0})) FILTER (WHERE $3::date - day BETWEEN {0} AND {1}), 0)"
)
_NEAR, _FAR = _MASK.format(0, _HALF - 1), _MASK.format(_HALF, 2 * _HALF - 1)
_WINDOWS: Final = """
SELECT account, bit_or(near) AS near, bit_or(far) AS far, {users} FROM (
  SELECT {{account}} AS account, {{person}} AS person, {near} AS near, {far} AS far FROM usage x {{joins}}
  WHERE x.tenant = $1 {{some}} AND day > $3::date - {reach} AND day <= $3 AND x.account <> 0 GROUP BY 1, 2) AS persons
GROUP BY account
"""
# Use of value features ($4) in the 28 days up to each moment.
FEATURES_USED: Final = f"""
SELECT {{account}} AS account, feature, {_NEAR} AS near FROM usage x {{joins}}
WHERE x.tenant = $1 {{some}} AND day > $3::date - {_HALF} AND day <= $3 AND feature = ANY($4) AND x.account <> 0
GROUP BY 1, 2
"""


class Window(NamedTuple):
    """Usage of one account, days counted back from the latest moment's: bit n of `days` = n days before it; `users` and
    `before` per moment: persons of its last 28 days, and of the 28 days before these."""

    days: int
    users: Sequence[int]
    before: Sequence[int]


def windows_sql(agos: Sequence[int]) -> str:
    """One statement for moments that lie so many days before D ($3); the first is 0."""
    users = ", ".join(_persons(start) for ago in agos for start in (ago, ago + _USERS))
    return _WINDOWS.format(users=users, near=_NEAR, far=_FAR, reach=DAYS + agos[-1])


def _persons(start: int) -> str:
    """Persons with usage on any of the 28 days that begin so many days back."""
    mask = ((1 << _USERS) - 1) << start
    near, far = mask & ((1 << _HALF) - 1), mask >> _HALF
    return f"count(*) FILTER (WHERE near & {near} <> 0 OR far & {far} <> 0)"


def window_of(row: Sequence[Any]) -> Window:
    """A row of `windows_sql`, without its account."""
    _, near, far, *counted = row
    return Window(near | far << _HALF, counted[0::2], counted[1::2])


def last_day(window: Window, day: date, ago: int) -> date | None:
    """The last day with usage up to the moment `ago` days before `day`, of those the window holds."""
    days = window.days >> ago
    return day - timedelta(days=ago + (days & -days).bit_length() - 1) if days else None


def features_at(rows: Iterable[Any], names: Mapping[int, str], ago: int) -> dict[int, frozenset[str]]:
    """Event names of the value features used in the 28 days up to the moment, by account; out of FEATURES_USED."""
    found: dict[int, set[str]] = {}
    for account, feature, near in rows:
        if near >> ago & _IN_USERS:
            found.setdefault(account, set()).add(names[feature])
    return {account: frozenset(used) for account, used in found.items()}


def usage_at(
    window: Window, index: int, ago: int, first: date | None, last: date | None, used: frozenset[str], ids: int
) -> UsageAt:
    """What the rules read, at the index-th of the window's moments."""
    days = window.days >> ago
    active, long = (days & _IN_USERS).bit_count(), (days & _IN_DAYS).bit_count()
    silent = (days >> 14 & _IN_USERS).bit_count()  # (D - 42, D - 14]
    return UsageAt(first, last, active, long, silent, window.users[index], window.before[index], used, ids)
