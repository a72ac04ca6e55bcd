"""PostgreSQL and Kafka as processes to be stopped, killed, frozen and filled up; on a tmpfs of their own if asked."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from shared.embedded import EmbeddedPostgres, start_postgres
from shared.embedded.programs import call
from tests.kafka import find_java, kafka_jars
from tests.kafka_broker import JarBroker, free_port

PIECE: Final = 2**20  # bytes that are taken at a time
SPARE: Final = 64 * 1024  # bytes left when a folder is filled up


class Postgres:
    """The embedded PostgreSQL of a folder, in other hands than its own."""

    def __init__(self, folder: Path) -> None:
        self.server: EmbeddedPostgres = start_postgres(folder)
        self._cluster = folder / "postgres"

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        return str(self.server.socket_dir / ".s.PGSQL.5432")

    def up(self) -> bool:
        """Whether it takes connections."""
        return call("pg_isready", "-q", "-t", "2", "-h", str(self.server.socket_dir)).returncode == 0

    def stop(self, how: str = "fast") -> None:
        """`fast`: transactions are rolled back; `immediate`: as when its machine crashed."""
        call("pg_ctl", "stop", "-s", "-w", "-D", str(self._cluster), "-m", how, "-t", "30")

    def start(self) -> bool:
        """Starts it; whether it came up."""
        log = str(self._cluster / "server.log")
        return call("pg_ctl", "start", "-s", "-w", "-D", str(self._cluster), "-l", log, "-t", "60").returncode == 0

    def pause(self) -> None:
        """SIGSTOP for every process of it: connections stay open and nothing answers."""
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        for process in reversed(self._processes()):
            process.resume()

    def close(self) -> None:
        """Ends it for good."""
        with suppress(psutil.Error):
            self.resume()
        if not self.up():
            self.stop("immediate")
        self.server.stop()

    def _processes(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(int((self._cluster / "postmaster.pid").read_text("ascii").splitlines()[0]))
        except (FileNotFoundError, psutil.NoSuchProcess):
            return []
        return [first, *first.children(recursive=True)]


class FaultBroker(JarBroker):
    """A broker with a second door: who comes in by `wired` is sent through the port of a wire, which can be cut."""

    def __init__(self, folder: Path) -> None:
        super().__init__(find_java(), kafka_jars(), folder)
        self.wire_port, self._inner_port = free_port(), free_port()

    @property
    def wired(self) -> str:
        """The bootstrap address behind the wire, which must be laid to `inner` first."""
        return f"127.0.0.1:{self.wire_port}"

    @property
    def inner(self) -> str:
        """Where the wire ends."""
        return f"127.0.0.1:{self._inner_port}"

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def _format(self, port: int, controller: int, logs: Path) -> None:
        super()._format(port, controller, logs)
        path = self._folder / "server.properties"
        lines = path.read_text("utf-8").splitlines()
        doors = {
            "listeners=": f",WIRED://127.0.0.1:{self._inner_port}",
            "advertised.listeners=": f",WIRED://{self.wired}",
        }
        for start, more in doors.items():
            lines = [line + more if line.startswith(start) else line for line in lines]
        names = ("PLAINTEXT", "CONTROLLER", "WIRED")
        lines.append(f"listener.security.protocol.map={','.join(f'{name}:PLAINTEXT' for name in names)}")
        path.write_text("\n".join(lines) + "\n", "utf-8")


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A tmpfs of that size, for root alone; unmounted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="genki-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        with suppress(OSError):
            folder.rmdir()


def fill(folder: Path, spare: int = SPARE) -> Path:
    """A file that takes all the space of a folder's disk but `spare` bytes; unlink it and the space is back."""
    ballast, size = folder / "ballast", 0
    with ballast.open("wb") as file, suppress(OSError):  # others write too: the last piece may find no room
        while (more := min(_free(folder) - spare, PIECE)) > 0:
            os.posix_fallocate(file.fileno(), size, more)
            size += more
    return ballast


def _free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
