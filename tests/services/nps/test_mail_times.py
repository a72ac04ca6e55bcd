"""When mails leave: in the tenant's hours, spread over days, reminded, and not to who left or answered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.nps.mail import worker
from shared import facts
from shared.clock import to_micros
from tests.services.nps.conftest import Post
from tests.services.nps.mailbox import Mailbox
from tests.services.nps.mailing import Hrefs, body, guest, invited, posted, sending, states
from tests.services.nps.test_surveys import known, made
from tests.services.scoring.harness import stamp


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
