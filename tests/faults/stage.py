"""What a scenario is handed: the ground, its own dice, how often to strike, and the row it fills."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from services.cli.tenants import NewTenant
from tests.faults.client import Load, Tenant, load
from tests.faults.ground import Ground
from tests.faults.ledger import audit
from tests.faults.table import Row

RATE: Final = 200.0  # facts a second
TENANTS: Final = 3
ALLOWED: Final = {0, 200, 429, 503}  # what a client of the door may see while something is broken; 0 is no answer


@dataclass
class Stage:
    """One scenario's run."""

    ground: Ground
    dice: random.Random
    row: Row
    times: float = 1.0
    short: bool = False
    notes: list[str] = field(default_factory=list)
    _ledger: Path | None = None
    _made: list[Tenant] = field(default_factory=list)

    @asynccontextmanager
    async def load(self, rate: float = RATE, **more: Any) -> AsyncIterator[Load]:
        """Facts of three new tenants through the gateway beside the block, 5 % of them doubled, 2 % out of order. At
        the block's end what is unknown is sent until it is acknowledged; `balance` then draws up the account."""
        ground = self.ground
        made = [await ground.tenant(f"{self.row.name} {number}") for number in range(TENANTS)]
        self._made = [Tenant.of(one) for one in made]
        self._ledger = ground.folder / f"{self.row.name}-{time.monotonic_ns()}.ndjson"
        seed = self.dice.randrange(10**6)
        async with load(ground.door, self._made, self._ledger, rate=rate, seed=seed, **more) as run:
            await asyncio.sleep(1)  # the first facts are on their way before anything breaks
            yield run

    @property
    def tenants(self) -> list[Tenant]:
        """Those of the last load."""
        return self._made

    async def balance(self, run: Load, seconds: float = 90) -> None:
        """Waits until nothing waits, then holds every book against the client's. Raises AssertionError."""
        ground = self.ground
        statuses = run.summary.statuses
        assert statuses.keys() <= ALLOWED, f"clients were answered {dict(statuses)}"
        if refused := {status or "none": count for status, count in sorted(statuses.items()) if status != 200}:
            self.note("answers: " + ", ".join(f"{count} × {status}" for status, count in refused.items()))
        assert not run.summary.given_up, f"{run.summary.given_up} requests were never answered"
        await ground.drained(seconds)
        report = await audit(ground.settings, ground.broker.bootstrap, self._ledger)
        totals = [report.totals.get(one.tenant_id, {}) for one in self._made]
        row = self.row
        row.acked, row.applied, row.duplicate, row.dead = (
            sum(one.get(name, 0) for one in totals) for name in ("acked", "applied", "duplicate", "dead")
        )
        assert report.green, report.text()

    def count(self, full: int, short: int = 1) -> int:
        """How often to strike: `full` times what was asked for with --times, or `short` in the short version."""
        return short if self.short else max(1, round(full * self.times))

    def pause(self, least: float, most: float) -> float:
        """Seconds between, of this scenario's dice."""
        return self.dice.uniform(least, most)

    def back(self, seconds: float, most: float = 30.0) -> None:
        """Notes how long it took until work went on. Raises AssertionError beyond `most`."""
        self.row.back = max(self.row.back or 0.0, seconds)
        self.within(seconds, most, "back")

    def within(self, seconds: float, most: float, what: str) -> None:
        """Raises AssertionError beyond `most` seconds, or as many times more as this machine is slower than a quiet
        one."""
        most *= self.ground.slowness
        assert seconds <= most, f"{what} after {seconds:.1f} s, allowed are {most:.1f}"

    def note(self, text: str) -> None:
        """A figure worth a word in the table."""
        self.notes.append(text)

    def client(self, tenant: NewTenant, key: str = "server") -> httpx2.AsyncClient:
        """An HTTP client at the public door with one of the tenant's keys."""
        headers = {"authorization": f"Bearer {tenant.keys[key]}"}
        return httpx2.AsyncClient(base_url=self.ground.door, headers=headers, timeout=15)


@dataclass(frozen=True)
class Scenario:
    """A name, the number of the check it answers, and what is done. `alone`: nothing else is played on its ground;
    `small` ("postgres", "broker"): whose data lies there on a small disk."""

    name: str
    check: str
    play: Callable[[Stage], Coroutine[Any, Any, None]]
    short: bool = False
    alone: bool = False
    small: str | None = None
