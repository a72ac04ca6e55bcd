"""`python -m tests.bench [names…] [--rounds N] [--seconds S]`: one table on stdout, one line in bench/history.jsonl."""

import argparse
import signal
import sys
import time
from pathlib import Path

from tests.bench.fold import Told, fold
from tests.bench.freshness import freshness
from tests.bench.house import House, open_house
from tests.bench.ingest import ingest
from tests.bench.midnight import midnight
from tests.bench.reads import reads
from tests.bench.scaling import scaling
from tests.bench.table import Row, keep, say, show
from tests.bench.tracking import tracking

NAMES = ("ingest", "tracking", "fold", "midnight", "reads", "freshness", "scaling")
NIGHTS = 3  # days that midnight is measured at


def main() -> None:
    """Runs the asked rows one after another, each in a house of its own."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # every process that was started is ended
    rows: list[Row] = []
    for name in asked.names or NAMES:
        began = time.monotonic()
        with open_house(asked.profile) as house:
            rows += _rows(name, house, asked)
        say(f"{name} took {time.monotonic() - began:.0f} s")
    show(rows)
    if not asked.forget and asked.profile is None:
        keep(rows, {"rounds": asked.rounds, "seconds": asked.seconds})


def _rows(name: str, house: House, asked: argparse.Namespace) -> list[Row]:
    if name == "ingest":
        return ingest(house, asked.rounds, asked.seconds)
    if name == "tracking":
        return tracking(house, asked.rounds, asked.seconds)
    if name == "fold":
        return fold(house, asked.rounds, Told(asked.facts, asked.known, asked.accounts, asked.many))
    if name == "midnight":
        return midnight(house, min(asked.rounds, NIGHTS), asked.night)
    if name == "reads":
        return reads(house, asked.rounds, asked.seconds, asked.book)
    if name == "freshness":
        return [row for rate in asked.rate for row in freshness(house, rate, asked.fresh_seconds, asked.log)]
    if name == "scaling":
        return scaling(house, min(asked.rounds, 3), asked.facts, asked.accounts)
    raise SystemExit(f"no row is called {name}; there are {', '.join(NAMES)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"rows to run: {', '.join(NAMES)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each contestant (5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round under load (5)")
    parser.add_argument("--facts", type=int, default=200_000, help="fold: facts a round and contestant (200000)")
    parser.add_argument("--known", type=int, default=200_000, help="fold: ids already known (200000; 5000000)")
    parser.add_argument("--accounts", type=int, default=10_000, help="fold: accounts (10000)")
    parser.add_argument("--many", type=int, default=0, help="fold: beside itself with so many accounts (0; 1000000)")
    parser.add_argument("--night", type=int, default=100_000, help="midnight: accounts, a multiple of 10000 (100000)")
    parser.add_argument("--book", type=int, default=1_000, help="reads: accounts (1000)")
    parser.add_argument("--rate", type=int, nargs="+", default=[1_000], help="freshness: facts a second (1000)")
    parser.add_argument("--log", choices=("pg", "kafka", "both"), default="both", help="freshness: on which log (both)")
    parser.add_argument("--fresh-seconds", type=float, default=60, help="freshness: how long on each bus (60)")
    parser.add_argument("--forget", action="store_true", help="leave no line in bench/history.jsonl")
    parser.add_argument("--profile", type=Path, help="folder for cProfile files; rates mean nothing then")
    return parser.parse_args()


if __name__ == "__main__":
    main()
