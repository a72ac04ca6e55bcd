"""The report that a customer is given: its figures, its words, and how it looks in a real browser and on paper."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import product

import pytest
from aiohttp import web

from services.scoring.talking.report import PAGES, Report, Week, most_used, page
from services.scoring.talking.rules import FeatureUse
from tests.journeys.browser import PROGRAM, chromium
from tests.journeys.browser import page as tab_of
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

INSIDE = re.compile(
    r"score|health|risk|churn|tier|priority|red\b|alert|coverage|rank|ACV|NPS|detractor|CSM|"
    r"スコア|ヘルス|リスク|解約|ティア|優先|警告|カバレッジ|ランク|年間契約|担当",
    re.IGNORECASE,
)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def made(**more: object) -> Report:
    """A page as full as it gets, with a long name that would break a narrow screen or the markup."""
    weeks = [
        Week(ago(7 * back + 6), ago(7 * back), 30 - back, 12_345 * (8 - back), 100 - 12 * back) for back in range(8)
    ]
    told = {
        "name": "株式会社山田建設 & <b>Söhne</b> Verwaltungsgesellschaftsbeteiligungsmanagementholding",
        "brand": "Genki 工務クラウド", "first": ago(27), "last": TODAY, "users": 1_234, "users_before": 1_100,
        "events": 1_234_567, "events_before": 1_000_001, "active_days": 27, "seats": 1_500, "weeks": weeks[::-1],
        "features": [FeatureUse(f"feature_with_a_long_name_{n}", 90_000 - n, 900 - n, 0) for n in range(8)],
        "more_features": 4, "new": [("電子サイン", ago(20)), ("photo_ai", ago(60))],
        "unused": [f"unused_{n}" for n in range(5)], "more_unused": 3, **more,
    }  # fmt: skip
    return Report(**told)


def test_what_comes_from_outside_is_escaped():
    html = page(made(), "en")
    assert "&amp; &lt;b&gt;Söhne&lt;/b&gt;" in html
    assert "<b>" not in html
    hostile = made(name="</title><script>x</script>{{ 7 * 7 }}{name}", unused=["<img src=x>"])
    told = page(hostile, "ja")
    assert "<script" not in told
    assert "<img" not in told
    assert "{{ 7 * 7 }}{name}" in told


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_page_judges_nobody_and_needs_nothing_from_elsewhere(lang: str):
    for seen in (made(name="Acme"), made(name="Acme", events=0, users=0, seats=None, features=[], new=[], unused=[])):
        html = page(seen, lang)
        text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
        assert INSIDE.findall(text) == []
        assert re.findall(r"https?:|src=|href=|<script|style=", html) == []
        assert f'<html lang="{lang}">' in html


def test_the_features_used_most_come_first():
    used = [FeatureUse(f"f{n}", n % 5, 1, 9) for n in range(15)]
    most, more = most_used(used)
    assert [one.feature for one in most] == ["f14", "f4", "f9", "f13", "f3", "f8", "f12", "f2"]
    assert more == 4  # those used in the earlier days only are none of them


async def test_its_figures_are_those_of_the_account(house: House):
    tenant = await filled(house)
    html = (await tenant.call("GET", "/v1/accounts/acme/report?lang=en")).text
    assert "For A&amp;B &lt;Works&gt;" in html
    assert re.findall(r"<strong>([\d,]+)</strong><span>([^<]+)</span>", html) == [
        ("3", "28 days before: 1"), ("7", "28 days before: 4"), ("2", "of 28"), ("3", "of 10"),
    ]  # fmt: skip
    assert re.findall(r'<th scope="row">(\w+)</th><td class="n">(\d+)</td><td class="n">(\d+)</td>', html) == [
        ("login", "3", "6"), ("report", "1", "1"),
    ]  # fmt: skip
    assert re.findall(r"<li>(\w+)", html) == ["sign", "export"]
    assert "19 May 2026 to 15 Jun 2026" in html
    weeks = re.findall(r'<rect width="(\d+)".*?<td class="n">(\d+)</td><td class="n">(\d+)</td></tr>', html)
    assert weeks == [("0", "0", "0")] * 3 + [("100", "1", "4")] + [("0", "0", "0")] * 2 + [
        ("75", "3", "3"),
        ("100", "3", "4"),
    ]


async def test_the_page_of_an_earlier_day_shows_that_days_figures(house: House):
    tenant = await filled(house)
    earlier = await tenant.call("GET", f"/v1/accounts/acme/report?lang=en&as_of={ago(28)}")
    assert re.findall(r"<strong>([\d,]+)</strong>", earlier.text)[:2] == ["1", "4"]
    now = await tenant.call("GET", "/v1/accounts/acme/report")
    asked = house.clock.now()
    house.clock.move(microseconds=1)
    past = await tenant.call("GET", f"/v1/accounts/acme/report?as_of={asked.isoformat().replace('+00:00', 'Z')}")
    assert now.text == past.text
    assert "A&amp;B &lt;Works&gt; 御中" in now.text


async def test_only_known_accounts_and_languages_have_one(house: House):
    tenant = await filled(house)
    answer = await tenant.call("GET", "/v1/accounts/acme/report")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (await tenant.call("GET", "/v1/accounts/nobody/report")).status_code == 404
    assert (await tenant.call("GET", "/v1/accounts/acme/report?lang=fr")).status_code == 422


async def filled(house: House) -> TestTenant:
    tenant = await house.tenant()
    await tenant.settings(value_features=[{"feature": "export"}, {"feature": "sign", "released_on": "2026-05-01"}])
    await tenant.tell(
        tenant.account("acme", at(ago(200)), name="A&B <Works>", seats=10),
        *(tenant.usage(person, ago(day), "acme", "login") for person in ("a", "b", "c") for day in (1, 9)),
        tenant.usage("a", ago(1), "acme", "report"),
        tenant.usage("a", ago(29), "acme", "login", 4),
    )
    return tenant


@asynccontextmanager
async def served(html: str) -> AsyncIterator[str]:
    """The page behind an address, with the headers it leaves with."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html", headers=PAGES.headers)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine")
async def test_it_fits_a_phone_a_desk_and_one_sheet_of_paper():
    async with chromium() as browser:
        for lang, width in product(("ja", "en"), (320, 1280)):
            async with served(page(made(), lang)) as url, tab_of(browser, width, lang, 2_400) as tab:
                await tab.go(url)
                assert await tab.look("document.documentElement.scrollWidth") == width
                color = await tab.look("getComputedStyle(document.querySelector('rect')).fill")
                assert color == "rgb(11, 92, 173)"  # the style sheet is allowed by its hash
                spoken = await tab.names("heading", "row")
                assert sum(role == "heading" for role, _ in spoken) == 6
                told = await tab.call("Page.printToPDF", preferCSSPageSize=True)
                assert len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(told["data"]))) == 1
