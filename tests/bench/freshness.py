"""Row `freshness`: from the answer that accepts a fact to the health answer that shows it, at a steady rate."""

import json
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from services.cli.compose import GATEWAY, SERVICES
from tests.bench.house import Base, BenchFailed, House, Worker
from tests.bench.prober import PATIENCE
from tests.bench.table import Row, lost, say

PROBES_A_SECOND: Final = 10
KIND: Final = {False: "PostgreSQL log, one process", True: "Kafka, a process each"}


LOGS: Final = {"pg": (False,), "kafka": (True,), "both": (False, True)}


def freshness(house: House, rates: Sequence[int], seconds: float, log: str = "both") -> list[Row]:
    """On one log or on both. The sender is an open model: a late answer does not hold back the next batch. A rate that
    fails keeps the others."""
    rows: list[Row] = []
    for rate in rates:
        for kafka in LOGS[log]:
            try:
                rows.append(_measured(house, rate, seconds, kafka=kafka))
            except (BenchFailed, OSError, ValueError) as problem:
                rows.append(lost(f"freshness at {rate:,}/s", problem))
    return rows


def _measured(house: House, rate: int, seconds: float, *, kafka: bool) -> Row:
    say(f"freshness: {rate:,} facts/s for {seconds:.0f} s, {KIND[kafka]}")
    base = house.base(kafka=kafka)
    workers = _processes(house, base, kafka=kafka)
    door = workers[-1].url
    spec = {
        "url": door, "events": workers[0].url if kafka else door, "server": base.tenant.keys["server"],
        "admin": base.tenant.keys["admin"], "rate": rate, "seconds": seconds, "probes": PROBES_A_SECOND,
    }  # fmt: skip
    prober = house.spawn("tests.bench.prober", json.dumps(spec))
    before = [worker.meter.cpu() for worker in workers]
    postgres = house.postgres.cpu()
    told = prober.talk({"go": True})
    spent = [worker.meter.cpu() - cpu for worker, cpu in zip(workers, before, strict=True)]
    stored = house.postgres.cpu() - postgres
    peak = sum(worker.meter.peak_mb() for worker in workers)
    for worker in workers:
        worker.end()
    return _row(told, rate, sum(spent), stored, peak, kafka=kafka)


def _processes(house: House, base: Base, *, kafka: bool) -> list[Worker]:
    """Embedded: all in one. Distributed: one each, ingest first and the gateway last."""
    if not kafka:
        return [house.genki(base)]
    behind = {name: house.genki(base, name, kafka=True) for name in SERVICES if name != GATEWAY}
    urls = {f"GENKI_{name.upper()}_URL": worker.url for name, worker in behind.items()}
    return [behind["ingest"], *(one for name, one in behind.items() if name != "ingest"),
            house.genki(base, GATEWAY, kafka=True, **urls)]  # fmt: skip


def _row(told: dict[str, Any], rate: int, cpu: float, postgres: float, peak: float, *, kafka: bool) -> Row:
    sent, seconds = told["sent"], told["seconds"]
    times = sorted(told["times"])
    p50, p99 = (median(times) * 1000, times[min(len(times) - 1, int(len(times) * 0.99))] * 1000) if times else (-1, -1)
    most = max(times, default=-0.001) * 1000
    seen = f"{len(times)} probes, {told['lost']} not seen"
    cores = f"CPU {cpu / seconds * 100:.0f} % of a core, PostgreSQL {postgres / seconds * 100:.0f} %"
    claims = f"fresh_to claimed too much {told['claimed']} times; refused: {told['refused'] or 'none'}"
    notes = [
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {most:.0f} ms, {seen}; {KIND[kafka]}",
        f"{cores}; {claims}",
    ]
    name = f"freshness at {rate:,}/s, {'Kafka' if kafka else 'pg'}"
    figures = {"p50": p50 / 1000, "p99": p99 / 1000 if times and not told["lost"] else PATIENCE}
    return Row(
        name, sent / cpu, wall=sent / seconds, postgres_us=postgres / sent * 1e6, peak_mb=peak, rounds=1, notes=notes,
        figures=figures,
    )  # fmt: skip
