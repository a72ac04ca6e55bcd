"""The demo on a running Genki: killed in mid-stream, gone on with, shown, shown again; figures equal the file's."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from services.demo.mark import NAME, Mark, read_mark
from services.demo.sample import load
from tests.conftest import TestDatabase
from tests.journeys.running import ROOT, Ground

pytestmark = pytest.mark.slow


@pytest.fixture
def ground(new_database: Callable[[], TestDatabase], tmp_path: Path) -> Iterator[Ground]:
    found = Ground(new_database(), tmp_path)
    yield found
    found.stop_all()


def marked(ground: Ground) -> Mark | None:
    return read_mark(ground.folder / "data" / NAME)


def kill_in_mid_stream(ground: Ground) -> Mark:
    command = [sys.executable, "-m", "services", "demo"]
    env = {**ground._env(), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sending:
        until = time.monotonic() + 60
        while ((mark := marked(ground)) is None or not mark.sent.get("usage")) and time.monotonic() < until:
            time.sleep(0.01)
        sending.kill()
    halfway = marked(ground)
    assert halfway is not None
    return halfway


def ask(url: str, mark: Mark, path: str) -> Any:
    return httpx2.get(url + path, headers={"authorization": f"Bearer {mark.keys['admin']}"}, timeout=60).json()


def test_a_demo_killed_in_mid_stream_goes_on_shows_the_files_figures_and_is_never_sent_again(ground: Ground) -> None:
    process = ground.up()
    url = process.wait_ready()
    halfway = kill_in_mid_stream(ground)
    assert not halfway.finished
    shown = ground.command("demo")
    done = marked(ground)
    assert done is not None
    assert done.finished
    assert (done.tenant_id, done.weeks, done.made_at) == (halfway.tenant_id, halfway.weeks, halfway.made_at)

    what = load(done.shift)
    assert ask(url, done, "/v1/usage?days=36500")["events"] == len(what.stages["usage"])
    tokyo = ZoneInfo("Asia/Tokyo")
    asked = ask(url, done, "/v1/usage?days=28")
    first = (datetime.fromisoformat(asked["as_of"]).astimezone(tokyo) - timedelta(days=27)).date()
    late = [line for line in what.stages["usage"]
            if datetime.fromisoformat(line["at"]).astimezone(tokyo).date() >= first]  # fmt: skip
    assert asked["events"] == len(late)
    assert asked["active_accounts"] == len({line["account_id"] for line in late})
    assert asked["active_users"] == len({line["person_id"] for line in late})

    for route in ("/v1/summary", "/v1/coverage?by=tier", "/v1/coverage?by=csm", "/v1/nps"):
        assert f"GET {route}" in shown
    assert f"moved {done.weeks} weeks ahead" in shown
    assert "0 refused" in shown

    ground.command("demo")
    assert marked(ground) == done
    assert ask(url, done, "/v1/usage?days=36500")["events"] == len(what.stages["usage"])
    summary = ask(url, done, "/v1/summary")
    assert summary["headline"]["rejected_24h"] == 0
    assert json.dumps(summary["headline"]["accounts"]) != "{}"
    assert ask(url, done, "/v1/ingest/conflicts")["items"] == []
