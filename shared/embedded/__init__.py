"""The cellar: a real PostgreSQL 18 out of a Python wheel, in a folder of our own, reached by socket only."""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from shared.embedded.programs import call, give, let_in, server_user

OWNER: Final = "genki_owner"
DATABASE: Final = "genki"
START_SECONDS: Final = 120  # crash recovery of a few GB of WAL included
STOP_SECONDS: Final = 30
_SOCKET_LIMIT: Final = 107  # bytes of a Unix socket's path on Linux; 103 on macOS
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_HBA: Final = "local all all scram-sha-256\n"
# autovacuum_naptime: what was an empty table a minute ago is planned for as one, and read whole.
_SETTINGS: Final = """\
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
shared_buffers = 128MB
max_wal_size = 4GB
max_connections = 120
max_locks_per_transaction = 256
jit = off
log_checkpoints = off
autovacuum_naptime = 10s
"""


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the message says why and where its log is."""


class AlreadyRunning(EmbeddedError):
    """Another process holds this data folder."""


@dataclass
class EmbeddedPostgres:
    """A running server. `stop()` ends it if this process started or adopted it, else does nothing."""

    data_dir: Path
    socket_dir: Path
    owner_password: str = field(repr=False)
    app_password: str = field(repr=False)
    worker_password: str = field(repr=False)
    _lock: IO[str] | None = field(default=None, repr=False)

    @property
    def owner_dsn(self) -> str:
        """A DSN for asyncpg and libpq, as the owner of the database `genki`."""
        return self.dsn(OWNER, self.owner_password)

    def dsn(self, user: str, password: str, database: str = DATABASE) -> str:
        """A DSN over the socket for any role and database."""
        return f"postgresql://{user}:{password}@/{database}?host={quote(str(self.socket_dir), safe='/')}"

    def stop(self) -> None:
        """End the server (fast: open transactions roll back) and let the folder go. A second call does nothing."""
        if self._lock is None:
            return
        _pg_ctl(self.data_dir, "stop", "-m", "fast", "-t", str(STOP_SECONDS))
        self._lock.close()
        self._lock = None


def start_postgres(data_dir: Path) -> EmbeddedPostgres:
    """Start the server of a data folder, or adopt the one a killed process left running there.

    Blocks until it takes connections: about 1 s on a new folder, 0.2 s on an old one.
    Raises AlreadyRunning when another process holds the folder, EmbeddedError when the server does not come up.
    """
    data_dir = data_dir.expanduser().absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = _lock(data_dir)
    try:
        words = passwords(data_dir)
        let_in(data_dir)
        _initialise(data_dir, words["owner"])
        _bring_up(data_dir)
        server = _server(data_dir, words, lock)
        _ensure_roles(server)
    except BaseException:
        lock.close()
        raise
    return server


@contextmanager
def borrowed_postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """The folder's server for a short task: the one that runs, else one started for the task and ended after it."""
    try:
        server = start_postgres(data_dir)
    except AlreadyRunning:
        server = running_postgres(data_dir)
    try:
        yield server
    finally:
        server.stop()


def running_postgres(data_dir: Path, seconds: float = START_SECONDS) -> EmbeddedPostgres:
    """The server another process runs on this folder, waiting until it is ready. Raises EmbeddedError if it is not."""
    data_dir = data_dir.expanduser().absolute()
    deadline = time.monotonic() + seconds
    while not _ready(data_dir):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"the database in {data_dir} is held by another process but does not answer")
        time.sleep(0.1)
    return _server(data_dir, passwords(data_dir), None)


def passwords(data_dir: Path) -> dict[str, str]:
    """The three roles' passwords, made on first use; the file is readable by this user only."""
    path = data_dir / "secrets"
    if path.exists():
        return json.loads(path.read_text("ascii"))
    words = {role: secrets.token_hex(24) for role in ("owner", "app", "worker")}
    draft = path.with_suffix(".new")
    _write_private(draft, json.dumps(words))
    draft.rename(path)
    return words


def _server(data_dir: Path, words: Mapping[str, str], lock: IO[str] | None) -> EmbeddedPostgres:
    sockets = _postmaster(data_dir)[4]
    return EmbeddedPostgres(data_dir, Path(sockets), words["owner"], words["app"], words["worker"], lock)


def _lock(data_dir: Path) -> IO[str]:
    """The folder's lock: one owner at a time, let go by the kernel when the owner dies."""
    handle = (data_dir / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.seek(0)
        owner = handle.read().strip() or "unknown"
        handle.close()
        raise AlreadyRunning(f"{data_dir} is in use by process {owner}") from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _initialise(data_dir: Path, password: str) -> None:
    """A cluster in `postgres/`, built aside and renamed, so that a killed start leaves nothing half made."""
    cluster = data_dir / "postgres"
    if not (cluster / "PG_VERSION").exists():
        draft = _empty_folder(data_dir / "postgres.new")
        paper = data_dir / "initdb.password"
        _write_private(paper, password)
        give(paper, 0o600)
        flags = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", f"--username={OWNER}", f"--pwfile={paper}"]
        provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        _run("initdb", *flags, *provider, "-D", str(draft))
        paper.unlink()
        draft.rename(cluster)
    (cluster / "pg_hba.conf").write_text(_HBA)
    (cluster / "postgresql.auto.conf").write_text("")
    (cluster / "postgresql.conf").write_text(_SETTINGS.format(sockets=_socket_dir(data_dir)))


def _empty_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    give(path, 0o700)
    return path


def _socket_dir(data_dir: Path) -> Path:
    """Where the socket lies: in the data folder, or in a short private one when that path is too long for a socket."""
    near = data_dir / "run"
    runtime = None if server_user() else os.environ.get("XDG_RUNTIME_DIR")
    name = f"genki-{os.getuid()}-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]}"
    far = Path(runtime or tempfile.gettempdir()) / name
    chosen = near if len(os.fsencode(near / _SOCKET_NAME)) <= _SOCKET_LIMIT - 4 else far
    chosen.mkdir(mode=0o700, exist_ok=True)
    give(chosen, 0o700)
    return chosen


def _bring_up(data_dir: Path) -> None:
    """Start unless a server of this folder already answers; a server that is leaving is waited for."""
    if _pg_ctl(data_dir, "status") == 0 and _settled(data_dir):
        return
    log = data_dir / "postgres" / "server.log"
    code = _pg_ctl(data_dir, "start", "-l", str(log), "-t", str(START_SECONDS))
    if code != 0:
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-12:]) if log.exists() else "no log"
        raise EmbeddedError(f"PostgreSQL did not start (pg_ctl {code}); the end of {log}:\n{tail}")


def _settled(data_dir: Path) -> bool:
    """True once a running server answers, False once it is gone."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _ready(data_dir):
            return True
        if _pg_ctl(data_dir, "status") != 0:
            return False
        time.sleep(0.1)
    raise EmbeddedError(f"a PostgreSQL left running in {data_dir} neither answers nor ends")


def _ready(data_dir: Path) -> bool:
    lines = _postmaster(data_dir)
    return len(lines) > 7 and lines[7].strip() == "ready" and _answers(lines[4])


def _answers(sockets: str) -> bool:
    return call("pg_isready", "-q", "-h", sockets).returncode == 0


def _postmaster(data_dir: Path) -> list[str]:
    """The lines of postmaster.pid: pid, folder, start, port, socket folder, address, shared memory, state."""
    try:
        return (data_dir / "postgres" / "postmaster.pid").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []


def _ensure_roles(server: EmbeddedPostgres) -> None:
    """Roles, passwords and the database as `secrets` says, whatever was there before."""
    script = []
    for role, password in (("genki_app", server.app_password), ("genki_worker", server.worker_password)):
        script.append(f"SELECT 'CREATE ROLE {role}' WHERE to_regrole('{role}') IS NULL \\gexec")
        script.append(f"ALTER ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD '{password}';")
    exists = f"SELECT FROM pg_database WHERE datname = '{DATABASE}'"
    script.append(f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS ({exists}) \\gexec")
    dsn = server.dsn(OWNER, server.owner_password, "postgres")
    _run("psql", "--no-psqlrc", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, stdin="\n".join(script) + "\n")


def _pg_ctl(data_dir: Path, action: str, *flags: str) -> int:
    return call("pg_ctl", action, "-s", "-w", "-D", str(data_dir / "postgres"), *flags).returncode


def _run(program: str, *arguments: str, stdin: str = "") -> None:
    done = call(program, *arguments, stdin=stdin)
    if done.returncode != 0:
        raise EmbeddedError(f"{program} failed ({done.returncode}): {done.stderr.strip()[-800:]}")
