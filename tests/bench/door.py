"""A door of ingest or of a baseline under load: rounds of requests, each measured by the CPU of the one process."""

from typing import Any

from tests.bench.house import House, Worker
from tests.bench.meter import Meter
from tests.bench.table import Sample, say

CONNECTIONS = 32
SINGLE_CONNECTIONS = 256
BATCH = 100


class Door:
    """Sends facts (`kind` events) or calls (`kind` track) to one contestant at a time, every id new."""

    def __init__(self, house: House, kind: str, token: str, postgres: Meter | None = None) -> None:
        """`postgres`: another server than the house's."""
        self._house, self._kind, self._token = house, kind, token
        self._postgres = postgres or house.postgres
        self._seed = 0
        self._refused: dict[str, int] = {}

    def round(self, worker: Worker, items: int, seconds: float, *, quiet: bool = False) -> Sample:
        """One round of requests of so many items; the CPU is the worker's from the first request to the last answer.
        `quiet`: it warms up, and is no part of what is told."""
        self._seed += 1
        connections = CONNECTIONS if items > 1 else SINGLE_CONNECTIONS
        spec = {
            "kind": self._kind, "url": worker.url, "token": self._token, "connections": connections,
            "seconds": seconds, "facts": items, "seed": self._seed,
        }  # fmt: skip
        cpu, postgres = worker.meter.cpu(), self._postgres.cpu()
        told = self._house.load(spec)
        spent = worker.meter.cpu() - cpu
        if not quiet:
            self._count(told)
        return Sample(
            told["requests"] * items, spent, told["seconds"], self._postgres.cpu() - postgres, worker.meter.peak_mb()
        )

    def rounds(self, workers: list[Worker], items: int, rounds: int, seconds: float) -> list[list[Sample]]:
        """Interleaved rounds: one list of samples for each worker, the first of them ours."""
        found: list[list[Sample]] = [[] for _ in workers]
        for number in range(rounds):
            say(f"{self._kind}: {items} a request, round {number + 1} of {rounds}")
            for samples, worker in zip(found, workers, strict=True):
                samples.append(self.round(worker, items, seconds))
        return found

    def told(self, items: int) -> str:
        """What the reader of the row should know."""
        connections = CONNECTIONS if items > 1 else SINGLE_CONNECTIONS
        return f"{connections} connections; refused: {self._refused or 'none'}"

    def _count(self, told: dict[str, Any]) -> None:
        for status, count in told["refused"].items():
            self._refused[status] = self._refused.get(status, 0) + count
