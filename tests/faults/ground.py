"""The ground of all scenarios: PostgreSQL, Kafka and Genki's services as processes, each of them in our hands."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from services.cli.prepare import prepare
from services.cli.tenants import NewTenant, create_tenant
from shared.bus import Place
from shared.facts import CONSUMED_TOPICS, DEAD_TOPIC
from shared.postgres import DatabaseSettings
from tests.faults.cellar import FaultBroker, Postgres, small_disk
from tests.faults.supervised import Supervised, until
from tests.journeys.apart import COMPOSE
from tests.kafka_broker import free_port

NAMES: Final = ("scoring", "ingest", "nps", "gateway")
READY_SECONDS: Final = 180.0  # on a machine that does much else
QUIET_START: Final = 20.0  # seconds for four services at once on two cores that do nothing else, twice over
SMALL: Final = {"postgres": 400, "broker": 160}  # MB
_POSITIONS: Final = "SELECT topic, part, next FROM bus.position WHERE consumer = 'scoring'"
_WAITING: Final = """
SELECT (SELECT count(*) FROM bus.outbox WHERE octet_length(body) > 0) AS outbox,
  (SELECT count(*) FROM scoring_state.dirty) AS dirty, (SELECT count(*) FROM scoring_state.recheck) AS recheck
"""
_LOST: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass
class Ground:
    """What runs, and the questions that every scenario asks of it."""

    folder: Path
    postgres: Postgres
    broker: FaultBroker
    settings: DatabaseSettings
    disk: Path | None = None  # the small one, if any
    slowness: float = 1.0  # how many times longer than on a quiet machine the services took to start
    services: dict[str, Supervised] = field(default_factory=dict)

    @property
    def door(self) -> str:
        """The gateway's URL."""
        return self.services["gateway"].url

    def starts(self) -> dict[str, int]:
        """How often each service was started."""
        return {name: one.starts for name, one in self.services.items()}

    def service(self, name: str, kind: str | None = None) -> Supervised:
        """The service of that name; made, not started, when it is new. `kind`: which service of compose it is."""
        if name not in self.services:
            self.services[name] = Supervised(
                name, self.words(kind or name), self.environment(kind or name), self.folder / f"{name}.log", free_port()
            )
            self.services[name].env["GENKI_PORT"] = str(self.services[name].port)
            self.services[name].env["GENKI_DATA"] = str(self.folder / name)
        return self.services[name]

    def words(self, kind: str, *flags: str) -> list[str]:
        """What Python runs for one service of compose."""
        return ["services", *COMPOSE["services"][kind]["command"], *flags]

    def environment(self, kind: str) -> dict[str, str]:
        """The container's environment, with the addresses of this machine in place of its own."""
        local = {
            "GENKI_DATABASE_URL": self.settings.url,
            "GENKI_APP_PASSWORD": self.settings.app_password,
            "GENKI_WORKER_PASSWORD": self.settings.worker_password,
            "GENKI_KAFKA_BOOTSTRAP": self.broker.bootstrap,
            **{f"GENKI_{name.upper()}_URL": one.url for name, one in self.services.items() if name in NAMES},
        }
        left_out = ("GENKI_", "PYTHONDONTWRITEBYTECODE")  # without bytecode a start costs twice the CPU
        clean = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
        given = COMPOSE["services"][kind]["environment"]
        return {**clean, **{key: local[key] for key in given if key in local}}

    def start(self, *names: str) -> None:
        """Starts these services (all four by default) and waits until they are ready."""
        for name in names or NAMES:
            self.service(name).start()
        self.wait_ready(*names)

    def wait_ready(self, *names: str, seconds: float = READY_SECONDS) -> float:
        """Waits until these services (all that were made, by default) say they are ready; how long it took."""
        asked = [self.services[name] for name in names or self.services]
        try:
            return until(lambda: all(one.ready() for one in asked), seconds, f"{[one.name for one in asked]} not ready")
        except AssertionError as problem:
            said = [f"{one.name}: {one.asked('/readyz')}, exits {one.exits}\n{one.tail(5)}" for one in asked]
            raise AssertionError("\n".join([str(problem), *said])) from None

    def as_told(self, name: str, *flags: str, module: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        """Starts one service anew with other words: flags, a starting module, more environment. Not waited for."""
        one, kind = self.service(name), name.partition("-")[0]
        code, _ = one.end()
        assert code == 0, f"{name} ended with {code}"
        words = self.words(kind, *flags)
        one.words = [*module, *words[1:]] if module else words
        own = {"GENKI_PORT": str(one.port), "GENKI_DATA": str(self.folder / name)}
        one.env = {**self.environment(kind), **own, **(env or {})}
        one.start()

    def cast(self, name: str, *spells: str) -> None:
        """Starts one service anew under spells, or without any as it should be. Not waited for."""
        self.as_told(name, module=("tests.faults.bewitched", *spells, "--") if spells else ())

    async def tenant(self, name: str, currency: str = "JPY") -> NewTenant:
        """A new tenant with its first keys."""
        return await create_tenant(self.settings, name, "Asia/Tokyo", currency, datetime.now(UTC))

    async def ask(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        """Rows, as the owner who sees every tenant. Raises what asyncpg raises."""
        conn = await asyncpg.connect(self.settings.url, timeout=5, command_timeout=20)
        try:
            return await conn.fetch(sql, *values)
        finally:
            await conn.close(timeout=2)

    async def positions(self) -> dict[Place, int]:
        """The stored next offset of each partition that scoring reads."""
        return {(row["topic"], row["part"]): row["next"] for row in await self.ask(_POSITIONS)}

    async def ends(self, topics: Sequence[str] = CONSUMED_TOPICS) -> dict[Place, int]:
        """The log's own next offsets. Raises KafkaError."""
        async with asyncio.timeout(10):
            return await self._ends(topics)

    async def _ends(self, topics: Sequence[str]) -> dict[Place, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap, enable_auto_commit=False)
        try:
            await consumer.start()
            asked = [TopicPartition(one, part) for one in topics for part in consumer.partitions_for_topic(one) or ()]
            if not asked:
                consumer.assign([TopicPartition(topics[0], 0)])
                asked = [TopicPartition(topic, part) for topic in topics for part in range(12)]
            return {(place.topic, place.partition): end for place, end in (await consumer.end_offsets(asked)).items()}
        finally:
            await consumer.stop()

    async def dead(self) -> int:
        """How many records the dead-letter topic holds."""
        return sum((await self.ends([DEAD_TOPIC])).values())

    async def waiting(self) -> dict[str, int]:
        """Records that scoring has not applied, and rows that wait in the outbox or for their assessment; none: {}."""
        ends, stored = await self.ends(), await self.positions()
        behind = sum(max(0, end - stored.get(place, 0)) for place, end in ends.items())
        found = {"log": behind, **(await self.ask(_WAITING))[0]}
        return {name: count for name, count in found.items() if count}

    async def drained(self, seconds: float = 60) -> float:
        """Waits until nothing waits anywhere; how long it took. A standstill of `seconds` raises AssertionError."""
        began = moved = time.monotonic()
        seen: dict[str, int] | None = None
        while time.monotonic() - moved < seconds:
            with suppress(KafkaError, *_LOST):
                now = await self.waiting()
                if not now and not await self.waiting():
                    return time.monotonic() - began
                moved = time.monotonic() if seen is None or sum(now.values()) < sum(seen.values()) else moved
                seen = now
            await asyncio.sleep(0.2)
        raise AssertionError(f"not drained, and nothing moved for {seconds:.0f} s: {seen} wait")

    async def progress(self, seconds: float = 60) -> float:
        """Waits until scoring's positions move on; how long it took. Raises AssertionError."""
        began, first = time.monotonic(), None
        while time.monotonic() - began < seconds:
            with suppress(*_LOST):
                now = sum((await self.positions()).values())
                first = now if first is None else first
                if now > first:
                    return time.monotonic() - began
            await asyncio.sleep(0.1)
        raise AssertionError(f"scoring made no progress within {seconds:.0f} s")

    async def put(self, topic: str, part: int, bodies: Sequence[bytes], headers: Any = ()) -> None:
        """Records straight onto the log, past every door."""
        producer = AIOKafkaProducer(bootstrap_servers=self.broker.bootstrap, acks="all")
        await producer.start()
        try:
            for body in bodies:
                await producer.send_and_wait(topic, body, partition=part, headers=list(headers))
        finally:
            await producer.stop()

    async def letters(self) -> list[bytes]:
        """Everything on the dead-letter topic."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            ends = await self.ends([DEAD_TOPIC])
            places = {TopicPartition(*place): end for place, end in ends.items() if end}
            consumer.assign(list(places))
            if places:
                await consumer.seek_to_beginning(*places)
            found: list[bytes] = []
            while any([await consumer.position(place) < end for place, end in places.items()]):
                batch = await consumer.getmany(timeout_ms=500)
                found += [one.value or b"" for some in batch.values() for one in some]
            return [line for body in found for line in body.split(b"\n")]
        finally:
            await consumer.stop()


@contextmanager
def ground(small: str | None = None) -> Iterator[Ground]:
    """Everything started and ready; ended and removed afterwards. `small`: whose data lies on a small disk of its own,
    "postgres" or "broker"."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="genki-faults-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = stack.enter_context(small_disk(SMALL[small])) if small else None
        kafka = (disk if small == "broker" and disk else folder) / "kafka"
        kafka.mkdir()
        postgres = (disk if small == "postgres" and disk else folder) / "pg"
        yield stack.enter_context(_started(folder, FaultBroker(kafka), postgres, disk))


@contextmanager
def _started(folder: Path, broker: FaultBroker, data: Path, disk: Path | None) -> Iterator[Ground]:
    opened: Ground | None = None
    try:
        with ThreadPoolExecutor(2) as pool:
            made = pool.submit(broker.create)
            postgres = Postgres(data)
            made.result()
        server = postgres.server
        settings = DatabaseSettings(server.owner_dsn, server.app_password, server.worker_password)
        opened = Ground(folder, postgres, broker, settings, disk)
        with ThreadPoolExecutor(1) as apart:  # with a loop of its own, whatever loop this thread has
            apart.submit(asyncio.run, prepare(settings, broker.bootstrap)).result()
        _make(opened)
        began = time.monotonic()
        opened.start()
        opened.slowness = max(1.0, (time.monotonic() - began) / QUIET_START)
        yield opened
    finally:
        _end(opened, broker)


def _make(opened: Ground) -> None:
    for name in NAMES:
        opened.service(name)
    for name in NAMES:  # once every port is known
        opened.services[name].env |= opened.environment(name)


def _end(opened: Ground | None, broker: FaultBroker) -> None:
    if opened is not None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(Supervised.close, opened.services.values()))
        opened.postgres.close()
    broker.stop()
