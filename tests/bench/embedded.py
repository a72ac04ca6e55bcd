"""Row `embedded`: `genki up` with nothing but a folder: seconds to ready, memory and CPU at rest, facts on its log."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg
import psutil

from services.cli.tenants import create_tenant
from shared.clock import Clock
from shared.embedded import OWNER, running_postgres
from shared.postgres import DatabaseSettings
from tests.bench.door import BATCH, Door
from tests.bench.house import House, Worker
from tests.bench.log import drained
from tests.bench.meter import Meter
from tests.bench.table import Row, Sample, compared

STARTS: Final = 3
REST: Final = 5.0  # seconds after all that was sent is folded and judged
IDLE: Final = 10.0  # seconds that rest is looked at


def embedded(house: House, rounds: int, seconds: float) -> list[Row]:
    """The whole of Genki and its own PostgreSQL, as somebody starts it who has neither database nor Kafka."""
    folder = house.folder / "embedded"
    first, worker = _start(house, folder)
    fresh = _pss(worker)
    server = running_postgres(folder)
    settings = DatabaseSettings(server.dsn(OWNER, server.owner_password), server.app_password, server.worker_password)
    log = _facts(house, worker, folder, settings, rounds, seconds)
    asyncio.run(_worked_off(settings))
    rest = _at_rest(worker, folder, fresh)
    later = []
    for _ in range(STARTS):
        worker.end()
        took, worker = _start(house, folder)
        later.append(took)
    worker.end()
    told = f"a new folder {first:.1f} s (with initdb), a known one {median(later):.1f} s (median of {STARTS})"
    start = Row("embedded start", rounds=STARTS, notes=[told], figures={"first": first, "later": median(later)})
    return [start, rest, log]


def _start(house: House, folder: Path) -> tuple[float, Worker]:
    began = time.perf_counter()
    worker = house.spawn("services", "up", "--port", "0", "--empty", GENKI_DATA=str(folder))
    return time.perf_counter() - began, worker


async def _worked_off(settings: DatabaseSettings) -> None:
    conn = await asyncpg.connect(settings.url)
    await drained(conn, assessed=True)
    await conn.close()
    await asyncio.sleep(REST)


def _facts(
    house: House, worker: Worker, folder: Path, settings: DatabaseSettings, rounds: int, seconds: float
) -> Row:  # fmt: skip
    """Durable on the PostgreSQL log through POST /v1/events, while the same process folds and judges."""
    tenant = asyncio.run(create_tenant(settings, "Bench", "Asia/Tokyo", "JPY", Clock().now()))
    door = Door(house, "events", tenant.keys["server"], _postgres(folder))
    door.round(worker, BATCH, 1.0, quiet=True)
    samples: list[Sample] = [door.round(worker, BATCH, seconds) for _ in range(rounds)]
    wall = median(one.per_second for one in samples)
    told = f"{wall:,.0f} facts/s accepted, folding and judging beside it in the same process; {door.told(BATCH)}"
    return compared("embedded log, 100 a request", samples, [], told, figures={"wall": wall})


def _at_rest(worker: Worker, folder: Path, fresh: float) -> Row:
    postgres = _postgres(folder)
    cpu, stored = worker.meter.cpu(), postgres.cpu()
    time.sleep(IDLE)
    cpu, stored = (worker.meter.cpu() - cpu) / IDLE * 100, (postgres.cpu() - stored) / IDLE * 100
    mine, its = _pss(worker), _pss_of(_tree(postgres.process.pid))
    notes = [
        f"PSS of Python's processes {mine:.0f} MB after load ({fresh:.0f} when ready), PostgreSQL's {its:.0f} MB",
        f"idle: {cpu:.1f} % of a core, PostgreSQL {stored:.1f} %",
    ]
    figures = {"pss": mine, "pss_fresh": fresh, "pss_postgres": its, "idle": cpu, "idle_postgres": stored}
    return Row("embedded memory at rest", peak_mb=worker.meter.peak_mb(), rounds=1, notes=notes, figures=figures)


def _postgres(folder: Path) -> Meter:
    return Meter(int((folder / "postgres" / "postmaster.pid").read_text("utf-8").split("\n", 1)[0]))


def _pss(worker: Worker) -> float:
    """MB of the process and its children, PostgreSQL's left out."""
    found = [one for one in _tree(worker.meter.process.pid) if "python" in _name(one)]
    return _pss_of(found)


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _name(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


def _pss_of(processes: list[psutil.Process]) -> float:
    total = 0
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            total += one.memory_full_info().pss
    return total / 2**20
