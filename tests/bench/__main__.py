"""`python -m tests.bench [names…]`: one table on stdout, one line in bench/history.jsonl; all takes 45 minutes.

Some parts are run shorter than they could be, so that all of them fit into one run; the table says by how much.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.bench.embedded import embedded
from tests.bench.fold import Told, fold, very_many
from tests.bench.freshness import freshness
from tests.bench.house import House, open_house
from tests.bench.ingest import ingest
from tests.bench.midnight import midnight
from tests.bench.reads import beside_few, reads
from tests.bench.scaling import scaling
from tests.bench.table import Row, keep, lines_of, lost, say, show
from tests.bench.tracking import tracking

Asked = argparse.Namespace
PARTS: Final[Mapping[str, Callable[[House, Asked], list[Row]]]] = {
    "ingest": lambda house, asked: ingest(house, asked.rounds, asked.seconds),
    "tracking": lambda house, asked: tracking(house, asked.rounds, asked.seconds),
    "fold": lambda house, asked: fold(house, asked.rounds, _told(asked, asked.facts)),
    "midnight": lambda house, asked: midnight(house, asked.nights, asked.night),
    "freshness": lambda house, asked: freshness(house, asked.rate, asked.fresh_seconds, asked.log),
    "embedded": lambda house, asked: embedded(house, asked.rounds, asked.seconds),
    "scaling": lambda house, asked: scaling(house, asked.groups, asked.scaled, asked.accounts),
    "many": lambda house, asked: very_many(house, asked.sizes, _told(asked, asked.spread)),
}
NAMES: Final = (*tuple(PARTS)[:4], "reads", *tuple(PARTS)[4:])  # in this order, the longest last
# A run of a few minutes that measures nothing, and shows that every part can be measured.
SHORT: Final = {
    "rounds": 1, "seconds": 1.0, "read_seconds": 0.5,
    "facts": 20_000, "sizes": 1, "spread": 20_000, "known": 100_000, "many": 20_000, "nights": 1,
    "night": 10_000, "book": [1_000], "rate": [1_000], "fresh_seconds": 5.0, "groups": 1, "scaled": 20_000,
    "forget": True,
}  # fmt: skip


def main() -> None:
    """Runs the asked parts one after another, each in a house of its own; one that fails leaves a row that says why."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # every process that was started is ended
    rows: list[Row] = []
    began = time.monotonic()
    try:
        for name in asked.names or NAMES:
            rows += _reads(asked) if name == "reads" else _part(name, PARTS[name], asked)
    finally:
        show(rows, f"{_closing(asked)} The run took {(time.monotonic() - began) / 60:.1f} minutes.")
        if rows and not asked.forget and asked.profile is None:
            keep(rows, {name: getattr(asked, name) for name in SHORT if name != "forget"})


def _part(name: str, measure: Callable[[House, Asked], list[Row]], asked: Asked) -> list[Row]:
    began = time.monotonic()
    try:
        with open_house(asked.profile) as house:
            rows = measure(house, asked)
    except Exception as problem:  # noqa: BLE001 the other rows are worth having
        rows = [lost(name, problem)]
    say(f"{name} took {time.monotonic() - began:.0f} s")
    for line in (line for row in rows for line in lines_of(row)):
        say(line)
    return rows


def _reads(asked: Asked) -> list[Row]:
    rows: list[Row] = []
    for size in asked.book:
        rows += _part(
            f"reads at {size:,}",
            lambda house, _, size=size: reads(house, asked.rounds, asked.read_seconds, size),
            asked,
        )
    return rows + beside_few(rows, min(asked.book), max(asked.book)) * (len(asked.book) > 1)


def _told(asked: Asked, facts: int) -> Told:
    return Told(facts, asked.known, asked.accounts, asked.many)


def _closing(asked: Asked) -> str:
    return (
        f"Every ratio is the median of {asked.rounds} interleaved rounds: at a door {asked.seconds:g} s each, "
        f"reads {asked.read_seconds:g} s, fold {asked.facts:,} facts. Shorter: at very many accounts "
        f"{asked.sizes} rounds of {asked.spread:,}, midnight {asked.nights} day(s), freshness once for "
        f"{asked.fresh_seconds:g} s, scaling {asked.groups} rounds of {asked.scaled:,}. Known "
        "ids and all but 10,000 accounts were written by INSERT … SELECT; bases of reads are kept between runs."
    )


def _arguments() -> Asked:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"parts: {', '.join(NAMES)}; none: all")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each contestant (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a round at a door (3)")
    parser.add_argument("--read-seconds", type=float, default=0.7, help="length of a round of reads (0.7)")
    parser.add_argument("--facts", type=int, default=200_000, help="fold: facts a round and contestant (200000)")
    parser.add_argument("--sizes", type=int, default=3, help="many: rounds (3)")
    parser.add_argument("--spread", type=int, default=40_000, help="many: facts a round (40000)")
    parser.add_argument("--known", type=int, default=5_000_000, help="fold: ids already known (5000000)")
    parser.add_argument("--accounts", type=int, default=10_000, help="fold: accounts (10000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="many: so many accounts beside those (1000000)")
    parser.add_argument("--night", type=int, default=100_000, help="midnight: accounts, a multiple of 10000 (100000)")
    parser.add_argument("--nights", type=int, default=1, help="midnight: days (1)")
    sizes = [1_000, 100_000, 1_000_000]
    parser.add_argument("--book", type=int, nargs="+", default=sizes, help="reads: accounts (1000 100000 1000000)")
    rates = [1_000, 5_000, 10_000]
    parser.add_argument("--rate", type=int, nargs="+", default=rates, help="freshness: facts/s (1000 5000 10000)")
    parser.add_argument("--log", choices=("pg", "kafka", "both"), default="both", help="freshness: on which log (both)")
    parser.add_argument("--fresh-seconds", type=float, default=15, help="freshness: how long on each log (15)")
    parser.add_argument("--groups", type=int, default=2, help="scaling: rounds (2)")
    parser.add_argument("--scaled", type=int, default=80_000, help="scaling: facts a round (80000)")
    parser.add_argument("--short", action="store_true", help="tries every part in a few minutes; figures mean nothing")
    parser.add_argument("--forget", action="store_true", help="leave no line in bench/history.jsonl")
    parser.add_argument("--profile", type=Path, help="folder for cProfile files; rates mean nothing then")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if asked.short:
        vars(asked).update(SHORT)
    return asked


if __name__ == "__main__":
    main()
