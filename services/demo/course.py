"""The demo's course: make its tenant once, send what was not sent yet, wait for the figures, show them."""

import asyncio
import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import aiohttp
import msgspec
from rich.console import Console

from services.demo.door import DemoStopped, Door
from services.demo.mark import NAME, Mark, new_mark, read_mark, write_mark
from services.demo.progress import Progress, shown
from services.demo.rows import Sent
from services.demo.sample import IMPORT, load
from services.demo.settled import until_settled
from services.demo.summary import print_doors, print_summary, screen
from shared.clock import Clock
from shared.postgres import DatabaseSettings

BATCH: Final = 1_000
TENANT: Final = ("Nova Demo", "Asia/Tokyo", "JPY")


class Running(Protocol):
    """What a started Genki hands over."""

    @property
    def url(self) -> str: ...
    @property
    def data(self) -> Path: ...
    @property
    def database(self) -> DatabaseSettings: ...
    @property
    def clock(self) -> Clock: ...


async def run(running: Running) -> None:
    """The whole demo on a Genki that is ready. Raises Refused with the reason when it cannot go on."""
    from services.cli.report import Refused

    try:
        path = running.data / NAME
        mark = await _claim(path, running)
        notes = Console(stderr=True, highlight=False)
        with shown(notes) as progress:
            mark = await run_demo(running.url, mark.keys, path, running.clock, progress)
        await until_settled(running.url, mark.keys["admin"], mark.accepted_at)
        out = screen()
        await print_summary(running.url, mark.keys["admin"], out)
        print_doors(running.url, mark, out)
    except (DemoStopped, FileNotFoundError, msgspec.DecodeError) as problem:
        raise Refused(str(problem)) from problem


async def run_demo(base_url: str, keys: Mapping[str, str], mark: Path, clock: Clock, progress: Progress) -> Mark:
    """Sends what the mark does not say was sent, through the public door, and answers the mark as it then is. A
    finished demo sends nothing. `keys`: server and admin. Raises DemoStopped, FileNotFoundError (no sample)."""
    state = read_mark(mark) or new_mark(clock.now(), keys=dict(keys))
    write_mark(mark, state)
    if state.finished:
        return state
    what = await asyncio.to_thread(load, state.shift)
    progress.begin(what.total, sum(state.sent.values()))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        door = Door(session, base_url, keys["server"])
        for name, lines in what.stages.items():
            await _send_stage(door, name, lines, state, mark, clock, progress)
    state.dropped, state.skipped, state.finished = what.dropped, what.skipped, True
    write_mark(mark, state)
    return state


async def _send_stage(
    door: Door, name: str, lines: Sequence[Sent], state: Mark, mark: Path, clock: Clock, progress: Progress
) -> None:
    """One stage from where it stopped; the mark moves only after the door's answer."""
    rest = islice(lines, state.sent.get(name, 0), None)
    while batch := list(islice(rest, BATCH)):
        state.refused += await _send(door, name, batch)
        state.sent[name] = state.sent.get(name, 0) + len(batch)
        state.accepted_at = clock.now()
        await asyncio.to_thread(write_mark, mark, state)
        progress.advance(name, len(batch))


async def _send(door: Door, name: str, batch: Sequence[Sent]) -> int:
    """How many of the lines were refused."""
    if name == IMPORT:
        answer = await door.send_sheet("responses", sheet(batch))
        return len(answer["rejected"])
    answer = await door.send_facts(msgspec.json.encode(batch))
    return sum(result["status"] != "accepted" for result in answer["results"])


def sheet(lines: Sequence[Sent]) -> bytes:
    """The lines as CSV with a header."""
    text = io.StringIO()
    out = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    out.writeheader()
    out.writerows(lines)
    return text.getvalue().encode()


async def _claim(path: Path, running: Running) -> Mark:
    """The demo of this folder; its tenant is made the first time."""
    from services.cli.tenants import create_tenant

    kept = read_mark(path)
    if kept is not None:
        return kept
    now = running.clock.now()
    made = await create_tenant(running.database, *TENANT, now)
    mark = new_mark(now, made.tenant_id, dict(made.keys))
    write_mark(path, mark)
    return mark
