"""A load client that keeps books: every attempt is on disk before its request leaves, every outcome after it.

In a scenario (`made`: of `services.cli.tenants.create_tenant`, or of `tenants` here):

    async with load(url, [Tenant.of(one) for one in made], folder / "sent.ndjson", rate=300) as run:
        …  # break things; `run.aim(url)` where a door has moved; `run.summary` tells statuses and times
    report = await audit(settings, kafka, folder / "sent.ndjson")  # tests.faults.ledger: waits for the drain
    assert report.green, report.text()

As a process: `python -m tests.faults.client --url URL --tenants tenants.json --ledger FILE --rate 300 --seconds 60`,
tenants.json being `[{"tenant_id", "server", "write", "admin"}, …]`; SIGTERM ends it early, its summary goes to stdout.
What is not acknowledged (no answer, 408, 429, 5xx) is sent again until it is, or until `patience` seconds after the
end: then it stays unknown. So a load ends in bounded time, also where nothing answers.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

from services.cli.tenants import NewTenant, create_tenant
from services.scoring.ledger.attempts import Line
from shared.postgres import DatabaseSettings
from tests.faults.course import Course, Item
from tests.faults.notebook import Notebook

OPEN_REQUESTS: Final = 32
TIMEOUT: Final = 10.0  # seconds for one answer
BACKOFF: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
_PASSING: Final = (408, 429)


class Tenant(NamedTuple):
    """A tenant and its keys."""

    tenant_id: str
    server: str
    write: str
    admin: str

    @classmethod
    def of(cls, made: NewTenant) -> "Tenant":
        """A tenant just made."""
        return cls(made.tenant_id, made.keys["server"], made.keys["write"], made.keys["admin"])


class Answer(NamedTuple):
    """One request: when it was answered (seconds since the load began), how long it took, its status (0: none)."""

    at: float
    seconds: float
    status: int


@dataclass
class Summary:
    """What became of a load. `items` by acked, rejected, unknown (attempts, so retries too)."""

    items: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    answers: list[Answer] = field(default_factory=list)
    given_up: int = 0  # requests that stayed unknown

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came; 0 is no answer."""
        return Counter(one.status for one in self.answers)

    def document(self) -> dict[str, Any]:
        """For a process's last line."""
        slowest = max((one.seconds for one in self.answers), default=0.0)
        return {
            "items": dict(self.items), "refusals": dict(self.refusals), "statuses": dict(self.statuses),
            "given_up": self.given_up, "slowest": round(slowest, 3),
        }  # fmt: skip


class Load:
    """Facts of several tenants at a steady rate. `run` once; `stop` ends the sending, not the asking again."""

    def __init__(
        self, url: str | Callable[[], str], made: Sequence[Tenant], ledger: Path, *, rate: float = 300.0, seed: int = 1,
        seconds: float | None = None, batch: int = 20, retry: bool = True, patience: float = 60.0,
    ) -> None:  # fmt: skip
        """`rate` in facts a second; `url` of a gateway or of ingest's own door."""
        self._url, self._made, self._notebook = url, list(made), Notebook(ledger)
        self._rate, self._batch, self._retry, self._patience = rate, batch, retry, patience
        self._seconds = seconds
        self._dice = random.Random(seed)
        now = datetime.now(UTC)
        # The moment is part of each id, so that two loads of one seed do not repeat each other.
        mark = f"{seed}-{int(now.timestamp() * 1000) % 10**9}"
        self._courses = [Course(f"{mark}-{index}", seed, now) for index in range(len(self._made))]
        self._mark, self._number = mark, 0
        self._stopped = asyncio.Event()
        self._give_up_at = float("inf")
        self._open: set[asyncio.Task[None]] = set()
        self._began = time.monotonic()
        self.summary = Summary()

    def aim(self, url: str) -> None:
        """From now on the door is there; requests that are asked again go there too."""
        self._url = url

    def stop(self, patience: float | None = None) -> None:
        """Nothing new is sent; what is unknown is asked again for `patience` seconds more."""
        left = self._patience if patience is None else patience
        self._give_up_at = min(self._give_up_at, time.monotonic() + left)
        self._stopped.set()

    async def run(self) -> Summary:
        """Until stopped, or for `seconds`; then until everything is known or the patience ends."""
        limits = aiohttp.TCPConnector(limit=OPEN_REQUESTS)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(connector=limits, timeout=timeout) as http:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._send_all(http)
            self.stop()
            if self._open:
                await asyncio.wait(self._open)
        await self._notebook.close()
        return self.summary

    async def _send_all(self, http: aiohttp.ClientSession) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            course = self._dice.randrange(len(self._courses))
            items = [self._courses[course].next() for _ in range(self._batch)]
            for door in ("events", "batch"):
                some = [item for item in items if item.door == door]
                if some:
                    await self._begin(http, self._made[course], door, some)
            due = max(due + self._batch / self._rate, time.monotonic() - 1.0)  # what was missed is not made up for
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), max(0.0, due - time.monotonic()))

    async def _begin(self, http: aiohttp.ClientSession, tenant: Tenant, door: str, items: list[Item]) -> None:
        while len(self._open) >= OPEN_REQUESTS and not self._stopped.is_set():
            await asyncio.wait(self._open, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        if self._stopped.is_set():
            return
        task = asyncio.create_task(self._deliver(http, tenant, door, items))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _deliver(self, http: aiohttp.ClientSession, tenant: Tenant, door: str, items: list[Item]) -> None:
        attempt = 0
        while True:
            wait = await self._attempt(http, tenant, door, items)
            if wait is None:
                return
            pause = max(BACKOFF[min(attempt, len(BACKOFF) - 1)] * (0.5 + self._dice.random()), min(wait, 2.0))
            attempt += 1
            if not self._retry or time.monotonic() + pause > self._give_up_at:
                self.summary.given_up += 1
                return
            await asyncio.sleep(pause)

    async def _attempt(
        self, http: aiohttp.ClientSession, tenant: Tenant, door: str, items: list[Item]
    ) -> float | None:  # fmt: skip
        """None when the outcome is known, else how many seconds the door asked to wait."""
        self._number += 1
        name = f"{self._mark}-{self._number}"
        meant = [list(item.meant) for item in items]
        await self._notebook.write(
            Line(attempt=name, tenant=tenant.tenant_id, door=door, at=int(time.time() * 1e6), items=meant)
        )
        began = time.monotonic()
        status, told, wait = await self._ask(http, tenant, door, [item.body for item in items])
        took = time.monotonic() - began
        self.summary.answers.append(Answer(began + took - self._began, took, status))
        results = _results(door, status, told, len(items))
        unknown = None if results is not None else str(status or told)
        ms = round(took * 1000, 1)
        await self._notebook.write(Line(end=name, results=results, unknown=unknown, status=status, ms=ms))
        self._count(results, len(items))
        return wait if results is None else None

    async def _ask(
        self, http: aiohttp.ClientSession, tenant: Tenant, door: str, bodies: list[dict[str, Any]]
    ) -> tuple[int, Any, float]:
        url = self._url if isinstance(self._url, str) else self._url()
        said: Any = bodies if door == "events" else {"batch": bodies}
        key = tenant.server if door == "events" else tenant.write
        try:
            async with http.post(f"{url}/v1/{door}", json=said, headers={"authorization": f"Bearer {key}"}) as reply:
                wait = reply.headers.get("retry-after", "0")
                told = await reply.json(content_type=None)
                return reply.status, told, float(wait) if wait.isdigit() else 0.0
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            return 0, type(problem).__name__, 0.0

    def _count(self, results: Sequence[str | None] | None, count: int) -> None:
        if results is None:
            self.summary.items["unknown"] += count
            return
        for code in results:
            self.summary.items["acked" if code is None else "rejected"] += 1
            if code is not None:
                self.summary.refusals[code] += 1


def _results(door: str, status: int, told: Any, count: int) -> list[str | None] | None:
    """Per item None (acknowledged) or the code of its refusal; None when nothing is known."""
    if status == 0 or status in _PASSING or status >= 500:
        return None
    if status != 200:
        return [f"http {status}" for _ in range(count)]
    if door == "events":
        return [None if one["status"] == "accepted" else one["code"] for one in told["results"]]
    refused = {one["index"]: one["code"] for one in told["rejected"]}
    assert told["accepted"] + len(refused) == count, told
    return [refused.get(index) for index in range(count)]


async def tenants(settings: DatabaseSettings, count: int, name: str = "Load") -> list[Tenant]:
    """New tenants."""
    now = datetime.now(UTC)
    return [Tenant.of(await create_tenant(settings, f"{name} {n}", "Asia/Tokyo", "JPY", now)) for n in range(count)]


@asynccontextmanager
async def load(
    url: str | Callable[[], str], made: Sequence[Tenant], ledger: Path, **more: Any
) -> AsyncIterator[Load]:  # fmt: skip
    """A load beside the block, `more` as of Load. The block's end is the load's, unless `seconds` say otherwise; then
    it waits until all is known. A block that fails stops the load at once."""
    run = Load(url, made, ledger, **more)
    running = asyncio.create_task(run.run())
    try:
        yield run
    except BaseException:
        run.stop(0.0)
        await asyncio.wait([running], timeout=TIMEOUT + 5)
        running.cancel()
        raise
    if more.get("seconds") is None:
        run.stop()
    await running


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.client", description="A load client with a ledger.")
    parser.add_argument("--url", help="the door; without it --url-file is read before each request")
    parser.add_argument("--url-file", type=Path)
    parser.add_argument("--tenants", type=Path, required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--no-retry", action="store_true")
    return parser.parse_args()


async def _main(asked: argparse.Namespace) -> None:
    made = [Tenant(**one) for one in json.loads(asked.tenants.read_text("utf-8"))]
    url = asked.url or (lambda: asked.url_file.read_text("ascii").strip())
    run = Load(
        url, made, asked.ledger, rate=asked.rate, seed=asked.seed, seconds=asked.seconds, batch=asked.batch,
        retry=not asked.no_retry, patience=asked.patience,
    )  # fmt: skip
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, run.stop)
    summary = await run.run()
    sys.stdout.write(json.dumps(summary.document()) + "\n")


if __name__ == "__main__":
    asyncio.run(_main(_arguments()))
