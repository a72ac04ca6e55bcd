"""Genki started under spells: `python -m tests.faults.bewitched SPELL… -- up --only scoring`. The code is the product's
own; a spell makes one process die at a named point, work slowly, go deaf at a signal, or follow a clock of its own.

`die:POINT:N` SIGKILL at the N-th passing of after_fetch, before_commit, after_commit or between (fold and assessment)
`freeze:POINT:N` SIGSTOP there
`slow:SECONDS:N` the first N folds take so long; `polls:MS` the longest time between two polls of Kafka
`deaf:PART` at SIGUSR1 the consumer's `fetcher` or `coordinator` task is cancelled
`clock:FILE` the process's clock is off by the seconds that the file holds
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import shared.postgres
from shared.bus.kafka.consumer import KafkaConsumer
from shared.clock import MICROSECOND, Clock

POINTS: Final = ("after_fetch", "before_commit", "after_commit", "between")
_folded = {"here": False, "ever": False}  # a fold has been written in this transaction; one has been committed


class Fate:
    """Counts passings of one point and sends the process a signal at the last."""

    def __init__(self, point: str, count: str, number: signal.Signals) -> None:
        if point not in POINTS:
            raise SystemExit(f"no such point: {point}")
        self._point, self._left, self._number = point, int(count), number

    def passing(self, point: str) -> None:
        """A passing of `point`."""
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)


def die(point: str, count: str) -> None:
    """Ends at the point."""
    _strike(Fate(point, count, signal.SIGKILL))


def freeze(point: str, count: str) -> None:
    """Stands still at the point until somebody wakes it."""
    _strike(Fate(point, count, signal.SIGSTOP))


def _strike(fate: Fate) -> None:
    """Wraps the four points. Before anything of scoring is imported: it takes the transaction by its name."""
    fetch, begin = KafkaConsumer.fetch, shared.postgres.tenant_transaction

    async def fetched(self: KafkaConsumer, max_facts: int, wait: float) -> Any:
        records = await fetch(self, max_facts, wait)
        if records:
            fate.passing("after_fetch")
        return records

    @asynccontextmanager
    async def transaction(*given: Any, **named: Any) -> AsyncIterator[Any]:
        _folded["here"] = False
        async with begin(*given, **named) as conn:
            yield conn
            folds = _folded["here"]
            if folds:
                fate.passing("before_commit")
        if folds:
            _folded["ever"] = True
            fate.passing("after_commit")

    KafkaConsumer.fetch = fetched
    shared.postgres.tenant_transaction = transaction
    _mark_folds()
    _watch_rounds(fate)


def _mark_folds() -> None:
    from services.scoring import fold

    apply = fold.apply

    async def applied(*given: Any, **named: Any) -> Any:
        done = await apply(*given, **named)
        _folded["here"] = True
        return done

    fold.apply = applied


def _watch_rounds(fate: Fate) -> None:
    from services.scoring.assess import Assessor

    round_ = Assessor.round

    async def rounded(self: Assessor) -> int:
        if _folded["ever"]:
            _folded["ever"] = False
            fate.passing("between")
        return await round_(self)

    Assessor.round = rounded


def slow(seconds: str, count: str) -> None:
    """The first folds wait inside their transaction."""
    from services.scoring import fold

    apply, left = fold.apply, [int(count)]

    async def applied(*given: Any, **named: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            await asyncio.sleep(float(seconds))
        return await apply(*given, **named)

    fold.apply = applied


def polls(milliseconds: str) -> None:
    """A handler that takes longer than this leaves its group."""
    member = KafkaConsumer._member

    def made(self: KafkaConsumer) -> Any:
        consumer = member(self)
        consumer._max_poll_interval_ms = int(milliseconds)
        return consumer

    KafkaConsumer._member = made


def deaf(part: str) -> None:
    """Prepares what SIGUSR1 does to the consumer."""
    start = KafkaConsumer.start

    async def started(self: KafkaConsumer) -> None:
        await start(self)
        consumer: Any = self._started
        tasks: dict[str, Callable[[], asyncio.Task[Any]]] = {
            "fetcher": lambda: consumer._fetcher._fetch_task,
            "coordinator": lambda: consumer._coordinator._coordination_task,
        }
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: tasks[part]().cancel())

    KafkaConsumer.start = started


def clock(file: str) -> None:
    """Every look at Genki's clock reads the file; without it the clock is right."""
    path = Path(file)

    def off() -> timedelta:
        try:
            return timedelta(seconds=float(path.read_text("ascii") or 0))
        except FileNotFoundError:
            return timedelta(0)

    Clock.now = lambda self: datetime.now(UTC) + self.offset + off()
    Clock.micros = lambda self: time.time_ns() // 1000 + (self.offset + off()) // MICROSECOND


SPELLS: Final[dict[str, Callable[..., None]]] = {
    "die": die, "freeze": freeze, "slow": slow, "polls": polls, "deaf": deaf, "clock": clock,
}  # fmt: skip


def main() -> None:
    """Casts the spells, then runs the command."""
    cut = sys.argv.index("--")
    for spell in sys.argv[1:cut]:
        name, *words = spell.split(":")
        SPELLS[name](*words)
    from services.__main__ import main as genki

    genki(sys.argv[cut + 1 :])


if __name__ == "__main__":
    main()
