"""`python -m tests.faults.soak [--minutes 30]`: load for long, one random fault a minute, and what it leaves behind.

At the end: nothing waits, every book balances, and memory, file descriptors and connections are where they were. A
process that a fault ended begins anew, so slopes are drawn over those that lived longest between two ends; memory is
the process's own (USS), as what it shares is counted less the more others share it. `--calm` strikes nothing: then
every process lives all the time, and its memory says more.
"""

import argparse
import asyncio
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import psutil

from tests.faults.__main__ import SEED
from tests.faults.ground import NAMES, Ground, ground
from tests.faults.stage import Stage
from tests.faults.table import Row, lines

EVERY: Final = 60.0  # seconds between two faults
LOOK_EVERY: Final = 5.0
WARM: Final = 90.0  # seconds of a process's life that say nothing about its slope
_BACKENDS: Final = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@dataclass(frozen=True)
class Seen:
    """One look: seconds since the beginning, and per process its pid, memory (USS, MB) and open files."""

    at: float
    processes: dict[str, tuple[int, float, int]]
    backends: int
    lag: int


async def soak(stage: Stage, minutes: float, rate: float, *, calm: bool = False) -> list[Seen]:
    """Load of `rate` facts a second, a fault a minute. Raises AssertionError when a book does not balance."""
    ended = asyncio.Event()
    async with stage.load(rate, patience=180) as run:
        watching = asyncio.create_task(_watch(stage.ground, ended))
        until = time.monotonic() + minutes * 60
        while not calm and time.monotonic() + EVERY < until:
            began = time.monotonic()
            name, strike = stage.dice.choice(FAULTS)
            tell(f"{(until - began) / 60:4.1f} min left  {name}")
            await strike(stage)
            stage.row.faults += 1
            stage.back(await stage.ground.progress(120), 120)
            await asyncio.sleep(max(1.0, EVERY - (time.monotonic() - began)))
        await asyncio.sleep(max(0.0, until - time.monotonic()))
    ended.set()
    seen = await watching
    await stage.balance(run, 300)
    stage.note(f"statuses {dict(run.summary.statuses)}")
    return seen


async def _watch(stand: Ground, ended: asyncio.Event) -> list[Seen]:
    found: list[Seen] = []
    began = time.monotonic()
    while not ended.is_set():
        with suppress(Exception):  # a fault is on: the next look will tell
            async with asyncio.timeout(20):
                backends = (await stand.ask(_BACKENDS))[0][0]
                processes = {name: one for name in NAMES if (one := _memory(stand, name)) is not None}
                found.append(Seen(time.monotonic() - began, processes, backends, sum((await stand.waiting()).values())))
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), LOOK_EVERY)
    return found


def _memory(stand: Ground, name: str) -> tuple[int, float, int] | None:
    pid = stand.services[name].pid
    if pid is None:
        return None
    process = psutil.Process(pid)
    return pid, process.memory_full_info().uss / 2**20, process.num_fds()


def told(seen: list[Seen]) -> list[str]:
    """Per service its longest life without an end: how long, memory at the beginning and the end of it, its slope."""
    found = [f"{'service':8} {'min':>5} {'USS MB, first → last':>21} {'MB/h':>7} {'%/h':>6}  files first → last"]
    for name in NAMES:
        life = _longest(seen, name)
        if len(life) < 5:
            found.append(f"{name:8} never lived long enough to draw a line")
            continue
        slope = _slope([(at, memory) for at, memory, _ in life]) * 3600
        first, last = life[0], life[-1]
        found.append(
            f"{name:8} {(last[0] - first[0]) / 60:5.1f} {f'{first[1]:.1f} → {last[1]:.1f}':>21} {slope:7.1f} "
            f"{slope / first[1] * 100:6.1f}  {first[2]} → {last[2]}"
        )
        by_minutes = range(0, len(life), round(300 / LOOK_EVERY))
        found.append("         every 5 min: " + " ".join(f"{life[at][1]:.1f}" for at in by_minutes))
    found.append(
        f"connections to PostgreSQL {seen[0].backends} → {seen[-1].backends}, most {max(s.backends for s in seen)}"
    )
    found.append(f"records behind at the looks: most {max(one.lag for one in seen):,}, last {seen[-1].lag:,}")
    return found


def _longest(seen: list[Seen], name: str) -> list[tuple[float, float, int]]:
    lives: dict[int, list[tuple[float, float, int]]] = {}
    for one in seen:
        if name in one.processes:
            pid, memory, files = one.processes[name]
            lives.setdefault(pid, []).append((one.at, memory, files))
    warm = [[one for one in life if one[0] - life[0][0] >= WARM] for life in lives.values()]
    return max(warm, key=len, default=[])


def _slope(points: list[tuple[float, float]]) -> float:
    """The least-squares line's, units of y per unit of x."""
    count = len(points)
    x, y = sum(at for at, _ in points) / count, sum(value for _, value in points) / count
    return sum((at - x) * (value - y) for at, value in points) / max(sum((at - x) ** 2 for at, _ in points), 1e-9)


def _kill(name: str) -> Callable[[Stage], Any]:
    async def strike(stage: Stage) -> None:
        stage.ground.services[name].kill()
        await asyncio.to_thread(stage.ground.wait_ready)

    return strike


def _freeze(name: str) -> Callable[[Stage], Any]:
    async def strike(stage: Stage) -> None:
        stage.ground.services[name].signal(signal.SIGSTOP)
        await asyncio.sleep(stage.pause(3, 15))
        stage.ground.services[name].signal(signal.SIGCONT)

    return strike


async def _end(stage: Stage) -> None:
    name = stage.dice.choice(NAMES)
    code, _ = await asyncio.to_thread(stage.ground.services[name].end)
    assert code == 0, f"{name} ended with {code} on SIGTERM"
    await asyncio.to_thread(stage.ground.start, name)


async def _broker_killed(stage: Stage) -> None:
    stage.ground.broker.kill()
    await asyncio.sleep(stage.pause(2, 25))
    await asyncio.to_thread(stage.ground.broker.start)


async def _broker_frozen(stage: Stage) -> None:
    stage.ground.broker.pause()
    await asyncio.sleep(stage.pause(2, 15))
    stage.ground.broker.resume()


async def _database_crashed(stage: Stage) -> None:
    await asyncio.to_thread(stage.ground.postgres.stop, "immediate")
    await asyncio.sleep(stage.pause(1, 10))
    assert await asyncio.to_thread(stage.ground.postgres.start), "PostgreSQL did not come back"


async def _database_frozen(stage: Stage) -> None:
    stage.ground.postgres.pause()
    await asyncio.sleep(stage.pause(2, 10))
    stage.ground.postgres.resume()


FAULTS: Final = (
    *((f"kill -9 {name}", _kill(name)) for name in ("scoring", "ingest", "gateway")),
    *((f"freeze {name}", _freeze(name)) for name in NAMES),
    ("end and start one", _end),
    ("kill -9 the broker", _broker_killed),
    ("freeze the broker", _broker_frozen),
    ("crash PostgreSQL", _database_crashed),
    ("freeze PostgreSQL", _database_frozen),
)


def tell(line: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"soak: {line}\n")
    sys.stderr.flush()


def main() -> int:
    """Parses, soaks, prints; 1 when it is red."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=200, help="facts a second")
    parser.add_argument("--calm", action="store_true", help="no faults")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # everything that was started is ended
    row = Row("38", "soak")
    began = time.monotonic()
    with ground() as ready:
        stage = Stage(ready, random.Random(f"{asked.seed} soak"), row)
        try:
            seen = asyncio.run(soak(stage, asked.minutes, asked.rate, calm=asked.calm))
            row.green = True
            row.reason = "; ".join(stage.notes)
        except AssertionError as problem:
            row.reason, seen = str(problem)[:2000], []
    row.seconds = time.monotonic() - began
    sys.stdout.write("\n".join([*lines([row]), "", *(told(seen) if seen else []), ""]))
    return 0 if row.green else 1


if __name__ == "__main__":
    sys.exit(main())
