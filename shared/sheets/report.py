"""What becomes of a sheet's rows: counted, the refused ones told by line."""

from dataclasses import dataclass, field
from typing import Any, Final

from shared.sheets.cells import BadCell
from shared.sheets.plan import Seat
from shared.sheets.read import Row

MAX_LISTED: Final = 10_000  # refused rows told one by one


@dataclass(slots=True)
class Report:
    """The answer to an import as it grows, row by row."""

    accepted: int = 0
    refused: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    warnings: list[str] = field(default_factory=list[str])

    def refuse(self, line: int, code: str, reason: str) -> None:
        """One row is not taken."""
        self.refused += 1
        if self.refused <= MAX_LISTED:
            self.rejected.append({"line": line, "reason": reason, "code": code})

    def answer(self) -> dict[str, Any]:
        """`{rows_read, accepted, rejected: [{line, reason, code}], warnings}`."""
        unlisted = self.refused - len(self.rejected)
        more = [f"{unlisted} more rows were refused and are not listed"] if unlisted else []
        return {
            "rows_read": self.accepted + self.refused,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "warnings": [*self.warnings, *more],
        }


def told_by(row: Row, seat: Seat) -> dict[str, str] | None:
    """What a row tells, field by field; None for one that was not asked for. Raises BadCell for one that cannot be
    read."""
    if row.fault is not None:
        if row.cells and not seat.wants(row.cells):
            return None
        raise BadCell("unreadable_row", row.fault)
    return seat.fields(row.cells) if seat.wants(row.cells) else None
