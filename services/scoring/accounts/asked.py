"""What a list of accounts is asked for: which of them, in which order, from where on. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from services.scoring.accounts.search import folded
from services.scoring.assessment import Assessment
from services.scoring.matrix.rules import BANDS, PRIORITIES
from shared.clock import from_micros, to_micros

TYPES: Final[Mapping[str, type[Any]]] = {
    "text": str, "bigint": int, "float8": float, "boolean": bool, "timestamptz": int, "date": str,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column that lists sort by: its SQL over account_state, its type, and the same of an assessment."""

    sql: str
    kind: str
    of: Callable[[Assessment], Any]

    def told(self, value: Any) -> Any:
        """As a cursor carries it."""
        if isinstance(value, datetime):
            return to_micros(value)
        return value.isoformat() if isinstance(value, date) else value

    def meant(self, value: Any) -> Any:
        """Of a cursor's value. Raises ValueError or OverflowError."""
        if value is None or self.kind not in ("timestamptz", "date"):
            return value
        return from_micros(value) if self.kind == "timestamptz" else date.fromisoformat(value)


def _text(name: str) -> Column:
    return Column(f'{name} COLLATE "C"', "text", lambda one: getattr(one, name))


# Every column of an item. Bands go from red to green and priorities from High to Low; needs_action by how many fired.
COLUMNS: Final[Mapping[str, Column]] = {
    **{name: _text(name) for name in ("account_id", "name", "status", "tier", "rank", "tenure")},
    "acv": Column("acv", "bigint", lambda one: one.acv),
    "currency": Column("0", "bigint", lambda one: 0),
    "health": Column("score", "float8", lambda one: one.score),
    "band": Column(
        f"array_position(ARRAY{list(BANDS)}::text[], band)", "bigint", lambda one: BANDS.index(one.band) + 1
    ),
    "effective_band": Column("band_order", "bigint", lambda one: BANDS.index(one.effective_band)),
    "change_1d": Column("change_1d", "float8", lambda one: one.change_1d),
    "change_7d": Column("change_7d", "float8", lambda one: one.change_7d),
    "change_28d": Column("change_28d", "float8", lambda one: one.change_28d),
    "active_users_28d": Column("active_users_28d", "bigint", lambda one: one.active_users_28),
    "last_contact_at": Column(
        "last_contact_at", "timestamptz", lambda one: one.last_contact.at if one.last_contact else None
    ),
    "covered": Column("covered", "boolean", lambda one: one.covered),
    "priority": Column(
        f"nullif(priority_order, {PRIORITIES.index(None)})", "bigint",
        lambda one: PRIORITIES.index(one.priority) if one.priority else None,
    ),
    "csm_id": _text("csm_id"),
    "csm_name": _text("csm_name"),
    "team": _text("team"),
    "renewal_on": Column("renewal_on", "date", lambda one: one.renewal_on),
    "needs_action": Column("needs", "bigint", lambda one: len(one.needs_action)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """Filters by column of account_state, each with the values of which one must be met; `prefix` of name or id;
    `sort` None = the default order."""

    filters: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    prefix: str | None = None
    sort: str | None = None
    descending: bool = False

    @property
    def unfiltered(self) -> bool:
        """Whether every account that is not churned is meant."""
        return not self.filters and self.prefix is None

    @property
    def churned(self) -> bool:
        """Whether churned accounts are meant too."""
        return "churned" in self.filters.get("status", ())

    @property
    def types(self) -> tuple[type[Any], ...]:
        """What the cursors of this order hold."""
        return (int, int, int, str) if self.sort is None else (TYPES[COLUMNS[self.sort].kind], str)

    def holds(self, one: Assessment) -> bool:
        """Whether an account is meant."""
        if one.churned and not self.churned:
            return False
        if any(getattr(one, name) not in values for name, values in self.filters.items()):
            return False
        return self.prefix is None or any(
            folded(text).startswith(self.prefix) for text in (one.account_id, one.name or "")
        )
