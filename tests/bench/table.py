"""What a row of the bench is, how the table is printed, and the history it leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

HISTORY = Path(__file__).parents[2] / "bench" / "history.jsonl"
_HEAD = f"{'':30}{'per CPU second':^31}{'wall per s':^20}{'PG µs an item':^16}{'peak MB':>8}"
_SUB = f"{'row':30}{'genki':>11}{'bare':>11}{'ratio':>9}{'genki':>10}{'bare':>10}{'genki':>8}{'bare':>8}{'':>8}"


@dataclass(frozen=True)
class Sample:
    """One contestant's round: items done, CPU seconds of its processes and of PostgreSQL, wall seconds."""

    items: float
    cpu: float
    seconds: float
    postgres: float = 0.0
    peak_mb: float = 0.0

    @property
    def per_cpu(self) -> float:
        """Items per CPU second of the processes under test."""
        return self.items / max(self.cpu, 0.01)

    @property
    def per_second(self) -> float:
        """Items per second of the wall clock."""
        return self.items / max(self.seconds, 1e-6)

    @property
    def postgres_us(self) -> float:
        """PostgreSQL's CPU per item in µs."""
        return self.postgres / max(self.items, 1) * 1e6


@dataclass(frozen=True)
class Row:
    """One line of the table: medians over the rounds; `ratio` is the median of the rounds' own ratios."""

    name: str
    genki: float
    bare: float | None
    ratio: float | None
    wall: float
    bare_wall: float | None
    postgres_us: float
    bare_postgres_us: float | None
    peak_mb: float
    rounds: int
    notes: list[str] = field(default_factory=list)


def compared(name: str, ours: Sequence[Sample], theirs: Sequence[Sample], *notes: str) -> Row:
    """A row of interleaved rounds: the n-th of ours stands beside the n-th of theirs."""
    ratios = [one.per_cpu / other.per_cpu for one, other in zip(ours, theirs, strict=False)]
    return Row(
        name,
        median(one.per_cpu for one in ours),
        median(one.per_cpu for one in theirs) if theirs else None,
        median(ratios) if ratios else None,
        median(one.per_second for one in ours),
        median(one.per_second for one in theirs) if theirs else None,
        median(one.postgres_us for one in ours),
        median(one.postgres_us for one in theirs) if theirs else None,
        max(one.peak_mb for one in ours),
        len(ours),
        list(notes),
    )


def lines_of(row: Row) -> list[str]:
    """The row as text of at most 110 columns, its notes below it."""
    cells = [
        f"{row.name:30}{_n(row.genki):>11}{_n(row.bare):>11}{_ratio(row.ratio):>9}{_n(row.wall):>10}",
        f"{_n(row.bare_wall):>10}{_us(row.postgres_us):>8}{_us(row.bare_postgres_us):>8}{row.peak_mb:>8.0f}",
    ]
    return ["".join(cells), *(f"    {note}"[:110] for note in row.notes)]


def show(rows: Sequence[Row]) -> None:
    """The table on stdout."""
    write("\n".join([_HEAD, _SUB, "-" * 106, *(line for row in rows for line in lines_of(row))]))


def keep(rows: Sequence[Row], asked: dict[str, object]) -> None:
    """One line of the history: when, which commit, on what, and the rows."""
    HISTORY.parent.mkdir(exist_ok=True)
    told = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--", "services", "shared")),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        **asked,
        "rows": [asdict(row) for row in rows],
    }
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(told, ensure_ascii=False) + "\n")


def write(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=HISTORY.parent.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _n(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}×"


def _us(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
