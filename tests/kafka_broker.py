"""One real Kafka broker out of its own jars, to be killed, frozen and started again by fault tests."""

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import IO

JAVA = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]  # little CPU, not much speed
PROPERTIES = Path(__file__).parents[1] / "deploy" / "kafka" / "server.properties"
READY_SECONDS = 180.0  # two cores may be busy with much else


class BrokerFailed(Exception):
    """The broker did not come up; the message ends with its log."""


class JarBroker:
    """A single-node KRaft broker in `folder`, on two free ports below 32768 that stay the same across restarts."""

    controllable = True

    def __init__(self, java: Path, jars: Path, folder: Path) -> None:
        self._java, self._jars, self._folder = java, jars, folder
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = ""

    def create(self) -> None:
        """Format and start; another pair of ports is tried when somebody took one in between."""
        for attempt in range(5):
            self._format(free_port(), free_port(), self._folder / f"logs-{attempt}")
            try:
                self.start()
                return
            except BrokerFailed:
                if attempt == 4 or "Address already in use" not in self._tail(200):
                    raise

    def start(self) -> None:
        """Start and wait until it takes connections. Raises BrokerFailed."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = self._launch("kafka.Kafka", log=log)
        deadline = time.monotonic() + READY_SECONDS
        while not answers(self.bootstrap):
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                self.kill()
                how = f"did not start in {READY_SECONDS:.0f} s" if code is None else f"ended with {code}"
                raise BrokerFailed(f"Kafka {how}; the end of its log:\n{self._tail(20)}")
            time.sleep(0.1)

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM, 20)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        self._end(signal.SIGKILL, 10)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers. Returns when every thread stands still: the signal
        alone is only a request, and on a busy machine a thread may answer once more."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while self._process is not None and not standing(self._process.pid):
            if time.monotonic() > deadline:
                raise BrokerFailed("Kafka does not stand still")
            time.sleep(0.005)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    @property
    def pid(self) -> int | None:
        """The broker's process, None while it is down."""
        return self._process.pid if self._process else None

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: int, seconds: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def _format(self, port: int, controller: int, logs: Path) -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        text = PROPERTIES.read_text("utf-8").replace("{port}", str(port))
        text = text.replace("{controller}", str(controller)).replace("{logs}", str(logs))
        (self._folder / "server.properties").write_text(text, "utf-8")
        identity = os.urandom(15).hex()[:22]
        with (self._folder / "broker.log").open("ab") as log:
            tool = self._launch("kafka.tools.StorageTool", "format", "--standalone", "-t", identity, "-c", log=log)
            if tool.wait(60) != 0:
                raise BrokerFailed(f"Kafka's storage could not be formatted:\n{self._tail(20)}")

    def _launch(self, main: str, *arguments: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        command = [str(self._java), *JAVA, quiet, "-cp", f"{self._jars}/*", main, *arguments]
        command.append(str(self._folder / "server.properties"))
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _tail(self, lines: int) -> str:
        return "\n".join((self._folder / "broker.log").read_text("utf-8", "replace").splitlines()[-lines:])


def standing(pid: int) -> bool:
    """Whether all threads of a process are stopped (state T in proc(5))."""
    states = [task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(state == "T" for state in states)


def free_port() -> int:
    """A port nobody listens on, below the range the kernel hands out to outgoing connections."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def answers(bootstrap: str) -> bool:
    """Whether a broker answers an ApiVersions request there (an open port alone says too little)."""
    host, port = bootstrap.rsplit(":", 1)
    request = bytes.fromhex("00120000000000010005") + b"genki"
    try:
        with socket.create_connection((host, int(port)), timeout=1) as connection:
            connection.sendall(len(request).to_bytes(4, "big") + request)
            return len(connection.recv(16)) > 8
    except OSError:
        return False
