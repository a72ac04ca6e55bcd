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
from textwrap import wrap

from tests.bench.bars import Bar, bar_of

_MET = {True: "yes", False: "NO", None: "-"}
HISTORY = Path(__file__).parents[2] / "bench" / "history.jsonl"
_WIDTH = 127
_HEAD = f"{'':38}{'per CPU second':^20}{'':>9}{'':>10}{'':>5}{'wall per s':^20}{'PG µs an item':^16}{'peak':>8}"
_SUB = (
    f"{'row':38}{'genki':>10}{'bare':>10}{'figure':>9}{'bar':>10}{'met':>5}{'genki':>10}{'bare':>10}"
    f"{'genki':>8}{'bare':>8}{'MB':>8}"
)


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
    """One line of the table: medians over the rounds; `ratio` is the median of the rounds' own ratios; `figures` are
    what else a bar may be held against, in its unit."""

    name: str
    genki: float | None = None
    bare: float | None = None
    ratio: float | None = None
    wall: float | None = None
    bare_wall: float | None = None
    postgres_us: float | None = None
    bare_postgres_us: float | None = None
    peak_mb: float | None = None
    rounds: int = 0
    notes: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    failed: bool = False

    @property
    def bar(self) -> Bar | None:
        """What it is held against."""
        return bar_of(self.name)

    @property
    def figure(self) -> float | None:
        """The figure its bar is about; the ratio when it has none."""
        return self.ratio if self.bar is None or self.bar.of == "ratio" else self.figures.get(self.bar.of)

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without a bar. A part that failed has reached nothing."""
        if self.failed:
            return False
        return None if self.bar is None else self.bar.met(self.figure)


def compared(
    name: str, ours: Sequence[Sample], theirs: Sequence[Sample], *notes: str, figures: dict[str, float] | None = None
) -> Row:
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
        figures or {},
    )


def lost(name: str, problem: BaseException) -> Row:
    """The row of a part that failed: why."""
    why = [line for line in str(problem).splitlines() if line.strip()] or [""]
    return Row(f"{name}: not measured", notes=[f"{type(problem).__name__}: {why[0]}", *why[1:][-3:]], failed=True)


def lines_of(row: Row) -> list[str]:
    """The row as text, its notes below it, folded to the table's width."""
    unit = row.bar.unit if row.bar else "×"
    cells = [
        f"{row.name:38}{_n(row.genki):>10}{_n(row.bare):>10}{_figure(row.figure, unit):>9}",
        f"{row.bar.told() if row.bar else '-':>10}{_MET[row.met]:>5}{_n(row.wall):>10}{_n(row.bare_wall):>10}",
        f"{_us(row.postgres_us):>8}{_us(row.bare_postgres_us):>8}{_n(row.peak_mb):>8}",
    ]
    notes = (line for note in row.notes for line in wrap(note, _WIDTH - 4))
    return ["".join(cells), *(f"    {line}" for line in notes)]


def show(rows: Sequence[Row], closing: str = "") -> None:
    """The table on stdout, how many bars are met, and a word on what was shortened."""
    judged = [row.met for row in rows if row.met is not None]
    told = [line for row in rows for line in lines_of(row)]
    count = f"{sum(judged)} of {len(judged)} bars are met"
    write("\n".join([_HEAD, _SUB, "-" * _WIDTH, *told, "-" * _WIDTH, count, *wrap(closing, _WIDTH)]))


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
        "rows": [{**asdict(row), "bar": row.bar.told() if row.bar else None, "met": row.met} for row in rows],
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


def _figure(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.{0 if value >= 100 else 2}f}{unit}"


def _us(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
