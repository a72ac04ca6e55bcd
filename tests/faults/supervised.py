"""A process that is kept running: killed, frozen and ended by hand, started again as compose does it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.journeys.running import ROOT

FIRST_PAUSE: Final = 0.1  # seconds before the first new start; each further one takes twice as long
LONGEST_PAUSE: Final = 10.0  # Docker goes up to a minute: its patience, not ours to measure
GOOD_RUN: Final = 10.0  # seconds of running after which the pause begins anew
GRACE: Final = 30.0  # stop_grace_period of docker-compose.yml


class Supervised:
    """One service. `words`: module and arguments for Python; whoever changes them does so while it is down."""

    def __init__(self, name: str, words: Sequence[str], env: Mapping[str, str], log: Path, port: int) -> None:
        self.name, self.port, self.log = name, port, log
        self.words, self.env = list(words), dict(env)
        self.exits: list[int] = []  # codes of ends that nobody asked for, negative for signals
        self.starts = 0
        self._handle: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._launched = 0.0
        self._changed = threading.Condition()
        self._keeper = threading.Thread(target=self._keep, daemon=True, name=f"keeps {name}")
        self._over = False
        self._keeper.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        handle = self._handle
        return handle.pid if handle is not None and handle.poll() is None else None

    def start(self) -> None:
        """Starts it and keeps it. Not waited for."""
        with self._changed:
            self._wanted = True
            if self.pid is None:
                self._launch()
            self._changed.notify_all()

    def signal(self, number: int) -> bool:
        """Sends a signal to the process, if there is one."""
        with suppress(ProcessLookupError):
            if self.pid is not None:
                os.kill(self.pid, number)
                return True
        return False

    def kill(self) -> bool:
        """SIGKILL; it comes again by itself. Whether there was a process to kill."""
        return self.signal(signal.SIGKILL)

    def end(self, grace: float = GRACE) -> tuple[int, float]:
        """SIGTERM, not to come again: its exit code (-9 when the grace was over) and how many seconds it took."""
        with self._changed:
            self._wanted = False
            handle = self._handle
            self._changed.notify_all()
        if handle is None or handle.poll() is not None:
            return 0, 0.0
        began = time.monotonic()
        with suppress(ProcessLookupError):
            handle.send_signal(signal.SIGCONT)
            handle.terminate()
        try:
            handle.wait(grace)
        except subprocess.TimeoutExpired:
            handle.kill()
            handle.wait(10)
        return handle.returncode, time.monotonic() - began

    def close(self) -> None:
        """Ends it for good."""
        self.end()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._keeper.join(5)

    def ready(self) -> bool:
        """Whether it says that it can work."""
        return self.asked("/readyz")[0] == 200

    def asked(self, path: str, timeout: float = 6.0) -> tuple[int, str]:
        """Status and body of a GET; (0, reason) without an answer."""
        try:
            with urlopen(self.url + path, timeout=timeout) as answer:  # noqa: S310 our own address
                return answer.status, answer.read().decode()
        except HTTPError as refusal:
            return refusal.code, refusal.read().decode(errors="replace")
        except (OSError, ValueError) as problem:
            return 0, str(problem)

    def told(self, words: str, since: int = 0) -> list[str]:
        """Lines of its log, from byte `since` on, that hold these words."""
        with self.log.open("rb") as file:
            file.seek(since)
            return [line for line in file.read().decode(errors="replace").splitlines() if words in line]

    def tail(self, count: int) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-count:]) if self.log.exists() else ""

    def said(self) -> int:
        """How long its log is, in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def _launch(self) -> None:
        with self.log.open("ab") as sink:
            self._handle = subprocess.Popen(
                [sys.executable, "-m", *self.words], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=sink, stderr=subprocess.STDOUT, env=self.env,
            )  # fmt: skip
        self.starts += 1
        self._launched = time.monotonic()

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._over:
            with self._changed:
                handle = self._handle
                if not self._wanted or handle is None:
                    self._changed.wait(0.5)
                    continue
            with suppress(subprocess.TimeoutExpired):
                handle.wait(0.2)
            if handle.poll() is not None:
                pause = FIRST_PAUSE if time.monotonic() - self._launched > GOOD_RUN else min(2 * pause, LONGEST_PAUSE)
                self._again(handle, pause)

    def _again(self, handle: subprocess.Popen[bytes], pause: float) -> None:
        """A new start after a pause, unless it is no longer wanted."""
        with self._changed:
            if not self._wanted or handle is not self._handle:
                return
            self.exits.append(handle.returncode)
            self._changed.wait(pause)
            if self._wanted and handle is self._handle:
                self._launch()


def until(done: Callable[[], bool], seconds: float, what: str, every: float = 0.05) -> float:
    """Waits for it; how many seconds it took. Raises AssertionError after `seconds`."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - began
