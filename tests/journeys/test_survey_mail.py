"""Invitations by mail through a running Genki: shown in a real browser, answered from it, sent once over a kill."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.browser import PROGRAM, chromium, page
from tests.journeys.running import Ground, client, fresh, send
from tests.services.nps.mailbox import Mailbox, mail_server

pytestmark = pytest.mark.slow
LANGUAGES = ("both", "ja", "en")
SIZES = "[...document.querySelectorAll('a[aria-label]')].map(e => e.getBoundingClientRect())"


@pytest.fixture
def ground(new_database: Any, tmp_path: Path) -> Iterator[Ground]:
    """A database of its own: the clock is moved ahead, and never back."""
    opened = Ground(new_database(), tmp_path)
    yield opened
    opened.stop_all()


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    """The tenant's mail server."""
    async with mail_server() as opened:
        yield opened


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until something holds."""
    for _ in range(int(seconds / 0.05)):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came")


def html(letter: EmailMessage) -> str:
    """The page that a mail program shows."""
    part = letter.get_body(("html",))
    assert part is not None
    return part.get_content()


async def test_a_mail_is_read_and_answered_and_none_leaves_twice_over_a_kill(
    ground: Ground, box: Mailbox, tmp_path: Path
) -> None:
    process = ground.up()
    process.wait_ready()
    keys = json.loads(ground.command("tenant", "create", "Mail Ltd", "--json"))["keys"]
    persons = [*LANGUAGES, *(f"k{number}" for number in range(6))]
    async with client(process.url, keys["server"]) as door, client(process.url, keys["admin"]) as asker:
        brand = {"name": {"ja": "元気クラウド", "en": "Genki Cloud"}}
        answer = await asker.put("/v1/settings", json={"smtp": box.smtp(), "brand": brand})
        assert answer.status_code == 200, answer.text
        told = [{"type": "person", "person_id": one, "email": f"{one}@x.example"} for one in persons]
        now = datetime.now(UTC)
        await send(door, [{**one, "account_id": "acme", "at": now.isoformat()} for one in told])
        await fresh(asker, datetime.now(UTC))
        for language in LANGUAGES:
            survey = (await asker.post("/v1/surveys", json={"name": language, "language": language})).json()
            await asker.post(f"/v1/surveys/{survey['survey_id']}/invitations", json={"person_ids": [language]})
        await until(lambda: len(box.mails) == len(LANGUAGES))
        await _looked_at({one: box.letters(f"{one}@x.example")[0] for one in LANGUAGES}, tmp_path)
        await fresh(asker, datetime.now(UTC))
        figures = (await asker.get("/v1/nps")).json()
        assert (figures["sent"], figures["n"]) == (3, 1 if PROGRAM else 0)
        groups = (await asker.get("/v1/nps", params={"by": "survey"})).json()["groups"]
        assert sorted((one["name"], one["sent"]) for one in groups) == [("both", 1), ("en", 1), ("ja", 1)]
        survey = (await asker.post("/v1/surveys", json={"name": "killed"})).json()
        box.on_mail = lambda: process.kill() if len(box.mails) == 6 else None
        path = f"/v1/surveys/{survey['survey_id']}/invitations"
        answer = (await asker.post(path, json={"filter": {}})).json()
        assert (answer["delivery"], answer["counts"]) == ("both", {"invited": 6, "skipped": 3})
        await until(lambda: process.handle.poll() is not None)
    restarted = ground.up("--clock-offset", "1h")  # past the dead one's lease
    restarted.wait_ready()
    async with client(restarted.url, keys["admin"]) as asker:
        states: list[tuple[str, str]] = []
        for _ in range(600):
            items = (await asker.get(path)).json()["items"]
            states = [(one["status"], one["mails"][0]["state"]) for one in items]
            if states == [("sent", "left")] * 6:
                break
            await asyncio.sleep(0.1)
        assert states == [("sent", "left")] * 6
        problems = [one["mails"][0]["problem"] for one in (await asker.get(path)).json()["items"]]
        assert sorted(problems, key=str) == [*[None] * 5, "unconfirmed: crash"]
    assert sorted(to for to, _ in box.mails) == sorted(f"{one}@x.example" for one in persons)


async def _looked_at(letters: dict[str, EmailMessage], home: Path) -> None:
    """Each mail fits a phone and a desk, its buttons can be touched, and one of them leads to an answer."""
    if PROGRAM is None:
        return
    async with chromium() as browser:
        for (name, letter), width in product(letters.items(), (320, 1280)):
            file = home / f"{name}.html"
            file.write_text(html(letter), "utf-8")
            async with page(browser, width, "ja") as tab:
                await tab.go(file.as_uri())
                assert await tab.look("document.documentElement.scrollWidth") == width
                assert await tab.look(f"{SIZES}.length") == 11
                assert await tab.look(f"Math.min(...{SIZES}.map(r => Math.min(r.width, r.height)))") >= 40
                assert await tab.look(f"new Set({SIZES}.map(r => r.top)).size") == (2 if width == 320 else 1)
                assert await tab.look("document.images.length") == 0
                (home / f"mail-{name}-{width}.png").write_bytes(await tab.picture())
        async with page(browser, 320, "ja") as tab:
            await tab.go((home / "en.html").as_uri())
            await tab.look("document.querySelector('a[aria-label=\"9 / 10\"]').click()")
            await tab.settled()
            assert re.search(r"/s/[\w-]{32}$", await tab.look("location.pathname"))
            assert await tab.look("document.documentElement.lang") == "en"
            assert await tab.look("document.querySelector('input:checked').value") == "9"
            await tab.look("document.querySelector('button[type=submit]').click()")
            await tab.settled()
            assert "Thank you for your kind words" in await tab.look("document.body.innerText")
