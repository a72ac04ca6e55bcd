"""What lies behind a link: looking records nothing, an answer counts until the survey closes, one per invitation."""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from tests.services.nps.conftest import Desk, Post
from tests.services.nps.test_surveys import asked, known, made, manager, rows

TABLES = ("nps.survey", "nps.invitation", "nps.token", "nps.answer", "nps.opt_out", "scoring_state.response")


@dataclass
class Guest:
    """Someone with a link and no key."""

    desk: Desk
    http: httpx2.AsyncClient
    survey: dict[str, Any]
    link: str
    goodbye: str

    async def send(self, **fields: Any) -> httpx2.Response:
        """Posts the form; what it put on the log is applied."""
        answer = await self.http.post(self.link, data=fields)
        await self.desk.tenant.house.settle()
        return answer

    async def versions(self) -> list[tuple[Any, ...]]:
        """Every version of the answer that scoring holds: response, score, comment."""
        return [tuple(row) for row in await self.desk.stored(("response_id", "score", "comment"))]


async def guest(post: Post, **wish: Any) -> Guest:
    """A new tenant's only invitation."""
    desk = await manager(post)
    await known(desk, "p")
    survey = await made(desk, **wish)
    [item] = await asked(desk, survey, "p")
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=post.http), base_url="http://nps")
    return Guest(desk, http, survey, item["link"], item["unsubscribe_link"])


def checked(page: httpx2.Response) -> list[int]:
    """Which scores a page has preselected."""
    return [int(found) for found in re.findall(r'value="(\d+)"[^>]*checked', page.text)]


async def test_a_link_shows_the_question_with_the_score_of_its_address_and_nothing_from_elsewhere(post: Post) -> None:
    one = await guest(post)
    page = await one.http.get(one.link, params={"score": 9}, headers={"accept-language": "en-GB,en;q=0.9"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "How likely are you to recommend us to a friend or colleague?" in page.text
    assert checked(page) == [9]
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in page.headers["x-robots-tag"]
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert re.findall(r"<script|\son\w+=|\sstyle=|src=|https?://", page.text) == []


@pytest.mark.parametrize("score", ["-1", "11", "9.0", "+9", "９", "", "x", "9&score=8"])
async def test_a_score_that_is_none_preselects_nothing(post: Post, score: str) -> None:
    one = await guest(post)
    page = await one.http.get(f"{one.link}?lang=ja&score={score}")
    assert page.status_code == 200
    assert checked(page) in ([], [8])
    assert (checked(page) == [8]) == ("&" in score)


async def test_looking_in_any_way_changes_no_row(post: Post) -> None:
    one = await guest(post)
    before = [await rows(one.desk, table) for table in TABLES]
    ends = await post.house.bus.ends(["genki.responses.v1"])
    for method in ("GET", "HEAD"):
        for link in (one.link, one.goodbye, f"{one.link}/thanks"):
            for score in range(11):
                await one.http.request(method, link, params={"score": score, "comment": "x"})
    await post.house.settle()
    assert [await rows(one.desk, table) for table in TABLES] == before
    assert await post.house.bus.ends(["genki.responses.v1"]) == ends


async def contents(owner: Any) -> dict[str, str | None]:
    """A digest of every row of every table of nps."""
    tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'nps' AND tablename <> 'version'")
    sql = "SELECT md5(string_agg(to_jsonb(t)::text, '|' ORDER BY to_jsonb(t)::text)) FROM nps.{} t"
    return {row[0]: await owner.fetchval(sql.format(row[0])) for row in tables}


@pytest.mark.slow
async def test_opening_a_thousand_links_with_every_score_changes_nothing_at_all(post: Post) -> None:
    desk = await manager(post)
    persons = [f"p{number}" for number in range(1_000)]
    await known(desk, *persons)
    links = [item["link"] for item in await asked(desk, await made(desk), *persons)]
    await post.house.settle()
    before, ends = await contents(post.house.owner), await post.house.bus.ends(["genki.responses.v1"])
    assert {"survey", "invitation", "token", "answer", "opt_out", "mail", "sender"} <= before.keys()
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=post.http), base_url="http://nps")
    statuses: set[int] = set()
    for number, link in enumerate(links):  # each score comes to 90 links and more in either way
        for method, score in (("GET", number % 11), ("HEAD", (number * 3 + 5) % 11)):
            statuses.add((await http.request(method, f"{link}?score={score}")).status_code)
    assert statuses == {200}
    assert await contents(post.house.owner) == before
    assert await post.house.bus.ends(["genki.responses.v1"]) == ends


@pytest.mark.parametrize(
    ("asked_for", "liked", "lang"),
    [
        ("ja", "en", "ja"), ("en", "ja", "en"), (None, "en-US,en;q=0.9,ja;q=0.8", "en"), (None, "ja,en;q=0.5", "ja"),
        (None, "fr,ja;q=0.4,en;q=0.3", "ja"), (None, "fr", "en"), (None, None, "ja"), ("de", "en", "en"),
        (None, "en;q=0,ja;q=0.1", "ja"), (None, ";;q=,,x;q=9", "en"),
    ],
)  # fmt: skip
async def test_the_page_speaks_the_language_asked_for_or_liked(
    post: Post, asked_for: str | None, liked: str | None, lang: str
) -> None:
    one = await guest(post)
    one.http.headers.pop("accept-language", None)
    params = {"lang": asked_for} if asked_for else {}
    headers = {"accept-language": liked} if liked else {}
    page = await one.http.get(one.link, params=params, headers=headers)
    assert f'<html lang="{lang}">' in page.text


async def test_an_answer_leads_to_thanks_and_stands_in_the_figures_with_person_and_account(post: Post) -> None:
    one = await guest(post)
    sent = await one.send(score=9, comment="速い\r\n便利", lang="ja")
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/s/{one.link.rpartition('/')[2]}/thanks?lang=ja"
    thanks = await one.http.get(sent.headers["location"])
    assert "うれしいお言葉をありがとうございました" in thanks.text
    assert thanks.headers["cache-control"] == "no-store"
    told = await one.desk.tenant.get("/v1/responses")
    [item] = told["items"]
    assert {name: item[name] for name in ("survey_id", "account_id", "person_id", "score", "comment", "category")} == {
        "survey_id": one.survey["survey_id"], "account_id": "acme", "person_id": "p", "score": 9,
        "comment": "速い\n便利", "category": "promoter",
    }  # fmt: skip
    figures = await one.desk.tenant.get("/v1/nps")
    assert (figures["nps"], figures["n"], figures["sent"], figures["response_rate"]) == (100, 1, 1, 1)


@pytest.mark.parametrize(
    ("score", "word"), [(0, "frank"), (6, "frank"), (7, "useful"), (8, "useful"), (9, "kind"), (10, "kind")]
)
async def test_thanks_go_by_the_answer(post: Post, score: int, word: str) -> None:
    one = await guest(post)
    sent = await one.send(score=score, lang="en")
    assert word in (await one.http.get(sent.headers["location"])).text


async def test_each_change_is_a_version_of_one_response_and_the_last_counts(post: Post) -> None:
    one = await guest(post)
    for score, comment in ((3, "slow"), (3, "slow"), (8, "better"), (10, "")):
        post.house.clock.move(seconds=1)
        assert (await one.send(score=score, comment=comment, lang="en")).status_code == 303
    versions = await one.versions()
    assert [version[1:] for version in versions] == [(3, "slow"), (8, "better"), (10, None)]
    assert len({version[0] for version in versions}) == 1
    assert (await one.desk.tenant.get("/v1/nps"))["promoters"] == 1
    again = await one.http.get(one.link, params={"lang": "en"})
    assert checked(again) == [10]
    assert "You have answered already" in again.text


BAD = [{}, {"score": ""}, {"score": "11"}, {"score": "-1"}, {"score": "7.5"}, {"score": "abc"}, {"score": ["7", "8"]}]


@pytest.mark.parametrize("fields", BAD, ids=str)
async def test_a_bad_score_gives_the_page_again_and_stores_nothing(post: Post, fields: dict[str, Any]) -> None:
    one = await guest(post)
    answer = await one.send(**fields, comment='<b onclick="x">stays</b>', lang="en")
    assert answer.status_code == 422
    assert "<title>Error: Survey</title>" in answer.text
    assert 'role="alert"' in answer.text
    assert "&lt;b onclick=&#34;x&#34;&gt;stays&lt;/b&gt;" in answer.text
    assert await one.versions() == []


async def test_a_comment_that_is_too_long_is_kept_on_the_page_and_a_flood_is_cut_off(post: Post) -> None:
    one = await guest(post)
    answer = await one.send(score=7, comment="あ" * 5_001, lang="ja")
    assert (answer.status_code, checked(answer)) == (422, [7])
    assert "5,000文字以内" in answer.text
    assert (await one.send(score=7, comment="x" * 100_000)).status_code == 413
    assert await one.versions() == []
    assert (await one.send(score=7, comment="あ" * 5_000)).status_code == 303


async def test_a_form_in_plain_utf8_is_read_too(post: Post) -> None:
    one = await guest(post)
    body, kind = "score=3&comment=遅い".encode(), {"content-type": "application/x-www-form-urlencoded"}
    assert (await one.http.post(one.link, content=body, headers=kind)).status_code == 303
    await post.house.settle()
    assert [version[1:] for version in await one.versions()] == [(3, "遅い")]


async def test_a_comment_is_shown_as_text_whatever_it_holds(post: Post) -> None:
    one = await guest(post)
    nasty = "</textarea><script>alert(1)</script>{{7*7}}\u202eback\x00\x1b[0m"
    assert (await one.send(score=1, comment=nasty, lang="en")).status_code == 303
    assert (await one.versions())[0][2] == "</textarea><script>alert(1)</script>{{7*7}}\u202eback[0m"
    page = await one.http.get(one.link)
    assert "&lt;/textarea&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}back[0m" in page.text
    assert "<script" not in page.text


async def test_fifty_answers_at_once_make_one_response_and_the_last_version_is_the_one_kept(post: Post) -> None:
    one = await guest(post)
    sent = await asyncio.gather(
        *(one.http.post(one.link, data={"score": number % 11, "comment": f"c{number}"}) for number in range(50))
    )
    assert {answer.status_code for answer in sent} == {303}
    post.house.clock.move(seconds=1)  # it stood still: each version lies a microsecond after the one before
    await post.house.settle()
    versions = await one.versions()
    assert len({version[0] for version in versions}) == 1
    assert len(versions) == 50
    assert await rows(one.desk, "nps.answer") == 1
    kept = await post.house.owner.fetchrow(
        "SELECT score, comment, edits FROM nps.answer WHERE tenant = $1", one.desk.tenant.number
    )
    [item] = (await one.desk.tenant.get("/v1/responses"))["items"]
    assert kept is not None
    assert tuple(kept) == (item["score"], item["comment"], 50)


def bare(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer but the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, answer.content, headers


async def test_every_link_that_leads_nowhere_gets_one_and_the_same_page_to_the_byte(post: Post) -> None:
    closed, expired = await guest(post), await guest(post, closes_at="2999-01-01T00:00:00Z")
    fine, later = await guest(post), post.house.clock.now() + timedelta(days=1)
    await post.house.owner.execute(
        "UPDATE nps.survey SET closes_at = $2 WHERE tenant = $1", expired.desk.tenant.number, later
    )
    assert (await expired.http.get(expired.link)).status_code == 200
    post.house.clock.set(later)
    await closed.desk.client.post(f"/v1/surveys/{closed.survey['survey_id']}/close")
    token = fine.link.rpartition("/")[2]
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    tokens = [forged, "x", "A" * 32, "A" * 5_000, "%E3%81%82", token + "=", token.swapcase(), "-" * 32,
              fine.goodbye.rpartition("/")[2], *(one.link.rpartition("/")[2] for one in (closed, expired))]  # fmt: skip
    told = {
        str(bare(await fine.http.request(method, f"/s/{wrong}{more}", headers={"accept-language": lang}, data=body)))
        for wrong in tokens
        for method, more, body in (
            ("GET", "", None), ("GET", "?score=9&lang=en", None), ("GET", "/thanks", None),
            ("POST", "", {"score": "9", "lang": "en"}), ("POST", "", {"score": "99"}),
        )
        for lang in ("ja", "en")
    }  # fmt: skip
    assert len(told) == 1
    [page] = told
    assert page.startswith("(404,")
    assert (await fine.http.get(fine.link)).status_code == 200
    assert str(bare(await fine.http.get(f"{fine.link}/thanks"))) == page  # nothing answered yet
    assert str(bare(await fine.http.get(f"/u/{token}"))) == page
    assert str(bare(await fine.http.post(f"/u/{token}"))) == page
    assert [await rows(one.desk, "nps.answer") for one in (fine, closed, expired)] == [0, 0, 0]
    assert await rows(fine.desk, "nps.opt_out") == 0


async def test_an_answer_given_before_the_end_counts_after_it_and_cannot_change(post: Post) -> None:
    one = await guest(post)
    await one.send(score=9)
    await one.desk.client.post(f"/v1/surveys/{one.survey['survey_id']}/close")
    assert (await one.send(score=0)).status_code == 404
    assert (await one.desk.tenant.get("/v1/nps"))["promoters"] == 1


async def test_unsubscribing_takes_one_click_without_a_redirect_and_holds_for_good(post: Post) -> None:
    one = await guest(post)
    page = await one.http.get(one.goodbye, params={"lang": "en"})
    assert (page.status_code, await rows(one.desk, "nps.opt_out")) == (200, 0)
    assert "Do you want to receive no more survey invitations?" in page.text
    await one.desk.client.post(f"/v1/surveys/{one.survey['survey_id']}/close")
    for body in ({"List-Unsubscribe": "One-Click"}, {"lang": "en"}, None):
        answer = await one.http.post(one.goodbye, data=body)
        assert (answer.status_code, answer.headers.get("location")) == (200, None)
        assert await rows(one.desk, "nps.opt_out") == 1
    again = await made(one.desk, name="Winter", quiet_days=0)
    assert (await asked(one.desk, again, "p"))[0]["reason"] == "opted_out"


async def test_who_unsubscribed_from_one_tenant_hears_from_another(post: Post) -> None:
    one, other = await guest(post), await guest(post)
    await one.http.post(one.goodbye)
    again = await made(other.desk, name="Winter", quiet_days=0)
    assert (await asked(other.desk, again, "p"))[0]["status"] == "invited"


async def test_an_answer_that_the_log_will_not_take_is_not_stored_either(post: Post) -> None:
    one = await guest(post)
    owner = post.house.owner
    await owner.execute("ALTER TABLE bus.log ADD CONSTRAINT shut CHECK (topic <> 'genki.responses.v1') NOT VALID")
    try:
        assert (await one.send(score=9)).status_code == 500
        assert await rows(one.desk, "nps.answer") == 0
    finally:
        await owner.execute("ALTER TABLE bus.log DROP CONSTRAINT shut")
    assert (await one.send(score=9)).status_code == 303
    assert [version[1:] for version in await one.versions()] == [(9, None)]


async def test_only_links_that_lead_somewhere_are_counted_and_the_rest_get_the_same_page_however_often(
    post: Post,
) -> None:
    one = await guest(post)
    nowhere = await one.http.get("/s/" + "x" * 32)
    for _ in range(125):
        answer = await one.http.post("/s/" + "y" * 32, data={"score": 9})
        assert (answer.status_code, answer.content) == (nowhere.status_code, nowhere.content)
    for _ in range(120):
        assert (await one.http.post(one.link, data={"score": 9})).status_code == 303
    assert (await one.http.post(one.link, data={"score": 9})).status_code == 429
