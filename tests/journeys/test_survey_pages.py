"""Customers answer in a real browser, by keyboard alone, without JavaScript, on a phone and on a desk; ja and en."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

import aiohttp
import httpx2
import pytest

from tests.journeys.browser import PROGRAM, Page, chromium, page
from tests.journeys.running import Ground, client, fresh, send

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")]
VIEWS = list(product(("ja", "en"), (320, 1280)))
ASKS = {"ja": "どの程度おすすめしますか", "en": "How likely are you to recommend us"}
THANKS = {"ja": "率直なご意見をありがとうございました", "en": "Thank you for being frank"}


@dataclass
class Scene:
    """A running Genki with one survey, and a browser."""

    ground: Ground
    asker: httpx2.AsyncClient
    survey: dict[str, Any]
    items: dict[str, dict[str, Any]]
    browser: aiohttp.ClientSession


@pytest.fixture(scope="module")
def ground(database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One `genki up`, all services in it."""
    opened = Ground(database, tmp_path_factory.mktemp("pages"))
    opened.up().wait_ready()
    yield opened
    opened.stop_all()


@pytest.fixture(scope="module")
async def scene(ground: Ground) -> AsyncIterator[Scene]:
    """Each view has a person of its own."""
    url = ground.processes[0].url
    keys = json.loads(ground.command("tenant", "create", "Pages Ltd", "--json"))["keys"]
    persons = [*(f"p-{lang}-{width}" for lang, width in VIEWS), "leaver"]
    now = datetime.now(UTC).isoformat()
    async with client(url, keys["server"]) as door, client(url, keys["admin"]) as asker, chromium() as browser:
        told = [{"type": "person", "person_id": one, "email": f"{one}@x.example"} for one in persons]
        await send(door, [{**one, "account_id": "acme", "at": now} for one in told])
        await fresh(asker, datetime.now(UTC))
        survey = (await asker.post("/v1/surveys", json={"name": "Autumn"})).json()
        invited = await asker.post(f"/v1/surveys/{survey['survey_id']}/invitations", json={"person_ids": persons})
        items = {item["person_id"]: item for item in invited.json()["items"]}
        yield Scene(ground, asker, survey, items, browser)


async def fits(tab: Page, width: int) -> None:
    """Nothing lies beyond the screen, and what is touched is large enough (24 px, WCAG 2.2 target size)."""
    assert await tab.look("document.documentElement.scrollWidth") == width
    sizes = "[...document.querySelectorAll('label[for^=s],button,textarea')].map(e => e.getBoundingClientRect())"
    assert await tab.look(f"Math.min(...{sizes}.map(r => Math.min(r.width, r.height)))") >= 24


@pytest.mark.parametrize(("lang", "width"), VIEWS)
async def test_a_customer_answers_by_keyboard_without_javascript(scene: Scene, lang: str, width: int) -> None:
    person = f"p-{lang}-{width}"
    async with page(scene.browser, width, lang) as tab:
        await tab.go(f"{scene.items[person]['link']}?score=3")
        assert ASKS[lang] in await tab.look("document.querySelector('legend').innerText")
        assert await tab.look("document.querySelector('input:checked').value") == "3"
        await fits(tab, width)
        spoken = await tab.names("group", "radio", "textbox", "button")
        assert [name for role, name in spoken if role == "radio"] == [str(score) for score in range(11)]
        assert ASKS[lang] in next(name for role, name in spoken if role == "group")
        assert all(name for _, name in spoken)
        for _ in range(2):  # the other language, then the scores
            await tab.press("Tab", 9)
        await tab.press("ArrowRight", 39)
        await tab.press("Tab", 9)
        await tab.write(f"遅い {person}")
        await tab.press("Tab", 9)
        await tab.press("Enter", 13, "\r")
        await tab.settled()
        assert "/thanks" in await tab.look("location.pathname")
        assert THANKS[lang] in await tab.look("document.body.innerText")
        await fits_thanks(tab, width)
    await fresh(scene.asker, datetime.now(UTC))
    told = (await scene.asker.get("/v1/responses")).json()["items"]
    mine = [(one["score"], one["comment"], one["account_id"]) for one in told if one["person_id"] == person]
    assert mine == [(4, f"遅い {person}", "acme")]


async def fits_thanks(tab: Page, width: int) -> None:
    """The thank-you page lies within the screen."""
    assert await tab.look("document.documentElement.scrollWidth") == width


async def test_the_open_question_follows_the_score_that_is_chosen(scene: Scene) -> None:
    async with page(scene.browser, 320, "en") as tab:
        await tab.go(scene.items["leaver"]["link"])
        label = "document.querySelector('label[for=comment]').innerText"
        assert (await tab.look(label)).startswith("What is the reason")
        for score, words in ((2, "What fell short"), (8, "What would have to be better"), (10, "What do you value")):
            await tab.look(f"document.getElementById('s{score}').click()")
            assert (await tab.look(label)).startswith(words)


async def test_a_customer_unsubscribes_with_one_button(scene: Scene) -> None:
    async with page(scene.browser, 320, "ja") as tab:
        await tab.go(scene.items["leaver"]["unsubscribe_link"])
        await fits(tab, 320)
        for _ in range(2):
            await tab.press("Tab", 9)
        await tab.press("Enter", 13, "\r")
        await tab.settled()
        assert "案内を停止しました" in await tab.look("document.body.innerText")
    again = (await scene.asker.post("/v1/surveys", json={"name": "Winter", "quiet_days": 0})).json()
    asked = await scene.asker.post(f"/v1/surveys/{again['survey_id']}/invitations", json={"person_ids": ["leaver"]})
    assert asked.json()["items"][0]["reason"] == "opted_out"


async def test_no_log_line_holds_a_link(scene: Scene) -> None:
    said = scene.ground.processes[0].output.read_text()
    assert '"route":"/s/{token}"' in said
    tokens = [item[kind].rpartition("/")[2] for item in scene.items.values() for kind in ("link", "unsubscribe_link")]
    assert [token for token in tokens if token in said] == []
    assert re.findall(r"/[su]/[A-Za-z0-9_-]{32}", said) == []
