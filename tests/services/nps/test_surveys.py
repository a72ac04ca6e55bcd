"""Surveys made, listed and closed; persons invited, and why not; each link handed out is a fact."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from services.nps.domain.surveys import OPEN_QUESTION, QUESTION
from shared import facts
from tests.services.nps.conftest import Desk, Post
from tests.services.scoring.harness import stamp


async def manager(post: Post, role: str = "manager") -> Desk:
    """A new tenant with a key of that role."""
    tenant = await post.house.tenant()
    return Desk(tenant, await post.door(tenant, "api", role))


async def made(desk: Desk, **wish: Any) -> dict[str, Any]:
    """A survey that must be made."""
    answer = await desk.client.post("/v1/surveys", json={"name": "Autumn", **wish})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def known(desk: Desk, *persons: str, **more: Any) -> None:
    """Persons of the account acme, each with an e-mail."""
    told = [desk.tenant.person(one, "acme", **{"email": f"{one}@x.example", **more}) for one in persons]
    await desk.tenant.tell(*told)


async def asked(desk: Desk, survey: dict[str, Any], *persons: str, dry: bool = False) -> list[dict[str, Any]]:
    """The items of an invitation that must be taken; what it put on the log is applied."""
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    answer = await desk.client.post(path, json={"person_ids": persons}, params={"dry_run": dry})
    assert answer.status_code == 200, answer.text
    await desk.tenant.house.settle()
    return answer.json()["items"]


async def rows(desk: Desk, table: str) -> int:
    """How many rows a table has for the tenant."""
    sql = f"SELECT count(*) FROM {table} WHERE tenant = $1"
    return int(await desk.tenant.house.owner.fetchval(sql, desk.tenant.number) or 0)


async def test_a_survey_that_says_only_its_name_asks_the_usual_questions(post: Post) -> None:
    desk = await manager(post)
    survey = await made(desk)
    assert survey == {
        "survey_id": survey["survey_id"], "name": "Autumn", "kind": "relationship", "state": "open",
        "question": QUESTION, "open_question": OPEN_QUESTION, "quiet_days": 90, "closes_at": None, "closed_at": None,
        "language": "both", "reminders": 0, "reminder_days": 7, "send_hours": None,
        "created_at": stamp(post.house.clock.now()),
    }  # fmt: skip
    assert (await desk.client.get("/v1/surveys")).json() == {"items": [survey], "total": 1, "next_cursor": None}
    assert (await desk.client.get(f"/v1/surveys/{survey['survey_id']}")).json() == survey


async def test_a_survey_keeps_every_part_that_it_was_given(post: Post) -> None:
    desk = await manager(post)
    wish = {
        "name": "After support", "kind": "transactional", "question": {"ja": "いかがでしたか", "en": "How was it?"},
        "open_question": {"detractor": "Why?", "passive": {"ja": "何か", "en": "What?"}, "promoter": "Best part?"},
        "closes_at": stamp(post.house.clock.now() + timedelta(days=1)), "quiet_days": 0,
        "language": "en", "reminders": 2, "reminder_days": 3,
        "send_hours": {"from": "09:00", "to": "18:00", "weekdays_only": False},
    }  # fmt: skip
    survey = await made(desk, **wish)
    assert {name: survey[name] for name in wish} == wish


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": ""}, "/name"),
    "a name with a line break": ({"name": "a\nb"}, "/name"),
    "no such kind": ({"kind": "yearly"}, "/kind"),
    "a question in one language": ({"question": {"ja": "x"}}, "/question/en"),
    "closed before it begins": ({"closes_at": "2001-01-01T00:00:00Z"}, "/closes_at"),
    "a closing time without offset": ({"closes_at": "2099-01-01T00:00:00"}, "/closes_at"),
    "less than no quiet": ({"quiet_days": -1}, "/quiet_days"),
    "three reminders": ({"reminders": 3}, "/reminders"),
    "hours that end before they begin": ({"send_hours": {"from": "18:00", "to": "09:00"}}, "/send_hours"),
    "an hour that no day has": ({"send_hours": {"from": "08:00", "to": "24:00"}}, "/send_hours/to"),
    "an unknown field": ({"colour": "red"}, "/colour"),
}


@pytest.mark.parametrize(("change", "pointer"), WRONG.values(), ids=WRONG)
async def test_a_survey_with_a_wrong_part_is_refused(post: Post, change: dict[str, Any], pointer: str) -> None:
    desk = await manager(post)
    answer = await desk.client.post("/v1/surveys", json={"name": "Autumn", **change})
    assert answer.status_code == 422
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]
    assert await rows(desk, "nps.survey") == 0


async def test_two_surveys_of_a_tenant_never_have_one_name_and_those_of_two_tenants_may(post: Post) -> None:
    desk, other = await manager(post), await manager(post)
    await made(desk)
    again = await desk.client.post("/v1/surveys", json={"name": "Autumn"})
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    foreign = await made(other)
    for path in ("", "/close", "/invitations"):
        method = "POST" if path else "GET"
        body = {"person_ids": ["p"]} if path == "/invitations" else None
        answer = await desk.client.request(method, f"/v1/surveys/{foreign['survey_id']}{path}", json=body)
        assert (path, answer.status_code) == (path, 404)


async def test_surveys_are_listed_newest_first_page_by_page(post: Post) -> None:
    desk = await manager(post)
    for number in range(5):
        post.house.clock.move(seconds=1)
        await made(desk, name=f"s{number}")
    names: list[str] = []
    cursor = ""
    while cursor is not None:
        page = (await desk.client.get("/v1/surveys", params={"limit": 2, "cursor": cursor})).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["s4", "s3", "s2", "s1", "s0"]


async def test_a_closed_survey_keeps_its_instant_and_invites_nobody(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "p")
    survey = await made(desk)
    first = (await desk.client.post(f"/v1/surveys/{survey['survey_id']}/close")).json()
    post.house.clock.move(days=1)
    again = (await desk.client.post(f"/v1/surveys/{survey['survey_id']}/close")).json()
    assert (first["state"], first["closed_at"]) == ("closed", again["closed_at"])
    for dry in (False, True):
        answer = await desk.client.post(
            f"/v1/surveys/{survey['survey_id']}/invitations", json={"person_ids": ["p"]}, params={"dry_run": dry}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "survey_closed")


async def test_each_person_gets_a_link_of_their_own_which_counts_as_sent_in_nps(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "p1", "p2")
    survey = await made(desk)
    items = await asked(desk, survey, "p1", "p2", "p1")
    assert [(one["person_id"], one["status"]) for one in items] == [("p1", "invited"), ("p2", "invited")]
    links = {one[kind] for one in items for kind in ("link", "unsubscribe_link")}
    assert len(links) == 4
    assert all(one["link"].startswith("http://nps/s/") for one in items)
    assert all(one["unsubscribe_link"].startswith("http://nps/u/") for one in items)
    told = await desk.tenant.get("/v1/nps?by=survey")
    assert (told["n"], told["sent"], told["response_rate"]) == (0, 2, 0)
    sent = await post.house.owner.fetch(
        "SELECT i.invitation_id, i.survey_id, a.account_id, i.at FROM scoring_state.invitation i"
        " JOIN scoring.account_key a USING (tenant, account) WHERE tenant = $1 ORDER BY i.invitation_id",
        desk.tenant.number,
    )
    now = post.house.clock.now()
    expected = sorted((one["invitation_id"], survey["survey_id"], "acme", now) for one in items)
    assert [tuple(row) for row in sent] == expected


async def test_only_the_hash_of_a_link_is_kept(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "p")
    [item] = await asked(desk, await made(desk), "p")
    token = item["link"].rpartition("/")[2]
    assert len(token) == 32
    kept = await post.house.owner.fetch("SELECT * FROM nps.token WHERE tenant = $1", desk.tenant.number)
    assert {row["purpose"] for row in kept} == {"survey", "unsubscribe"}
    assert hashlib.sha256(token.encode()).digest() in {bytes(row["hash"]) for row in kept}
    assert token not in str([tuple(row) for row in kept])


async def test_who_is_not_invited_is_told_why_first_in_a_dry_run_that_changes_nothing(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "fine", "out", "before", "quiet")
    await known(desk, "gone", deactivated=False)
    await desk.tenant.tell(desk.tenant.person("gone", "acme", deactivated=True))
    await desk.tenant.tell(desk.tenant.person("mute", "acme"))
    survey, earlier = await made(desk), await made(desk, name="Summer")
    [first] = await asked(desk, survey, "before")
    await asked(desk, earlier, "quiet")
    [leaving] = await asked(desk, earlier, "out")
    assert (await desk.client.post(leaving["unsubscribe_link"])).status_code == 200
    expected = [
        ("fine", None), ("nobody", "unknown_person"), ("gone", "deactivated"), ("out", "opted_out"),
        ("before", "already_invited"), ("mute", "no_email"), ("quiet", "quiet_period"),
    ]  # fmt: skip
    before = [await rows(desk, table) for table in ("nps.invitation", "nps.token", "scoring_state.invitation")]
    for dry, status in ((True, "eligible"), (False, "invited")):
        items = await asked(desk, survey, *(person for person, _ in expected), dry=dry)
        assert [(one["person_id"], one.get("reason")) for one in items] == expected
        assert [one["status"] for one in items] == [status] + ["skipped"] * 6
        assert items[4]["invitation_id"] == first["invitation_id"]
        assert [one["link"] is None for one in items] == [dry] + [True] * 6
        now = [await rows(desk, table) for table in ("nps.invitation", "nps.token", "scoring_state.invitation")]
        assert now == (before if dry else [before[0] + 1, before[1] + 2, before[2] + 1])


async def test_the_quiet_period_ends_to_the_instant_and_a_survey_may_have_none(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "p")
    begin = post.house.clock.now()
    await asked(desk, await made(desk), "p")
    week, none = await made(desk, name="Week", quiet_days=7), await made(desk, name="At once", quiet_days=0)
    assert (await asked(desk, none, "p", dry=True))[0]["status"] == "eligible"
    for after, status in ((timedelta(days=7, microseconds=-1), "skipped"), (timedelta(days=7), "eligible")):
        post.house.clock.set(begin + after)
        assert (await asked(desk, week, "p", dry=True))[0]["status"] == status


async def test_a_person_is_invited_for_the_account_they_moved_to(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "p")
    post.house.clock.move(days=1)
    await desk.tenant.tell(desk.tenant.person("p", "acme", deactivated=True), desk.tenant.person("p", "nova"))
    [item] = await asked(desk, await made(desk), "p")
    assert item["status"] == "invited"
    assert (
        await post.house.owner.fetchval("SELECT account_id FROM nps.invitation WHERE tenant = $1", desk.tenant.number)
        == "nova"
    )


async def test_the_email_of_an_id_that_was_joined_is_the_persons_and_without_account_they_are_invited_too(
    post: Post,
) -> None:
    desk = await manager(post)
    alias = desk.tenant.person("old", None, email="old@x.example")
    joined = facts.Alias(
        tenant=desk.tenant.number, id="join", received=alias.received, person_id="p", previous_id="old", at=alias.at
    )
    await desk.tenant.tell(alias, joined)
    [item] = await asked(desk, await made(desk), "p")
    assert item["status"] == "invited"
    sql = "SELECT person_id, account_id FROM nps.invitation WHERE tenant = $1"
    assert [tuple(row) for row in await post.house.owner.fetch(sql, desk.tenant.number)] == [("p", None)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"person_ids": ["p"], "filter": {}}, "two_audiences"),
        ({"filter": {"colour": "red"}}, "extra_forbidden"),
        ({"filter": {"tier": "top"}}, "literal_error"),
        ({"filter": {"csm": "me"}}, "no_csm"),
        ({"person_ids": ["p"], "sample": 0}, "greater_than"),
        ({"person_ids": ["p"], "send_at": "2099-01-01T09:00"}, "links_leave_now"),
        ({"person_ids": ["p"], "spread_days": 3}, "links_leave_now"),
        ({}, "missing"),
        ({"person_ids": []}, "too_short"),
        ({"person_ids": ["x"] * 1_001}, "too_long"),
        ({"person_ids": ["a\0"]}, "string_pattern_mismatch"),
    ],
)
async def test_an_invitation_that_names_nobody_rightly_is_refused(post: Post, body: dict[str, Any], code: str) -> None:
    desk = await manager(post)
    survey = await made(desk)
    answer = await desk.client.post(f"/v1/surveys/{survey['survey_id']}/invitations", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


async def test_a_viewer_reads_surveys_a_csm_invites_a_manager_makes_them(post: Post) -> None:
    desk = await manager(post)
    survey = await made(desk)
    path = f"/v1/surveys/{survey['survey_id']}"
    for role, allowed in (("viewer", 200), ("csm", 200)):
        client = await post.door(desk.tenant, "api", role)
        assert (await client.get(path)).status_code == allowed
        assert (await client.post("/v1/surveys", json={"name": "mine"})).status_code == 403
        assert (await client.post(f"{path}/close")).status_code == 403
        invited = await client.post(f"{path}/invitations", json={"person_ids": ["p"]}, params={"dry_run": True})
        assert invited.status_code == (200 if role == "csm" else 403)


async def test_what_the_log_will_not_take_leaves_no_invitation_behind(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "p")
    survey = await made(desk)
    owner = post.house.owner
    await owner.execute("ALTER TABLE bus.log ADD CONSTRAINT shut CHECK (topic <> 'genki.responses.v1') NOT VALID")
    try:
        path = f"/v1/surveys/{survey['survey_id']}/invitations"
        assert (await desk.client.post(path, json={"person_ids": ["p"]})).status_code == 500
        assert [await rows(desk, table) for table in ("nps.invitation", "nps.token")] == [0, 0]
    finally:
        await owner.execute("ALTER TABLE bus.log DROP CONSTRAINT shut")
    assert (await asked(desk, survey, "p"))[0]["status"] == "invited"
