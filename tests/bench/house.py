"""The bench's house: PostgreSQL in a folder of its own, databases with one tenant, a real Kafka, processes."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Timer
from typing import Any

import asyncpg

from services.cli.prepare import PARTITIONS, prepare
from services.cli.tenants import NewTenant, create_tenant
from shared.clock import Clock
from shared.embedded import OWNER, EmbeddedPostgres, start_postgres
from shared.postgres import DatabaseSettings
from tests.bench.meter import Meter
from tests.kafka import Broker, emptied, lonely_broker

ROOT = Path(__file__).parents[2]
START_SECONDS = 180.0  # beside much else even an embedded start takes its time
END_SECONDS = 20.0


class BenchFailed(Exception):
    """A process of the bench did not do what it was asked; the message ends with its log."""


@dataclass(frozen=True)
class Base:
    """One database with one tenant: the owner's DSN, the passwords of Genki's roles, the tenant's keys."""

    name: str
    settings: DatabaseSettings
    tenant: NewTenant

    @property
    def environment(self) -> dict[str, str]:
        """What Genki's processes find in their environment."""
        return {
            "GENKI_DATABASE_URL": self.settings.url,
            "GENKI_APP_PASSWORD": self.settings.app_password,
            "GENKI_WORKER_PASSWORD": self.settings.worker_password,
        }


class Worker:
    """One process under measurement. Its first line says that it is ready; `talk` sends a line and reads one."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process, self._log = process, log
        self.meter = Meter(process.pid)
        self.url = ""

    def wait_ready(self) -> None:
        """Reads until `ready`. Raises BenchFailed when the process ends before."""
        assert self._process.stdout is not None
        late = Timer(START_SECONDS, self._process.kill)
        late.start()
        try:
            for line in self._process.stdout:
                if line.startswith("ready"):
                    self.url = line.split()[1] if " " in line.strip() else ""
                    return
            raise self._failed()
        finally:
            late.cancel()

    def talk(self, question: dict[str, Any]) -> dict[str, Any]:
        """One JSON line there and one back. Raises BenchFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise self._failed()
        return json.loads(answer)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Runs for as long as the block lasts and is frozen (SIGSTOP) before and after it."""
        self.meter.process.resume()
        try:
            yield
        finally:
            self.meter.process.suspend()

    def end(self) -> None:
        """SIGTERM, and after a while SIGKILL."""
        if self._process.poll() is None:
            self.meter.process.resume()
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(END_SECONDS)

    def _failed(self) -> BenchFailed:
        tail = self._log.read_text("utf-8", "replace")[-3000:]
        return BenchFailed(f"a process ended or said nothing; the end of its log:\n{tail}")


class House:
    """Everything that is started is ended when the house closes."""

    def __init__(self, stack: ExitStack, profiles: Path | None = None) -> None:
        """`profiles`: a folder where Genki's processes leave cProfile's figures; then the rates mean nothing."""
        self._stack, self._profiles = stack, profiles
        self.folder = Path(tempfile.mkdtemp(prefix="genki-bench-"))
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._count = 0

    @cached_property
    def server(self) -> EmbeddedPostgres:
        """PostgreSQL with the settings that Genki ships."""
        server = start_postgres(self.folder / "data")
        self._stack.callback(server.stop)
        return server

    def adopt(self, server: EmbeddedPostgres) -> None:
        """Another PostgreSQL than one in the house's own folder, before `server` is used; ended with the house."""
        self.__dict__["server"] = server
        self._stack.callback(server.stop)

    @cached_property
    def postgres(self) -> Meter:
        """PostgreSQL's CPU, backends that have ended included."""
        pid = (self.server.data_dir / "postgres" / "postmaster.pid").read_text("utf-8").splitlines()[0]
        return Meter(int(pid))

    @cached_property
    def kafka(self) -> Broker:
        """A real broker. Raises tests.kafka.NoKafka."""
        return self._stack.enter_context(lonely_broker())

    def base(self, *, kafka: bool = False, template: Base | None = None) -> Base:
        """A fresh migrated database with one tenant, or a copy of another base (nobody may be connected to it).
        `kafka`: with topics of its own too, or it would read what an earlier base's tenant of the same number sent."""
        self._count += 1
        name = f"bench_{self._count}"
        return asyncio.run(self._make(name, kafka=kafka, template=template))

    async def _make(self, name: str, *, kafka: bool, template: Base | None) -> Base:
        server = self.server
        copied = f" TEMPLATE {template.name} STRATEGY file_copy" if template else ""
        conn = await asyncpg.connect(server.dsn(OWNER, server.owner_password, "postgres"))
        try:
            await conn.execute(f"CREATE DATABASE {name}" + copied, timeout=600)
        finally:
            await conn.close()
        url = server.dsn(OWNER, server.owner_password, name)
        settings = DatabaseSettings(url, server.app_password, server.worker_password)
        if template is not None:
            return Base(name, settings, template.tenant)
        if kafka:
            await emptied(self.kafka.bootstrap)
        await prepare(settings, self.kafka.bootstrap if kafka else None, PARTITIONS)
        tenant = await create_tenant(settings, "Bench", "Asia/Tokyo", "JPY", Clock().now())
        return Base(name, settings, tenant)

    def genki(self, base: Base, only: str | None = None, *, kafka: bool = False, **environment: str) -> Worker:
        """`genki up --only …` as a process of its own on a free port, or the whole of Genki in one."""
        some = ["--only", only] if only else ["--empty"]
        extra = [*some, *(["--kafka", self.kafka.bootstrap] if kafka else [])]
        return self.spawn("services", "up", "--port", "0", *extra, **base.environment, **environment)

    def spawn(self, module: str, *arguments: str, **environment: str) -> Worker:
        """`python -m module …`, waited for until it says `ready`."""
        self._count += 1
        place = self.folder / f"process-{self._count}"
        place.mkdir()
        log = place / "log"
        file = str(self._profiles / f"{self._count}-{module}.prof") if self._profiles else ""
        profile = ["-m", "tests.bench.profiled", file] if file else ["-m"]
        with log.open("w") as err:
            process = subprocess.Popen(
                [sys.executable, *profile, module, *arguments],
                cwd=ROOT,
                env=os.environ | {"GENKI_DATA": str(place), "PYTHONWARNINGS": "ignore"} | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )
        worker = Worker(process, log)
        self._stack.callback(worker.end)
        worker.wait_ready()
        return worker

    def load(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Runs a load client (`tests.bench.load`) to its end and answers what it counted."""
        return self.loads([spec])[0]

    def loads(self, specs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Several load clients at once."""
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.bench.load", json.dumps(spec)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for spec in specs
        ]  # fmt: skip
        found: list[dict[str, Any]] = []
        for process in running:
            out, err = process.communicate(timeout=600)
            if process.returncode != 0:
                raise BenchFailed(f"a load client failed:\n{err[-3000:]}")
            found.append(json.loads(out))
        return found


@contextmanager
def open_house(profiles: Path | None = None) -> Iterator[House]:
    """A house for one run of the bench."""
    with ExitStack() as stack:
        yield House(stack, profiles)
