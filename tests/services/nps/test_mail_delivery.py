"""Mails and their server: refused, put off, broken off in the middle; none is lost, none leaves twice."""

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from services.nps.mail import worker
from tests.services.nps.conftest import Post
from tests.services.nps.mailbox import Mailbox, mail_server
from tests.services.nps.mailing import invited, posted, sending, states
from tests.services.nps.test_surveys import asked, known, made, rows


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


async def crash(post: Post, table: str, check: str) -> None:
    """A step of the mailer that breaks off where it writes a row against the check."""
    owner = post.house.owner
    await owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT shut CHECK ({check}) NOT VALID")
    try:
        with pytest.raises(Exception, match="shut"):
            await post.mailer.step()
    finally:
        await owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT shut")


async def test_a_crash_between_the_servers_yes_and_the_commit_sends_nothing_twice(post: Post, box: Mailbox) -> None:
    desk = await sending(post, box)
    await known(desk, "p")
    survey = await made(desk)
    await invited(desk, survey, "p")
    owner, handed = post.house.owner, post.house.clock.now()
    await crash(post, "bus.log", "topic <> 'genki.responses.v1'")
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
    await crash(post, "nps.mail", "handed_at IS NULL")
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
    monkeypatch.setattr(worker, "LONGEST", 2.0)
    box.delay = 1.2
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
