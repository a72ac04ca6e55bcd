"""Genki as processes: started like a user starts it, reached over HTTP, killed like a machine kills it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from tests.conftest import TestDatabase

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120


@dataclass
class Process:
    """One `genki up` with its output in a file."""

    handle: subprocess.Popen[bytes]
    output: Path
    url: str = ""

    def kill(self) -> None:
        """SIGKILL: nothing of it gets a last word."""
        self.handle.send_signal(signal.SIGKILL)
        self.handle.wait(10)

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        if self.handle.poll() is None:
            self.handle.send_signal(signal.SIGTERM)
        return self.handle.wait(40)

    def wait_ready(self) -> str:
        """The URL of its line `ready …`."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            for line in self.output.read_text().splitlines():
                if line.startswith("ready http"):
                    self.url = line.split()[1]
                    return self.url
            if self.handle.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"not ready:\n{self.output.read_text()[-3000:]}")


@dataclass
class Ground:
    """A database (and a broker, if any) on which processes run."""

    database: TestDatabase
    folder: Path
    kafka: str | None = None
    program: tuple[str, ...] = ("services",)  # what `up` runs; a test may put itself before it
    processes: list[Process] = field(default_factory=list)
    door: str = ""  # where what was started last is asked

    def restart(self, *flags: str) -> str:
        """Ends what runs and starts all of Genki; the URL of its public door."""
        for process in self.processes:
            if process.handle.poll() is None:
                assert process.end() == 0
        self.door = self.up(*flags).wait_ready()
        return self.door

    def attempt(self, *flags: str) -> Process:
        """Starts one process more, which is expected to refuse."""
        return self.up(*flags)

    def up(self, *flags: str, env: Mapping[str, str] | None = None) -> Process:
        """Starts `genki up` on a free port. Not waited for."""
        output = self.folder / f"up-{len(self.processes)}.log"
        command = [sys.executable, "-m", *self.program, "up", "--port", "0", "--empty", *flags]
        with output.open("wb") as sink:
            handle = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._env(), **(env or {})},
            )
        process = Process(handle, output)
        self.processes.append(process)
        return process

    def command(self, *words: str) -> str:
        """Runs another `genki` command to its end; its stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "services", *words],
            cwd=ROOT, env={**os.environ, **self._env()}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def script(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        """Starts a module of the tests on the same ground."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *words], cwd=ROOT, env={**os.environ, **self._env()}, stdout=subprocess.PIPE
        )

    def _env(self) -> dict[str, str]:
        made = self.database
        found = {
            "GENKI_DATABASE_URL": made.owner_dsn,
            "GENKI_APP_PASSWORD": made.app_password,
            "GENKI_WORKER_PASSWORD": made.worker_password,
            "GENKI_DATA": str(self.folder / "data"),
        }
        return found | ({"GENKI_KAFKA_BOOTSTRAP": self.kafka} if self.kafka else {})

    def stop_all(self) -> None:
        """Ends what still runs."""
        for process in self.processes:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                if process.handle.poll() is None:
                    process.end()


@asynccontextmanager
async def client(url: str, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client with a key."""
    async with httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30) as opened:
        yield opened


async def send(http: httpx2.AsyncClient, items: Sequence[Mapping[str, Any]], size: int = 200) -> None:
    """POST /v1/events until every batch was answered 200, as a careful client does; nothing may be rejected."""
    for start in range(0, len(items), size):
        batch = list(items[start : start + size])
        for _ in range(200):
            with suppress(httpx2.TransportError):
                answer = await http.post("/v1/events", json=batch)
                if answer.status_code == 200:
                    assert [one for one in answer.json()["results"] if one["status"] != "accepted"] == []
                    break
                assert answer.status_code in (429, 503), answer.text
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("never accepted")


async def fresh(http: httpx2.AsyncClient, since: datetime, path: str = "/v1/coverage", seconds: float = 120) -> None:
    """Waits until every fact accepted up to `since` is in the figures."""
    deadline = time.monotonic() + seconds
    told: Any = None
    while time.monotonic() < deadline:
        with suppress(httpx2.TransportError):
            answer = await http.get(path)
            told = answer.json()
            if answer.status_code == 200 and told["fresh_to"] and datetime.fromisoformat(told["fresh_to"]) >= since:
                return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not fresh: {told}")
