"""How far the demo is: a bar on a terminal, plain lines elsewhere, both with rate and time left."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

EVERY: Final = 1.0  # seconds between plain lines


class Progress(Protocol):
    """Told once how much there is, then of every step: `name` of the stage and how many lines it sent."""

    def begin(self, total: int, done: int) -> None: ...

    def advance(self, name: str, lines: int) -> None: ...


class Lines:
    """Plain lines, at most one a second: `usage 12,000 of 33,431, 4,512/s, 5 s left`."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._total = self._done = self._first = 0
        self._began = self._told = 0.0

    def begin(self, total: int, done: int) -> None:
        """`done` of `total` lines were sent by an earlier run."""
        self._total, self._done, self._first = total, done, done
        self._began = self._told = self._clock()

    def advance(self, name: str, lines: int) -> None:
        """`lines` more of stage `name` are on the log."""
        self._done += lines
        now = self._clock()
        if now - self._told < EVERY and self._done < self._total:
            return
        self._told = now
        rate = (self._done - self._first) / max(now - self._began, 1e-3)
        left = (self._total - self._done) / max(rate, 1e-3)
        self._say(f"{name}: {self._done:,} of {self._total:,} sent, {rate:,.0f}/s, {left:.0f} s left")


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """Lines a second."""
        return Text(f"{task.speed or 0:,.0f}/s", style="progress.data.speed")


class Bar:
    """A bar that redraws itself."""

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        self._bar = RichProgress(*columns, console=console)
        self._task: TaskID | None = None

    def begin(self, total: int, done: int) -> None:
        """`done` of `total` lines were sent by an earlier run."""
        self._task = self._bar.add_task("", total=total, completed=done)

    def advance(self, name: str, lines: int) -> None:
        """`lines` more of stage `name` are on the log."""
        if self._task is not None:
            self._bar.update(self._task, description=name, advance=lines)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()


@contextmanager
def shown(console: Console) -> Iterator[Progress]:
    """What suits this console."""
    if console.is_terminal:
        with Bar(console) as bar:
            yield bar
    else:
        yield Lines(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
