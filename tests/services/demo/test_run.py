"""The demo's sending: against a public door that accepts, refuses for a while or goes away."""

import json
from collections import Counter

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.demo import run_demo
from services.demo.door import DemoStopped
from services.demo.mark import new_mark, read_mark, write_mark
from services.demo.progress import Lines
from services.demo.shift import CUT, WEEK
from shared.clock import Clock

KEYS = {"server": "gk_server_x", "admin": "gk_api_x"}


class Counted:
    """A public door that remembers what it took; `refuse`: answers to give before it takes the next one."""

    def __init__(self) -> None:
        self.taken: Counter[tuple[str, str]] = Counter()
        self.requests = 0
        self.refuse: list[tuple[int, dict[str, str]]] = []
        self.close_after: int | None = None

    async def events(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.refuse:
            status, headers = self.refuse.pop(0)
            return web.json_response({"code": "busy"}, status=status, headers=headers)
        if self.close_after is not None and self.requests > self.close_after:
            return web.json_response({"code": "forbidden"}, status=403)
        facts = json.loads(await request.read())
        assert len(facts) <= 1_000
        self.taken.update((fact["type"], fact["id"]) for fact in facts)
        return web.json_response({"results": [{"id": fact["id"], "status": "accepted"} for fact in facts]})

    async def responses(self, request: web.Request) -> web.Response:
        self.requests += 1
        rows = (await request.read()).decode().splitlines()[1:]
        self.taken.update(("response", row.split(",")[0]) for row in rows)
        return web.json_response({"rows_read": len(rows), "accepted": len(rows), "rejected": [], "warnings": []})


@pytest.fixture
async def door():
    counted = Counted()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/v1/events", counted.events)
    app.router.add_post("/v1/imports/responses", counted.responses)
    async with TestServer(app) as server:
        yield counted, str(server.make_url("/")).rstrip("/")


def silent() -> Lines:
    return Lines(lambda _line: None)


async def test_every_line_is_sent_once_and_a_finished_demo_sends_nothing_again(door, tmp_path):
    counted, url = door
    mark = tmp_path / "demo.json"
    done = await run_demo(url, KEYS, mark, Clock(), silent())
    assert done.finished
    assert sum(done.sent.values()) == counted.taken.total() == len(counted.taken)
    requests = counted.requests
    again = await run_demo(url, KEYS, mark, Clock(), silent())
    assert (again, counted.requests) == (done, requests)


async def test_a_demo_cut_off_goes_on_with_the_line_after_the_last_acknowledged_one(door, tmp_path):
    counted, url = door
    mark = tmp_path / "demo.json"
    counted.close_after = 7
    with pytest.raises(DemoStopped, match="403"):
        await run_demo(url, KEYS, mark, Clock(), silent())
    halfway = read_mark(mark)
    assert halfway is not None
    assert not halfway.finished
    assert sum(halfway.sent.values()) == counted.taken.total()
    counted.close_after = None
    done = await run_demo(url, KEYS, mark, Clock(), silent())
    assert set(counted.taken.values()) == {1}
    assert (done.weeks, done.made_at) == (halfway.weeks, halfway.made_at)


async def test_a_busy_door_is_asked_again_after_the_time_it_names(door, tmp_path):
    counted, url = door
    counted.refuse = [(429, {"Retry-After": "0"}), (503, {"Retry-After": "0"}), (503, {})]
    done = await run_demo(url, KEYS, tmp_path / "demo.json", Clock(), silent())
    assert sum(done.sent.values()) == len(counted.taken)


def test_the_mark_is_kept_whole_and_read_back_by_its_owner_only(tmp_path):
    path = tmp_path / "new" / "demo.json"
    mark = new_mark(CUT + 10 * WEEK, "nova-1", KEYS)
    mark.sent["usage"] = 3_000
    write_mark(path, mark)
    assert read_mark(path) == mark
    assert mark.weeks == 10
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["demo.json"]


def test_plain_lines_come_at_most_once_a_second_and_the_last_one_always():
    said: list[str] = []
    seconds = iter((0.0, 0.5, 1.5, 1.6))
    lines = Lines(said.append, lambda: next(seconds))
    lines.begin(4_000, 1_000)
    for _ in range(3):
        lines.advance("usage", 1_000)
    assert said == [
        "usage: 3,000 of 4,000 sent, 1,333/s, 1 s left",
        "usage: 4,000 of 4,000 sent, 1,875/s, 0 s left",
    ]
