"""`python -m tests.faults [names…]`: every scenario on real processes, one table, exit code 1 when any is red."""

import argparse
import asyncio
import random
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Final

from tests.faults.ground import Ground, ground
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Scenario, Stage
from tests.faults.table import Row, lines

SEED: Final = 20261122
TAIL: Final = 8  # lines of each service's log that are shown with a red one


def main() -> int:
    """Parses, plays, prints."""
    asked = _arguments()
    chosen = [one for one in SCENARIOS if _wanted(one, asked)]
    if asked.list:
        _say("\n".join(f"{one.check:>5}  {one.name}{'  (short)' if one.short else ''}" for one in SCENARIOS))
        return 0
    if not chosen:
        _say(f"no scenario is called {' '.join(asked.names)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended on the way out
    began = time.monotonic()
    rows = play_all(chosen, asked.seed, asked.times, short=asked.short)
    _say("\n" + "\n".join(lines(rows)))
    red = [row.name for row in rows if not row.green]
    _say(f"\n{len(rows) - len(red)} of {len(rows)} green in {time.monotonic() - began:.0f} s, seed {asked.seed}")
    return 1 if red else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios or numbers of checks; all without")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--times", type=float, default=1.0, help="so many times the faults")
    parser.add_argument("--short", action="store_true", help="only what `make test` runs, with few faults")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def _wanted(one: Scenario, asked: argparse.Namespace) -> bool:
    named = not asked.names or one.name in asked.names or bool({*one.check.split(",")} & {*asked.names})
    return named and (one.short or not asked.short)


def play_all(chosen: Sequence[Scenario], seed: int, times: float = 1.0, *, short: bool = False) -> list[Row]:
    """Plays them in their order; those that share a ground share one, and it is made anew after a red one."""
    rows: list[Row] = []
    left = list(chosen)
    while left:
        with ground(left[0].small) as ready:
            while left:
                scenario = left.pop(0)
                rows.append(play(scenario, ready, seed, times, short=short))
                _say(lines(rows[-1:])[-1])
                if scenario.alone or not rows[-1].green or (left and left[0].small):
                    break
    return rows


def play(scenario: Scenario, ready: Ground, seed: int, times: float = 1.0, *, short: bool = False) -> Row:
    """One scenario; what it raises is its reason to be red."""
    row = Row(scenario.check, scenario.name)
    stage = Stage(ready, random.Random(f"{seed} {scenario.name}"), row, times, short)
    if ready.slowness > 1:
        stage.note(f"a slow machine: limits × {ready.slowness:.1f}")
    began = time.monotonic()
    try:
        ready.wait_ready()  # a service that the last scenario started anew
        asyncio.run(scenario.play(stage))
        row.green = True
    except Exception as problem:  # noqa: BLE001 whatever it was, the others are still to be played
        traceback.print_exc()
        for one in ready.services.values():
            sys.stderr.write(f"--- {one.name}, exits {one.exits}\n{one.tail(TAIL)}\n")
        row.reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
    row.reason = "; ".join([*([row.reason] if row.reason else []), *stage.notes])
    row.seconds = time.monotonic() - began
    return row


if __name__ == "__main__":
    sys.exit(main())
