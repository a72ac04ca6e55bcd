"""`genki` as an operator meets it: real processes, a real folder, signals and kills."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

GENKI = [sys.executable, "-m", "services"]
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="genki-cli-") as name:
        yield Path(name)


def genki(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GENKI_")}
    env |= {"GENKI_DATA": str(folder / "data")}
    return subprocess.run([*GENKI, *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)


class Up:
    """A running `genki up` on a free port."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._out = (folder / "up.out").open("w+")
        command = [*GENKI, "up", "--empty", "--port", "0", "--data", str(folder / "data"), *flags]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self._out, stderr=self._out)
        self.url = self._ready()

    def _ready(self) -> str:
        deadline = time.monotonic() + 90
        while True:
            said = Path(self._out.name).read_text()
            found = [line for line in said.splitlines() if line.startswith("ready ")]
            if found:
                return found[0].removeprefix("ready ")
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def get(self, path: str) -> dict[str, object]:
        return httpx2.get(self.url + path, timeout=10).json()

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(40)
        self._out.close()
        return code


def servers_of(folder: Path) -> list[int]:
    found: list[int] = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in word for word in words):
            found.append(process.pid)
    return found


def test_a_tenant_is_made_while_nothing_runs_and_while_genki_runs(folder: Path) -> None:
    made = json.loads(genki(folder, "tenant", "create", "First K.K.", "--json").stdout)
    assert made["tenant_id"].startswith("first-k-k-")
    assert (made["name"], made["time_zone"], made["currency"]) == ("First K.K.", "Asia/Tokyo", "JPY")
    assert {title: key.split("_")[1] for title, key in made["keys"].items()} == {
        "server": "server", "write": "write", "admin": "api",
    }  # fmt: skip
    assert servers_of(folder) == []
    up = Up(folder)
    second = json.loads(genki(folder, "tenant", "create", "Second", "--time-zone", "UTC", "--json").stdout)
    assert second["time_zone"] == "UTC"
    listed = json.loads(genki(folder, "key", "list", "--tenant", second["tenant_id"], "--json").stdout)["items"]
    assert sorted((key["kind"], key["role"]) for key in listed) == [("api", "admin"), ("server", None), ("write", None)]
    assert not any(key.rsplit("_", 2)[1] in json.dumps(listed) for key in second["keys"].values())
    assert up.end(signal.SIGTERM) == 0
    assert servers_of(folder) == []


def test_after_a_kill_the_next_start_adopts_the_database_and_sigint_leaves_no_process(folder: Path) -> None:
    up = Up(folder)
    up.end(signal.SIGKILL)
    left = servers_of(folder)
    assert len(left) == 1
    up = Up(folder)
    assert set(left) <= set(servers_of(folder))
    assert up.get("/readyz")["status"] == "ready"
    assert up.end(signal.SIGINT) == 0
    assert servers_of(folder) == []


def test_a_second_genki_on_one_folder_and_a_taken_port_are_refused_with_the_reason(folder: Path) -> None:
    up = Up(folder)
    try:
        second = genki(folder, "up", "--empty", "--port", "0")
        assert second.returncode == 1
        assert f"in use by process {up.process.pid}" in second.stderr
        taken = genki(folder, "up", "--empty", "--port", up.url.rsplit(":", 1)[1])
        assert taken.returncode == 1
        assert "cannot be listened on: Address already in use" in taken.stderr
    finally:
        up.end(signal.SIGTERM)


def test_a_folder_run_ahead_starts_only_with_an_offset_at_least_as_large(folder: Path) -> None:
    up = Up(folder, "--clock-offset", "1d12h")
    assert up.get("/healthz")["clock_offset_s"] == 36 * 3600
    up.end(signal.SIGTERM)
    for flags in ([], ["--clock-offset", "35h"]):
        refused = genki(folder, "up", "--empty", "--port", "0", *flags)
        assert refused.returncode == 1
        assert "only with one at least as large" in refused.stderr
    assert servers_of(folder) == []
    assert Up(folder, "--clock-offset", "36h").end(signal.SIGTERM) == 0
