"""The embedded PostgreSQL: closed to all but its roles, adopted after a kill, gone after a stop."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from shared.embedded import AlreadyRunning, EmbeddedPostgres, borrowed_postgres, running_postgres, start_postgres

HOLD = "import sys,time; from pathlib import Path; from shared.embedded import start_postgres; \
start_postgres(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="genki-embedded-") as name:
        yield Path(name)


def postmaster(folder: Path) -> int:
    return int((folder / "postgres" / "postmaster.pid").read_text().split()[0])


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def one(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_the_server_is_a_real_postgresql_18_with_durable_settings(postgres: EmbeddedPostgres) -> None:
    settings = {
        "server_version_num": "18",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "jit": "off",
        "shared_buffers": "128MB",
        "max_wal_size": "4GB",
        "autovacuum_naptime": "10s",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    for name, value in settings.items():
        found = str(await one(postgres.owner_dsn, f"SHOW {name}"))
        assert found[:2] == value if name == "server_version_num" else found == value, name


@pytest.mark.parametrize("role", ["genki_owner", "genki_app", "genki_worker"])
async def test_no_role_enters_without_its_password(postgres: EmbeddedPostgres, role: str) -> None:
    for password in ("wrong", ""):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.dsn(role, password))


async def test_the_two_working_roles_own_nothing_and_bypass_nothing(postgres: EmbeddedPostgres) -> None:
    flags = "rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole"
    query = f"SELECT count(*) FILTER (WHERE {flags}) * 10 + count(*) FROM pg_roles WHERE rolname ~ 'genki_(app|worker)'"
    assert await one(postgres.owner_dsn, query) == 2


def test_secrets_are_readable_by_their_owner_only(postgres: EmbeddedPostgres) -> None:
    assert (postgres.data_dir / "secrets").stat().st_mode & 0o777 == 0o600
    assert postgres.socket_dir.stat().st_mode & 0o077 == 0


def test_a_second_process_is_refused_but_may_borrow(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(AlreadyRunning, match=f"in use by process {os.getpid()}"):
        start_postgres(postgres.data_dir)
    with borrowed_postgres(postgres.data_dir) as server:
        assert server.owner_dsn == postgres.owner_dsn
    assert running_postgres(postgres.data_dir).owner_dsn == postgres.owner_dsn


def test_a_server_left_by_a_killed_parent_is_adopted_and_ended(folder: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == b"held\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    left = postmaster(folder)
    assert alive(left)
    server = start_postgres(folder)
    assert postmaster(folder) == left
    server.stop()
    server.stop()
    assert not alive(left)


def test_a_start_killed_inside_initdb_is_begun_anew(folder: Path) -> None:
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "PG_VERSION").write_text("18")
    start_postgres(folder).stop()
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "postgres", "run", "secrets"]


async def test_a_path_too_long_for_a_socket_still_starts(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    server = start_postgres(deep)
    try:
        assert len(str(server.socket_dir)) < 60
        assert await one(server.owner_dsn, "SELECT 1") == 1
    finally:
        server.stop()
        server.socket_dir.rmdir()
