"""Invitations by mail, through a real SMTP server: what they say and to whom."""

import re
from email.utils import parsedate_to_datetime

import pytest

from tests.services.nps.conftest import Post
from tests.services.nps.mailbox import Mailbox
from tests.services.nps.mailing import Hrefs, body, guest, invited, posted, sending, states
from tests.services.nps.test_surveys import asked, known, made, rows


async def test_a_mail_carries_one_personal_link_with_every_score_in_text_and_html(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    answer = await invited(desk, await made(desk), "p")
    [item] = answer["items"]
    assert (answer["delivery"], item["status"], item["link"], item["unsubscribe_link"]) == (
        "mail",
        "queued",
        None,
        None,
    )
    await posted(post)
    [letter] = box.letters("p@x.example")
    assert letter["From"] == "Genki CS <cs@vendor.example>"
    assert letter["To"] == "p@x.example"
    assert letter["Message-ID"] == f"<{item['invitation_id']}.0@vendor.example>"
    assert parsedate_to_datetime(letter["Date"]) == post.house.clock.now()
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter.get_content_type() == "multipart/alternative"
    links = [one for one in Hrefs(body(letter, "html")).found if "/s/" in one]
    link = links[-1]
    assert re.fullmatch(r"http://nps/s/[\w-]{32}", link)
    assert links == [*(f"{link}?score={score}" for score in range(11)), link]
    assert [one for one in re.findall(r"http\S+", body(letter, "plain")) if "/s/" in one] == links
    goodbye = letter["List-Unsubscribe"].strip("<>")
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert goodbye in Hrefs(body(letter, "html")).found
    async with guest(post) as http:
        assert (await http.get(link)).status_code == 200
        assert (await http.post(goodbye, data={"List-Unsubscribe": "One-Click"})).status_code == 200
    assert await rows(desk, "nps.opt_out") == 1


@pytest.mark.parametrize(
    ("language", "subject", "says", "not_said", "lang"),
    [
        ("ja", "【元気クラウド】アンケートのお願い", "どの程度おすすめしますか", "How likely", "&lang=ja"),
        ("en", "Genki Cloud would like your opinion", "How likely are you to recommend us", "おすすめ", "&lang=en"),
        (
            "both",
            "【元気クラウド】アンケートのお願い / Genki Cloud would like your opinion",
            "How likely",
            "script",
            "",
        ),
    ],
)
async def test_a_mail_speaks_the_surveys_language_and_japanese_before_english_unless_told(
    post: Post, box: Mailbox, language: str, subject: str, says: str, not_said: str, lang: str
) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    wish = {} if language == "both" else {"language": language}
    await invited(desk, await made(desk, **wish), "p")
    await posted(post)
    [letter] = box.letters("p@x.example")
    assert letter["Subject"] == subject
    for kind in ("plain", "html"):
        text = body(letter, kind)
        assert says in text
        assert not_said not in text
        assert f"?score=7{lang.replace('&', '&amp;') if kind == 'html' else lang}" in text
        if language == "both":
            assert text.index("おすすめしますか") < text.index("How likely")


async def test_what_a_tenant_writes_is_text_in_html_and_never_a_header(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await desk.tenant.settings(brand={"name": {"ja": "甲\r\nBcc: x@y.z", "en": "<b>A&B</b>"}})
    await known(desk, "p")
    question = {"ja": "<script>alert(1)</script>", "en": "a & b?"}
    await invited(desk, await made(desk, question=question), "p")
    await posted(post)
    [letter] = box.letters("p@x.example")
    assert letter["Bcc"] is None
    assert letter["Subject"] == "【甲 Bcc: x@y.z】アンケートのお願い / <b>A&B</b> would like your opinion"
    assert "<script" not in body(letter, "html")
    assert "&lt;b&gt;A&amp;B&lt;/b&gt;" in body(letter, "html")
    assert "<script>alert(1)</script>" in body(letter, "plain")


async def test_sent_is_told_when_the_first_mail_left_and_not_when_it_was_ordered(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    await invited(desk, survey, "p")
    await post.house.settle()
    assert (await desk.tenant.get("/v1/nps"))["sent"] == 0
    [waits] = await asked(desk, await made(desk, name="Other"), "p", dry=True)
    assert waits["reason"] == "quiet_period"  # what waits to be sent is as good as sent
    post.house.clock.move(minutes=5)
    await posted(post)
    assert (await desk.tenant.get("/v1/nps"))["sent"] == 1
    told = await post.house.owner.fetchval(
        "SELECT at FROM scoring_state.invitation WHERE tenant = $1 AND kind = 'sent'", desk.tenant.number
    )
    assert told == post.house.clock.now()
    assert await states(desk, survey) == {"p": ("sent", [("left", None)])}
    kept = await post.house.owner.fetch("SELECT email FROM nps.mail WHERE tenant = $1", desk.tenant.number)
    assert [row["email"] for row in kept] == [""]


async def test_without_a_mail_server_links_are_handed_out_and_with_one_no_mail_is_sent_on_request(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box)
    await known(desk, "p", "q")
    survey = await made(desk)
    by_link = await invited(desk, survey, "p", delivery="link")
    assert (by_link["delivery"], by_link["items"][0]["status"]) == ("link", "invited")
    assert by_link["items"][0]["link"].startswith("http://nps/s/")
    await desk.tenant.settings(smtp=None)
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    refused = await desk.client.post(path, json={"person_ids": ["q"], "delivery": "mail"})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_mail_server")
    without = await invited(desk, survey, "q", delivery=None)
    assert (without["delivery"], without["items"][0]["status"]) == ("link", "invited")
    await posted(post)
    assert box.mails == []
