"""The load of `freshness`: facts at a steady rate, and probes that are asked for until their effect shows.

Each probe is one usage fact of an account of its own, silent until then: `active_days_28` becomes 1. Each answer that
does not show it yet, but says `fresh_to` at or after the moment when the probe was accepted, is a false claim.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import uvloop

from tests.bench import made

POLL: Final = 0.05  # seconds between two looks: on average half of it is in every figure, and all of it is load;
RARER: Final = 0.1  # so who has waited long looks more rarely, by this share of what was waited
PATIENCE: Final = 20.0  # seconds until a probe counts as not seen
BATCHES_A_SECOND: Final = 20
WARM_SECONDS: Final = 3.0
BACKGROUND: Final = 4_000  # facts sent beforehand


class Prober:
    """One run of the load."""

    def __init__(self, spec: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._spec, self._session = spec, session
        self._server = {"authorization": f"Bearer {spec['server']}"}
        self._admin = {"authorization": f"Bearer {spec['admin']}"}
        self.times: list[float] = []
        self.refused: dict[int, int] = {}
        self.sent = self.lost = self.claimed = 0

    async def prepare(self) -> None:
        """The probes' accounts, and usage before them so that the tenant's first day does not move any more."""
        count = int(self._spec["probes"] * (self._spec["seconds"] + WARM_SECONDS)) + 5
        accounts = [{"type": "account", "id": f"p{n}", "at": _now(-5), "account_id": _probe(n)} for n in range(count)]
        for start in range(0, count, 500):
            await self._post(json.dumps(accounts[start : start + 500]).encode())
        bodies = made.bodies(99, 500, known=True)
        for _ in range(BACKGROUND // 500):
            await self._post(next(bodies))
        while await self._active_days(count - 1) is None:  # noqa: ASYNC110 the other side is HTTP
            await asyncio.sleep(0.1)
        await asyncio.sleep(3)

    async def run(self) -> dict[str, Any]:
        """Facts and probes by the clock; what was seen."""
        seconds = self._spec["seconds"]
        warm = asyncio.create_task(self._send(100, WARM_SECONDS))
        await warm
        self.sent, began = 0, time.perf_counter()
        await asyncio.gather(self._send(101, seconds), self._probe_all(seconds))
        return {
            "sent": self.sent, "seconds": time.perf_counter() - began, "times": self.times, "lost": self.lost,
            "claimed": self.claimed, "refused": self.refused,
        }  # fmt: skip

    async def _send(self, seed: int, seconds: float) -> None:
        each = max(1, self._spec["rate"] // BATCHES_A_SECOND)
        bodies = made.bodies(seed, each, known=True)
        async with asyncio.TaskGroup() as group:
            began = time.perf_counter()
            for number in range(int(seconds * BATCHES_A_SECOND)):
                await asyncio.sleep(max(0, began + number / BATCHES_A_SECOND - time.perf_counter()))
                group.create_task(self._post(next(bodies)))
                self.sent += each

    async def _probe_all(self, seconds: float) -> None:
        every = self._spec["probes"]
        async with asyncio.TaskGroup() as group:
            began = time.perf_counter()
            for number in range(int(seconds * every)):
                await asyncio.sleep(max(0, began + number / every - time.perf_counter()))
                group.create_task(self._probe(number))

    async def _probe(self, number: int) -> None:
        fact = {
            "type": "usage", "id": f"probe-{number}", "at": _now(), "person_id": f"prober-{number}",
            "account_id": _probe(number), "event": "report_opened",
        }  # fmt: skip
        if not await self._post(json.dumps(fact).encode()):
            return
        accepted, began = datetime.now(UTC), time.perf_counter()
        while time.perf_counter() - began < PATIENCE:
            asked = time.perf_counter()
            if await self._active_days(number, accepted):
                self.times.append(time.perf_counter() - began)
                return
            pause = max(POLL, RARER * (asked - began))
            await asyncio.sleep(max(0, asked + pause - time.perf_counter()))
        self.lost += 1

    async def _active_days(self, number: int, accepted: datetime | None = None) -> int | None:
        """None while the account is not known, 0 while it is silent."""
        url = f"{self._spec['url']}/v1/accounts/{_probe(number)}/health"
        async with self._session.get(url, headers=self._admin) as reply:
            if reply.status != 200:
                if reply.status != 404:
                    self._refuse(reply.status)
                return None
            told = await reply.json()
        inputs: dict[str, Any] = {}
        for one in told["dimensions"]:
            inputs |= one.get("inputs") or {}
        days = int(inputs.get("active_days_28") or 0)
        if not days and accepted and told["fresh_to"] and datetime.fromisoformat(told["fresh_to"]) >= accepted:
            self.claimed += 1
        return days

    async def _post(self, body: bytes) -> bool:
        async with self._session.post(f"{self._spec['events']}/v1/events", data=body, headers=self._server) as reply:
            told = await reply.json()
            if reply.status != 200 or any(one["status"] != "accepted" for one in told["results"]):
                self._refuse(reply.status)
                return False
        return True

    def _refuse(self, status: int) -> None:
        self.refused[status] = self.refused.get(status, 0) + 1


def _probe(number: int) -> str:
    return f"probe-account-{number}"


def _now(seconds: float = 0) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat().replace("+00:00", "Z")


async def run(spec: dict[str, Any]) -> None:
    """Prepares, says `ready`, waits for a line, and answers with the figures."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        prober = Prober(spec, session)
        await prober.prepare()
        _tell("ready")
        await asyncio.to_thread(sys.stdin.readline)
        _tell(json.dumps(await prober.run()))


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(json.loads(sys.argv[1])))
