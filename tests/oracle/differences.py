"""When two answers are equal: sums of floats may differ by 1e-9, everything else by nothing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.oracle.raw import micros

STEP = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(text: str | None) -> int | None:
    """An answer's instant in µs."""
    return None if text is None else micros(datetime.fromisoformat(text))


class Differences:
    """Gathers what differs."""

    def __init__(self, place: str) -> None:
        self.place, self.lines = place, []

    lines: list[str]

    def same(self, what: str, said: Any, expected: Any) -> None:
        """Notes unequal values; numbers that are not whole to 1e-9."""
        if not equal(said, expected):
            self.lines.append(f"{self.place} {what}: said {said!r}, expected {expected!r}")


def equal(said: Any, expected: Any) -> bool:
    """Equal, floats to 1e-9, within lists too."""
    if isinstance(said, (list, tuple)) and isinstance(expected, (list, tuple)):
        return len(said) == len(expected) and all(equal(*pair) for pair in zip(said, expected, strict=True))
    if isinstance(expected, float) and isinstance(said, (int, float)) and not isinstance(said, bool):
        return abs(said - expected) <= 1e-9
    return type(said) is type(expected) and said == expected


def on_edge(score: float | None) -> bool:
    """Whether the order of additions decides the band: the score is 40 or 70 but for 1e-9."""
    return score is not None and min(abs(score - 40), abs(score - 70)) <= 1e-9


def money(amount: Any) -> Decimal | None:
    """Text or decimal as a number that compares by value."""
    return None if amount is None else Decimal(amount)
