"""What each row of the bench is held against: one figure of it, and the least or the most it may be."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Bar:
    """`of`: the row's ratio, or one of its figures; at least `limit`, or at most when `most`. `unit` is for the eye."""

    limit: float
    of: str = "ratio"
    most: bool = False
    unit: str = "×"

    def met(self, found: float | None) -> bool | None:
        """Whether it holds; None without a figure."""
        if found is None:
            return None
        return found <= self.limit if self.most else found >= self.limit

    def told(self) -> str:
        """The bar as the table shows it."""
        return f"{'≤' if self.most else '≥'} {self.limit:g}{self.unit}"


def _most(limit: float, of: str, unit: str) -> Bar:
    return Bar(limit, of, most=True, unit=unit)


# By the beginning of a row's name; what is not named here has no bar.
BARS: Final[dict[str, Bar]] = {
    "ingest 100 ÷ bare producer": Bar(0.3),
    "ingest 100 ÷ split only": Bar(0.6),
    "ingest 100 ÷ naive route": Bar(10),
    "ingest single ÷ naive route": Bar(3.5),
    "tracking 100 ÷ Starlette": Bar(0.8),
    "tracking single ÷ Starlette": Bar(1.4),
    "fold + assessment ÷ bare loop": Bar(0.5),
    "fold + assessment ÷ per event": Bar(15),
    "fold at very many": Bar(0.7),
    "midnight": _most(60, "seconds", " s"),
    "read ": Bar(0.6),
    "p99 ": _most(2, "ratio", "×"),
    "freshness at 1,000/s": _most(1, "p99", " s"),
    "freshness at 5,000/s": _most(2, "p99", " s"),
    "freshness at 10,000/s": _most(2, "p99", " s"),
    "embedded memory": _most(250, "pss", " MB"),
    "scoring, 2 of a group": Bar(1, "wall", unit="×"),
}


def bar_of(name: str) -> Bar | None:
    """The bar of the row that is called so."""
    return next((bar for start, bar in BARS.items() if name.startswith(start)), None)
