"""What a scenario came to, and the table of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_HEAD: Final = ("check", "scenario", "log", "s", "faults", "acked", "applied", "twice", "dead", "back in", "", "why")


@dataclass
class Row:
    """One scenario's line. Counts are facts; None where the scenario has no such figure."""

    check: str
    name: str
    log: str = "kafka"
    seconds: float = 0.0
    faults: int = 0
    acked: int | None = None
    applied: int | None = None
    duplicate: int | None = None
    dead: int | None = None
    back: float | None = None  # the longest time to first progress after a fault, seconds
    green: bool = False
    reason: str = ""

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of the head."""
        counts = (self.acked, self.applied, self.duplicate, self.dead)
        back = "–" if self.back is None else f"{self.back:.1f} s"
        verdict = "green" if self.green else "RED"
        shown = ("–" if count is None else f"{count:,}" for count in counts)
        return (self.check, self.name, self.log, f"{self.seconds:.0f}", str(self.faults), *shown, back, verdict,
                self.reason)  # fmt: skip


def lines(rows: Sequence[Row]) -> list[str]:
    """The table, head first; the last column is as long as it needs to be."""
    table = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(_HEAD) - 1)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), cells[-1]]).rstrip()
            for cells in table]  # fmt: skip
