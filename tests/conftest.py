"""The test house's cellar: one real PostgreSQL a session, a fresh migrated database a module, a real Kafka if any."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import hypothesis
import pytest

from shared.embedded import OWNER, AlreadyRunning, EmbeddedPostgres, start_postgres
from shared.postgres import Database, DatabaseSettings, open_database
from tests.kafka import Broker, NoKafka, described, lonely_broker, merged, running_broker, said

hypothesis.settings.register_profile("deep", max_examples=10_000, deadline=None)  # pytest --hypothesis-profile deep
TEMPLATE = "genki_template"
LONGEST_FIRST = ("slow", "kafka", "database")
Result = TypeVar("Result")


@dataclass(frozen=True)
class TestDatabase:
    """One database of the session's server: its name and the DSN of each role."""

    __test__ = False
    name: str
    owner_dsn: str = field(repr=False)
    app_dsn: str = field(repr=False)
    worker_dsn: str = field(repr=False)
    app_password: str = field(repr=False)
    worker_password: str = field(repr=False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The session's PostgreSQL: durable settings as in production, roles genki_app and genki_worker, no tables."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix="genki-test-"))
    server = start_postgres(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(postgres: EmbeddedPostgres) -> Callable[[], TestDatabase]:
    """A function that makes one more migrated, empty database, a copy of a template migrated once."""
    from shared.migrations.run import migrate

    _command(postgres, f"CREATE DATABASE {TEMPLATE}")
    run_apart(migrate(postgres.dsn(OWNER, postgres.owner_password, TEMPLATE)))
    count = 0

    def make() -> TestDatabase:
        nonlocal count
        count += 1
        name = f"genki_{count}"
        _command(postgres, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return _described(postgres, name)

    return make


@pytest.fixture(scope="module")
def database(new_database: Callable[[], TestDatabase], postgres: EmbeddedPostgres) -> Iterator[TestDatabase]:
    """A fresh migrated database for this test module."""
    made = new_database()
    yield made
    _command(postgres, f"DROP DATABASE {made.name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    """The module's database as a service opens it: both pools."""
    settings = DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password)
    opened = await open_database(settings)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """The session's real Kafka broker. Without one the test is skipped and the last lines of the run say so."""
    with _broker(running_broker()) as broker:
        yield broker


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[Broker]:
    """A broker for this module alone: a log belongs to one database."""
    with _broker(lonely_broker()) as broker:
        yield broker


@contextmanager
def _broker(opening: AbstractContextManager[Broker]) -> Iterator[Broker]:
    with ExitStack() as stack:
        try:
            broker = stack.enter_context(opening)
        except NoKafka as reason:
            said[:] = [f"NO REAL KAFKA: the tests of the Kafka body did not run. {reason}"]
            if os.environ.get("GENKI_REQUIRE_KAFKA"):
                pytest.fail(str(reason))
            pytest.skip(f"no real Kafka: {reason}")
        said[:] = merged([*said, f"Kafka: {described(broker)}"])
        yield broker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test that uses the real broker is marked `kafka` (a body of the log is told by its parameter), every test
    that uses PostgreSQL `database`: what bears neither mark is over in seconds. Files that boot processes or a broker
    come first: two workers that share the files then end together."""
    for item in items:
        if "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if {"kafka", "own_kafka"} & {*getattr(item, "fixturenames", ()), *map(str, parameters.values())}:
            item.add_marker(pytest.mark.kafka)
    marks = {mark: {item.path for item in items if item.get_closest_marker(mark)} for mark in LONGEST_FIRST}
    items.sort(key=lambda item: [item.path not in marks[mark] for mark in LONGEST_FIRST])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands what it has to say about Kafka to the run that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["kafka"] = list(said)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a worker had to say about Kafka; no line twice."""
    said.extend(line for line in getattr(node, "workeroutput", {}).get("kafka", ()) if line not in said)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which Kafka the tests ran against, in the last lines."""
    for line in merged(said):
        loud = line.startswith("NO ")
        terminalreporter.write_line(line, red=loud, bold=loud)


def run_apart(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in a thread of its own, whatever loop this thread has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _described(server: EmbeddedPostgres, name: str) -> TestDatabase:
    return TestDatabase(
        name=name,
        owner_dsn=server.dsn(OWNER, server.owner_password, name),
        app_dsn=server.dsn("genki_app", server.app_password, name),
        worker_dsn=server.dsn("genki_worker", server.worker_password, name),
        app_password=server.app_password,
        worker_password=server.worker_password,
    )


def _command(server: EmbeddedPostgres, statement: str) -> None:
    async def go() -> None:
        connection = await asyncpg.connect(server.dsn(OWNER, server.owner_password, "postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    run_apart(go())


def _sweep() -> None:
    """End and remove what runs killed more than an hour ago left behind."""
    for folder in Path(tempfile.gettempdir()).glob("genki-test-*"):
        with suppress(OSError, AlreadyRunning):
            if time.time() - folder.stat().st_mtime > 3600:
                start_postgres(folder).stop()
                shutil.rmtree(folder, ignore_errors=True)
