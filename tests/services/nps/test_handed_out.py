"""Links in the answer and by mail at once: handed out once, told once, both leading to one answer."""

from datetime import datetime, timedelta
from typing import Any

import cramjam
import pytest

from shared import facts
from shared.clock import from_micros
from tests.services.nps.conftest import Desk, Post
from tests.services.nps.mailbox import Mailbox
from tests.services.nps.mailing import Hrefs, body, guest, posted, sending, states
from tests.services.nps.test_surveys import asked, known, made, rows
from tests.services.scoring.harness import stamp


async def ordered(desk: Desk, survey: dict[str, Any], *persons: str, dry: bool = False, **how: Any) -> Any:
    """The raw answer to an invitation."""
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    return await desk.client.post(path, json={"person_ids": persons, **how}, params={"dry_run": dry})


async def told(desk: Desk) -> list[tuple[str, datetime]]:
    """Every fact about invitations that lies on the log, by invitation and instant: kind and instant."""
    sql = "SELECT body FROM bus.log WHERE topic = 'genki.responses.v1'"
    lines = [
        line
        for row in await desk.tenant.house.owner.fetch(sql)
        for line in bytes(cramjam.zstd.decompress(row["body"])).split(b"\n")
    ]
    read = [facts.decode(line) for line in lines]
    about = [one for one in read if isinstance(one, facts.InvitationSent | facts.InvitationBounced)]
    mine = sorted((one for one in about if one.tenant == desk.tenant.number), key=lambda one: (one.id, one.at))
    return [("sent" if isinstance(one, facts.InvitationSent) else "bounced", from_micros(one.at)) for one in mine]


async def test_by_default_a_link_is_in_the_answer_and_in_the_mail_and_counts_from_the_answer_on(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey, begin = await made(desk, quiet_days=7), post.house.clock.now()
    answer = (await ordered(desk, survey, "p")).json()
    [item] = answer["items"]
    assert (answer["delivery"], answer["counts"]) == ("both", {"invited": 1, "skipped": 0})
    assert (item["status"], item["send_at"]) == ("invited", stamp(begin))
    assert await told(desk) == [("sent", begin)]
    assert await states(desk, survey) == {"p": ("sent", [("waiting", None)])}
    post.house.clock.move(minutes=5)
    await posted(post)
    assert await told(desk) == [("sent", begin)]
    assert await states(desk, survey) == {"p": ("sent", [("left", None)])}
    assert (await desk.tenant.get("/v1/nps"))["sent"] == 1
    week = await made(desk, name="Week", quiet_days=7)
    for after, status in ((timedelta(days=7, microseconds=-1), "skipped"), (timedelta(days=7), "eligible")):
        post.house.clock.set(begin + after)
        assert (await asked(desk, week, "p", dry=True))[0]["status"] == status


async def test_the_link_of_the_answer_and_that_of_the_mail_lead_to_one_response(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    [item] = (await ordered(desk, await made(desk), "p", delivery="both")).json()["items"]
    await posted(post)
    [letter] = box.letters("p@x.example")
    mailed = next(one for one in Hrefs(body(letter, "html")).found if one.endswith("?score=9")).partition("?")[0]
    assert mailed != item["link"]
    async with guest(post) as http:
        for link, score in ((item["link"], 3), (mailed, 9), (item["link"], 10)):
            post.house.clock.move(seconds=1)
            assert (await http.post(link, data={"score": score})).status_code == 303
        await post.house.settle()
        figures = await desk.tenant.get("/v1/nps")
        assert (figures["n"], figures["promoters"], figures["sent"], figures["response_rate"]) == (1, 1, 1, 1)
        [response] = (await desk.tenant.get("/v1/responses"))["items"]
        assert (response["score"], await rows(desk, "nps.answer")) == (10, 1)
        goodbyes = (item["unsubscribe_link"], letter["List-Unsubscribe"].strip("<>"))
        assert [(await http.post(one)).status_code for one in goodbyes] == [200, 200]
    assert await rows(desk, "nps.opt_out") == 1


async def test_a_bounce_takes_back_what_was_handed_out_and_leaves_in_peace_who_answered(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box)
    await known(desk, "gone", "answers")
    survey, begin = await made(desk), post.house.clock.now()
    box.rcpt = {f"{one}@x.example": "550 no such user" for one in ("gone", "answers")}
    items = (await ordered(desk, survey, "gone", "answers")).json()["items"]
    post.house.clock.move(minutes=1)
    await posted(post)
    later = post.house.clock.now()
    assert await told(desk) == [("sent", begin), ("bounced", later)] * 2
    assert await states(desk, survey) == dict.fromkeys(("answers", "gone"), ("bounced", [("bounced", "550")]))
    assert (await desk.tenant.get("/v1/nps"))["sent"] == 0
    async with guest(post) as http:  # the link in the answer still is one
        assert (await http.post(items[1]["link"], data={"score": 9})).status_code == 303
    winter = await made(desk, name="Winter")
    reasons = [one.get("reason") for one in await asked(desk, winter, "gone", "answers", dry=True)]
    assert reasons == [None, "quiet_period"]


async def test_who_answers_by_the_answers_link_before_the_mail_leaves_gets_none_and_stays_sent(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey, begin = await made(desk), post.house.clock.now()
    [item] = (await ordered(desk, survey, "p")).json()["items"]
    async with guest(post) as http:
        assert (await http.post(item["link"], data={"score": 9})).status_code == 303
    await posted(post)
    assert box.mails == []
    assert await states(desk, survey) == {"p": ("sent", [("dropped", "answered")])}
    assert await told(desk) == [("sent", begin)]
    assert (await desk.tenant.get("/v1/nps"))["response_rate"] == 1


@pytest.mark.parametrize("how", [{"send_at": "2199-01-01T09:00"}, {"spread_days": 2}], ids=["send_at", "spread_days"])
async def test_no_link_is_handed_out_before_its_time(post: Post, box: Mailbox, how: dict[str, Any]) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    for delivery in ("both", "link"):
        refused = await ordered(desk, survey, "p", delivery=delivery, **how)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "links_leave_now")
    for dry, status in ((True, "eligible"), (False, "queued")):
        answer = (await ordered(desk, survey, "p", dry=dry, **how)).json()
        assert (answer["delivery"], answer["items"][0]["status"], answer["items"][0]["link"]) == ("mail", status, None)
    assert await rows(desk, "nps.token") == 0
    assert await told(desk) == []


async def test_more_persons_than_an_answer_holds_links_for_get_mails_unless_links_were_asked_for(
    post: Post, box: Mailbox
) -> None:
    desk = await sending(post, box)
    persons = [f"p{number}" for number in range(1_001)]
    await known(desk, *persons)
    survey = await made(desk)
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    for delivery in ("both", "link"):
        refused = await desk.client.post(path, json={"filter": {}, "delivery": delivery})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "too_many_persons")
    thousand = await ordered(desk, survey, *persons[:1_000], dry=True)
    assert thousand.json()["delivery"] == "both"
    for dry, status in ((True, "eligible"), (False, "queued")):
        answer = (await desk.client.post(path, json={"filter": {}}, params={"dry_run": dry})).json()
        assert (answer["delivery"], answer["counts"]) == ("mail", {status: 1_001, "skipped": 0})
    assert await rows(desk, "nps.token") == 0


async def test_a_dry_run_names_the_way_that_the_order_would_take(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    for asked_for, done in ((None, "both"), ("both", "both"), ("mail", "mail"), ("link", "link")):
        answer = (await ordered(desk, survey, "p", dry=True, delivery=asked_for)).json()
        assert (answer["delivery"], answer["items"][0]["status"], answer["items"][0]["link"]) == (
            done,
            "eligible",
            None,
        )
    await desk.tenant.settings(smtp=None)
    for asked_for in ("both", "mail"):
        refused = await ordered(desk, survey, "p", delivery=asked_for)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_mail_server")
