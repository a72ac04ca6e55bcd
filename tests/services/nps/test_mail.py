"""Invitations by mail, through a real SMTP server: what they say, when they leave, and that none leaves twice."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest

from services.nps.mail import worker
from shared import facts
from shared.clock import to_micros
from tests.services.nps.conftest import Desk, Post
from tests.services.nps.mailbox import Mailbox, mail_server
from tests.services.nps.test_surveys import asked, known, made, manager, rows
from tests.services.scoring.harness import stamp

BRAND = {"name": {"ja": "元気クラウド", "en": "Genki Cloud"}}


async def sending(post: Post, box: Mailbox, **smtp: Any) -> Desk:
    """A new tenant whose mails go to the box."""
    desk = await manager(post)
    await desk.tenant.settings(smtp=box.smtp(**smtp), brand=BRAND)
    return desk


async def invited(desk: Desk, survey: dict[str, Any], *persons: str, **how: Any) -> dict[str, Any]:
    """The answer to an invitation that must be taken; by mail alone, unless told otherwise."""
    body = {"person_ids": persons, "delivery": "mail", **how}
    answer = await desk.client.post(f"/v1/surveys/{survey['survey_id']}/invitations", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def posted(post: Post) -> None:
    """The worker has tried all that is due, and scoring has applied what it said."""
    while await post.mailer.step():
        pass
    await post.house.settle()


async def states(desk: Desk, survey: dict[str, Any]) -> dict[str, tuple[str, list[tuple[str, str | None]]]]:
    """How each person's invitation and its mails stand."""
    answer = await desk.client.get(f"/v1/surveys/{survey['survey_id']}/invitations")
    assert answer.status_code == 200, answer.text
    return {
        one["person_id"]: (one["status"], [(mail["state"], mail["problem"]) for mail in one["mails"]])
        for one in answer.json()["items"]
    }


def body(letter: EmailMessage, kind: str) -> str:
    """The text or HTML of a mail."""
    part = letter.get_body((kind,))
    assert part is not None
    return part.get_content()


class Hrefs(HTMLParser):
    """Every link of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "href"]


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


def guest(post: Post) -> httpx2.AsyncClient:
    """Someone without a key."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=post.http), base_url="http://nps")


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


async def test_an_address_that_the_server_refuses_for_good_bounces_and_is_not_counted_as_sent(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box)
    await known(desk, "gone", "full", "fine")
    box.rcpt["gone@x.example"], box.data["full@x.example"] = "550 no such user", "554 not this"
    survey = await made(desk, reminders=2)
    await invited(desk, survey, "gone", "full", "fine")
    await posted(post)
    assert await states(desk, survey) == {
        "fine": ("sent", [("left", None), ("waiting", None)]),
        "full": ("bounced", [("bounced", "554")]),
        "gone": ("bounced", [("bounced", "550")]),
    }
    assert (await desk.tenant.get("/v1/nps"))["sent"] == 1
    kinds = await post.house.owner.fetch(
        "SELECT kind, count(*) FROM scoring_state.invitation WHERE tenant = $1 GROUP BY kind", desk.tenant.number
    )
    assert dict(map(tuple, kinds)) == {"sent": 1, "bounced": 2}
    # Who was never reached is not left in peace for it.
    again = await made(desk, name="Winter")
    assert [one["status"] for one in await asked(desk, again, "gone", "fine", dry=True)] == ["eligible", "skipped"]


async def test_a_server_that_says_later_is_asked_again_less_and_less_often(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    box.rcpt["p@x.example"] = "451 greylisted"
    await invited(desk, survey, "p")
    begin = post.house.clock.now()
    waits: list[float] = []
    for _ in range(5):
        await posted(post)
        due = await post.house.owner.fetchval("SELECT due_at FROM nps.mail WHERE tenant = $1", desk.tenant.number)
        assert due is not None
        waits.append((due - post.house.clock.now()).total_seconds() / 60)
        post.house.clock.set(due - timedelta(microseconds=1))
        assert await post.mailer.step() == 0
        post.house.clock.set(due)
    assert waits == [1, 5, 15, 60, 240]
    del box.rcpt["p@x.example"]
    await posted(post)
    assert await states(desk, survey) == {"p": ("sent", [("left", None)])}
    [letter] = box.letters()
    assert parsedate_to_datetime(letter["Date"]) - begin == timedelta(minutes=321)
    assert letter["Message-ID"].split(".")[1].startswith("0@")


async def test_a_mail_that_never_gets_through_is_given_up_after_three_days(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    await desk.tenant.settings(smtp=box.smtp(port=1))
    await invited(desk, survey, "p")
    begin = post.house.clock.now()
    while (await states(desk, survey))["p"][0] == "waiting":
        await posted(post)
        post.house.clock.move(hours=1)
        assert post.house.clock.now() - begin < timedelta(days=5)
    assert post.house.clock.now() - begin > timedelta(days=2)
    assert await states(desk, survey) == {"p": ("bounced", [("bounced", "gave_up: SMTPConnectError")])}


async def test_a_sender_that_the_server_refuses_bounces_nobody(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    box.sender = "550 who are you"
    await invited(desk, survey, "p")
    await posted(post)
    assert await states(desk, survey) == {"p": ("waiting", [("waiting", "sender: 550")])}
    box.sender = None
    post.house.clock.move(minutes=1)
    await posted(post)
    assert len(box.letters("p@x.example")) == 1


async def test_a_mail_whose_server_hung_up_after_taking_it_is_not_sent_again(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    box.hangs_up = True
    await invited(desk, survey, "p")
    await posted(post)
    assert len(box.letters("p@x.example")) == 1
    assert await states(desk, survey) == {"p": ("sent", [("left", "unconfirmed: SMTPServerDisconnected")])}


async def test_a_crash_between_the_servers_yes_and_the_commit_sends_nothing_twice(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    await invited(desk, survey, "p")
    owner, handed = post.house.owner, post.house.clock.now()
    await owner.execute("ALTER TABLE bus.log ADD CONSTRAINT shut CHECK (topic <> 'genki.responses.v1') NOT VALID")
    try:
        with pytest.raises(Exception, match="shut"):
            await post.mailer.step()
    finally:
        await owner.execute("ALTER TABLE bus.log DROP CONSTRAINT shut")
    assert len(box.letters("p@x.example")) == 1
    assert await states(desk, survey) == {"p": ("waiting", [("waiting", None)])}
    assert await post.mailer.step() == 0  # the dead one's lease still holds
    post.house.clock.move(seconds=worker.LEASE.total_seconds())
    await posted(post)
    assert len(box.letters("p@x.example")) == 1
    assert await states(desk, survey) == {"p": ("sent", [("left", "unconfirmed: crash")])}
    sql = "SELECT at FROM scoring_state.invitation WHERE tenant = $1 AND kind = 'sent'"
    assert await owner.fetchval(sql, desk.tenant.number) == handed


async def test_a_crash_before_the_mail_was_handed_over_sends_it_later(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    await invited(desk, await made(desk), "p")
    owner = post.house.owner
    await owner.execute("ALTER TABLE nps.mail ADD CONSTRAINT shut CHECK (handed_at IS NULL) NOT VALID")
    try:
        with pytest.raises(Exception, match="shut"):
            await post.mailer.step()
    finally:
        await owner.execute("ALTER TABLE nps.mail DROP CONSTRAINT shut")
    assert box.mails == []
    post.house.clock.move(seconds=worker.LEASE.total_seconds())
    await posted(post)
    assert len(box.letters("p@x.example")) == 1


async def test_several_workers_send_each_mail_once(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    persons = [f"p{number}" for number in range(30)]
    await known(desk, *persons)
    await invited(desk, await made(desk), *persons)
    await asyncio.gather(*(post.mailer.step() for _ in range(4)))
    await posted(post)
    assert sorted(to for to, _ in box.mails) == sorted(f"{one}@x.example" for one in persons)


async def test_reminders_go_to_those_who_neither_answered_nor_left_and_end_with_the_survey(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box)
    await known(desk, "silent", "answers", "leaves")
    begin = post.house.clock.now()
    survey = await made(desk, reminders=2, reminder_days=5, closes_at=stamp(begin + timedelta(days=10)))
    await invited(desk, survey, "silent", "answers", "leaves")
    await posted(post)
    async with guest(post) as http:
        [letter] = box.letters("answers@x.example")
        link = next(one for one in Hrefs(body(letter, "html")).found if one.endswith("?score=9")).partition("?")[0]
        assert (await http.post(link, data={"score": 9})).status_code == 303
        [letter] = box.letters("leaves@x.example")
        assert (await http.post(letter["List-Unsubscribe"].strip("<>"))).status_code == 200
    post.house.clock.set(begin + timedelta(days=5, microseconds=-1))
    await posted(post)
    assert len(box.mails) == 3
    post.house.clock.set(begin + timedelta(days=5))
    await posted(post)
    first, second = box.letters("silent@x.example")
    assert second["Subject"].startswith("【元気クラウド】アンケートのお願い（再送） / Reminder: ")
    assert second["Message-ID"] == first["Message-ID"].replace(".0@", ".1@")
    assert [len(box.letters(f"{one}@x.example")) for one in ("answers", "leaves")] == [1, 1]
    async with guest(post) as http:  # the earlier link still works
        assert (await http.get(Hrefs(body(first, "html")).found[0])).status_code == 200
    post.house.clock.set(begin + timedelta(days=10))  # the second reminder is due as the survey closes
    await posted(post)
    assert len(box.mails) == 4
    assert await states(desk, survey) == {
        "answers": ("sent", [("left", None), ("dropped", "answered")]),
        "leaves": ("sent", [("left", None), ("dropped", "opted_out")]),
        "silent": ("sent", [("left", None), ("left", None), ("dropped", "survey_closed")]),
    }
    told = await desk.tenant.get("/v1/nps")
    assert (told["sent"], told["response_rate"]) == (3, 1 / 3)


async def test_a_person_who_leaves_before_the_mail_is_due_gets_none(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    early, late = await made(desk, name="Early", quiet_days=0), await made(desk, name="Late", quiet_days=0)
    await invited(desk, early, "p")
    tomorrow = (post.house.clock.now() + timedelta(days=1)).isoformat()
    assert (await invited(desk, late, "p", send_at=tomorrow))["items"][0]["status"] == "queued"
    await posted(post)
    async with guest(post) as http:
        assert (await http.post(box.letters()[0]["List-Unsubscribe"].strip("<>"))).status_code == 200
    post.house.clock.move(days=1)
    await posted(post)
    assert len(box.mails) == 1
    assert await states(desk, late) == {"p": ("dropped", [("dropped", "opted_out")])}


@pytest.mark.parametrize("what", ["leaves", "answers", "closes"])
async def test_what_changes_after_mails_were_taken_counts_for_those_that_have_not_left(
    post: Post, box: Mailbox, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await sending(post, box)
    await known(desk, "a", "b")
    survey = await made(desk)
    await invited(desk, survey, "a", "b")
    sql = {
        "leaves": "INSERT INTO nps.opt_out (tenant, at, person_id) SELECT tenant, made_at, person_id FROM own",
        "answers": "INSERT INTO nps.answer SELECT tenant, invitation_id, 'r', 1, made_at, 9, NULL FROM own",
        "closes": "UPDATE nps.survey s SET closed_at = own.made_at FROM own WHERE s.tenant = own.tenant",
    }[what]
    own = "WITH own AS (SELECT * FROM nps.invitation WHERE tenant = $1 AND person_id = 'b') "
    taken = post.mailer._send

    async def meanwhile(*args: Any) -> None:
        await post.house.owner.execute(own + sql, desk.tenant.number)
        await taken(*args)

    monkeypatch.setattr(post.mailer, "_send", meanwhile)
    await posted(post)
    assert box.letters("b@x.example") == []
    assert len(box.mails) == (0 if what == "closes" else 1)
    monkeypatch.undo()
    post.house.clock.move(seconds=worker.LEASE.total_seconds())
    await posted(post)
    reason = {"leaves": "opted_out", "answers": "answered", "closes": "survey_closed"}[what]
    assert (await states(desk, survey))["b"] == ("dropped", [("dropped", reason)])


async def test_who_opts_out_has_no_mail_waiting_under_any_joined_id(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p", "old", "other")
    early, late = await made(desk, name="Early", quiet_days=0), await made(desk, name="Late", quiet_days=0)
    now = to_micros(post.house.clock.now())
    join = facts.Alias(tenant=desk.tenant.number, id="j", received=now, person_id="p", previous_id="old", at=now)
    await desk.tenant.tell(join)
    await invited(desk, early, "p")
    await posted(post)
    tomorrow = (post.house.clock.now() + timedelta(days=1)).isoformat()
    await invited(desk, late, "old", "other", send_at=tomorrow)
    async with guest(post) as http:
        assert (await http.post(box.letters()[0]["List-Unsubscribe"].strip("<>"))).status_code == 200
    assert await states(desk, late) == {
        "old": ("dropped", [("dropped", "opted_out")]),
        "other": ("waiting", [("waiting", None)]),
    }
    kept = await post.house.owner.fetch(
        "SELECT email FROM nps.mail WHERE tenant = $1 AND state = 'dropped'", desk.tenant.number
    )
    assert [row["email"] for row in kept] == [""]


async def test_mails_leave_only_in_the_hours_of_the_tenants_zone(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "now", "friday", "night")
    hours = {"send_hours": {"from": "09:00", "to": "18:00"}}
    survey = await made(desk, **hours)
    saturday = _next(post.house.clock.now(), 5)
    planned = await invited(desk, survey, "friday", send_at=f"{(saturday - timedelta(days=1)).date()}T18:00")
    assert planned["items"][0]["send_at"] == stamp(_tokyo(saturday + timedelta(days=2), 9))
    planned = await invited(desk, survey, "night", send_at=f"{saturday.date()}T08:59:00+09:00")
    assert planned["items"][0]["send_at"] == stamp(_tokyo(saturday + timedelta(days=2), 9))
    # A mail that was due in the hours and could not leave then waits for the next ones.
    box.rcpt["now@x.example"] = "451 later"
    post.house.clock.set(_tokyo(saturday - timedelta(days=1), 17) + timedelta(minutes=59, seconds=30))
    await invited(desk, survey, "now")
    await posted(post)
    del box.rcpt["now@x.example"]
    post.house.clock.set(_tokyo(saturday - timedelta(days=1), 18) + timedelta(seconds=30))
    await posted(post)
    assert box.mails == []
    post.house.clock.set(_tokyo(saturday + timedelta(days=2), 9) - timedelta(microseconds=1))
    await posted(post)
    assert box.mails == []
    post.house.clock.move(microseconds=1)
    await posted(post)
    assert sorted(to for to, _ in box.mails) == ["friday@x.example", "night@x.example", "now@x.example"]


def _next(instant: datetime, weekday: int) -> datetime:
    day = instant + timedelta(days=1)
    while day.weekday() != weekday:
        day += timedelta(days=1)
    return day


def _tokyo(day: datetime, hour: int) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour - 9)


async def test_a_relationship_survey_is_spread_over_days_the_same_way_each_time(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    persons = [f"p{number}" for number in range(40)]
    await known(desk, *persons)
    survey = await made(desk)
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    how = {"person_ids": persons, "spread_days": 4}
    planned = (await desk.client.post(path, json=how, params={"dry_run": True})).json()["items"]
    real = (await invited(desk, survey, *persons, spread_days=4))["items"]
    assert [one["send_at"] for one in planned] == [one["send_at"] for one in real]
    begin = post.house.clock.now()
    counts: list[int] = []
    for day in range(4):
        post.house.clock.set(begin + timedelta(days=day))
        await posted(post)
        counts.append(len(box.mails) - sum(counts))
    assert sum(counts) == 40
    assert min(counts) >= 3


async def test_whose_mail_would_leave_when_the_survey_is_over_is_told_so(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    persons = [f"p{number}" for number in range(20)]
    await known(desk, *persons)
    survey = await made(desk, closes_at=stamp(post.house.clock.now() + timedelta(days=1, hours=1)))
    told = await invited(desk, survey, *persons, spread_days=4)
    late = sum(one.get("reason") == "after_close" for one in told["items"])
    assert told["reasons"] == {"after_close": late}
    assert 0 < late < 20
    post.house.clock.move(days=1)
    await posted(post)
    assert len(box.mails) == 20 - late


async def test_a_mail_that_breaks_the_worker_keeps_no_other_back(
    post: Post, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await sending(post, box)
    await known(desk, "a", "b", "c")
    survey = await made(desk)
    written = worker.letter

    def breaks(sender: Any, row: Any, *more: Any) -> bytes:
        if row["person_id"] == "b":
            raise KeyError("b")
        return written(sender, row, *more)

    monkeypatch.setattr(worker, "letter", breaks)
    await invited(desk, survey, "a", "b", "c")
    await posted(post)
    assert {one: state for one, (state, _) in (await states(desk, survey)).items()} == {
        "a": "sent", "b": "waiting", "c": "sent",
    }  # fmt: skip
    monkeypatch.setattr(worker, "letter", written)
    post.house.clock.move(seconds=worker.LEASE.total_seconds())
    await posted(post)
    assert len(box.letters("b@x.example")) == 1


async def test_a_server_that_asks_for_a_user_is_refused_before_anyone_is_invited_without_its_password(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box, user="cs")
    await known(desk, "p")
    survey = await made(desk)
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    refused = await desk.client.post(path, json={"person_ids": ["p"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "no_password")
    assert await rows(desk, "nps.invitation") == 0
    told = (await desk.tenant.get("/v1/settings"))["smtp"]
    assert told == {**box.smtp(user="cs"), "tls": "auto"}


async def test_a_slow_server_gets_its_time_and_the_rest_waits_without_an_attempt(
    post: Post, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await sending(post, box)
    await known(desk, "a", "b", "c", "d")
    survey = await made(desk)
    await invited(desk, survey, "a", "b", "c", "d")
    monkeypatch.setattr(worker, "LONGEST", 0.5)
    box.delay = 0.3
    await posted(post)
    assert len(box.mails) == 2
    rest = "SELECT attempts, problem FROM nps.mail WHERE tenant = $1 AND state = 'waiting'"
    assert [tuple(row) for row in await post.house.owner.fetch(rest, desk.tenant.number)] == [(0, "slow")] * 2
    monkeypatch.undo()
    box.delay = 0
    post.house.clock.move(seconds=worker.SLOW.total_seconds())
    await posted(post)
    assert len(box.mails) == 4


async def test_mails_of_others_leave_while_a_server_says_nothing(post: Post, box: Mailbox) -> None:
    box.gate = asyncio.Event()
    silent = await sending(post, box)
    await known(silent, "p")
    await invited(silent, await made(silent), "p")
    async with mail_server() as quick:
        running = asyncio.create_task(post.mailer.run())
        try:
            await asyncio.sleep(0.5)
            for person in ("q", "r"):  # due after the silent one was begun
                desk = await sending(post, quick)
                await known(desk, person)
                await invited(desk, await made(desk), person)
            await filled(quick, 2)
            assert box.mails == []
            box.gate.set()
            await filled(box, 1)
        finally:
            running.cancel()
            await asyncio.wait([running])
    assert running.cancelled()


async def filled(box: Mailbox, mails: int) -> None:
    """So many have come."""
    async with asyncio.timeout(8):
        while len(box.mails) < mails:  # noqa: ASYNC110 a mailbox tells nobody
            await asyncio.sleep(0.05)
