"""Whom a filter means: the persons of accounts as they stand now, each with the reason why not; samples of them."""

from datetime import date, timedelta
from typing import Any

import pytest

from shared import facts
from tests.services.nps.conftest import Desk, Post
from tests.services.nps.test_surveys import known, made, manager, rows
from tests.services.scoring.builders import TODAY


async def chosen(desk: Desk, survey: dict[str, Any], *, dry: bool = True, **how: Any) -> dict[str, Any]:
    """The answer to an invitation that must be taken."""
    answer = await desk.client.post(f"/v1/surveys/{survey['survey_id']}/invitations", json=how, params={"dry_run": dry})
    assert answer.status_code == 200, answer.text
    await desk.tenant.house.settle()
    return answer.json()


async def book(post: Post) -> Desk:
    """Three accounts of three teams: one high with most of the money, one that churned, one onboarding."""
    desk = await manager(post)
    tell, of = desk.tenant.tell, desk.tenant
    start = TODAY - timedelta(days=200)
    await tell(of.csm("ann", team="strategic"), of.csm("bob", team="corporate"))
    await tell(
        of.account("acme", csm_id="ann", acv="900"), of.account("beta", csm_id="bob", acv="10", status="onboarding"),
        of.account("gone", csm_id="bob", acv="10"), of.contract("acme", start, acv="900"),
        of.contract("gone", start, acv="10"), of.contract("gone", TODAY - timedelta(days=3), change="churn"),
    )  # fmt: skip
    for person, account in (("a1", "acme"), ("a2", "acme"), ("b1", "beta"), ("g1", "gone")):
        await tell(of.person(person, account, email=f"{person}@x.example"))
    await tell(of.person("mute", "acme"), of.person("odd", "acme", email="not an address"))
    await tell(of.usage("user-only", date(2016, 1, 4), "acme"))
    return desk


FILTERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "everyone": ({}, ["a1", "a2", "b1"]),
    "by tier": ({"tier": "high"}, ["a1", "a2"]),
    "by tiers": ({"tier": ["low", "tech"]}, ["b1"]),
    "by CSM": ({"csm": "bob"}, ["b1"]),
    "by team": ({"team": ["strategic"]}, ["a1", "a2"]),
    "by status": ({"status": "onboarding"}, ["b1"]),
    "the churned, when they are named": ({"status": "churned"}, ["g1"]),
    "by account": ({"account_id": ["acme", "gone", "nobody"]}, ["a1", "a2"]),
    "by rank": ({"rank": "D"}, ["a1", "a2"]),
    "by all of them at once": ({"tier": "high", "csm": "bob"}, []),
}


@pytest.fixture(scope="module")
async def desk(post: Post) -> Desk:
    """One book for all questions."""
    return await book(post)


@pytest.mark.parametrize(("choice", "expected"), FILTERS.values(), ids=FILTERS)
async def test_a_filter_means_the_persons_of_the_accounts_that_meet_it(
    desk: Desk, choice: dict[str, Any], expected: list[str]
) -> None:
    survey = await made(desk, name=str(choice))
    answer = await chosen(desk, survey, filter=choice)
    assert [one["person_id"] for one in answer["items"] if one["status"] == "eligible"] == expected
    assert answer["counts"]["eligible"] == len(expected)


async def test_who_is_not_meant_is_told_why_and_who_only_uses_the_product_is_no_person(desk: Desk) -> None:
    answer = await chosen(desk, await made(desk, name="why"), filter={})
    why = {one["person_id"]: one.get("reason") for one in answer["items"]}
    assert why == {
        "a1": None, "a2": None, "b1": None, "g1": "account_churned", "mute": "no_email", "odd": "bad_email",
    }  # fmt: skip
    assert answer["reasons"] == {"account_churned": 1, "bad_email": 1, "no_email": 1}
    named = await chosen(desk, await made(desk, name="named"), person_ids=["g1"])
    assert named["items"][0]["reason"] == "account_churned"


async def test_a_dry_run_and_what_follows_agree_and_only_the_latter_leaves_rows(post: Post) -> None:
    desk = await book(post)
    survey = await made(desk)
    dry = await chosen(desk, survey, filter={"tier": "high"})
    assert await rows(desk, "nps.invitation") == 0
    real = await chosen(desk, survey, dry=False, filter={"tier": "high"})
    assert [one["person_id"] for one in real["items"]] == [one["person_id"] for one in dry["items"]]
    assert await rows(desk, "nps.invitation") == 2
    again = await chosen(desk, survey, filter={"tier": "high"})
    assert again["reasons"] == {"already_invited": 2, "no_email": 1, "bad_email": 1}


async def test_a_person_who_moved_away_is_no_part_of_the_old_accounts_audience(post: Post) -> None:
    desk = await book(post)
    post.house.clock.move(days=1)
    await desk.tenant.tell(desk.tenant.person("a2", "beta", email="a2@x.example"))
    survey = await made(desk)
    for account, expected in (("acme", ["a1"]), ("beta", ["a2", "b1"])):
        answer = await chosen(desk, survey, filter={"account_id": account})
        assert [one["person_id"] for one in answer["items"] if one["status"] == "eligible"] == expected


async def test_a_csm_asks_for_their_own(post: Post) -> None:
    desk = await book(post)
    survey = await made(desk)
    client = await desk.tenant.client("csm", "ann")
    key = client.headers["authorization"]
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    answer = await desk.client.post(
        path, json={"filter": {"csm": "me"}}, params={"dry_run": True}, headers={"authorization": key}
    )
    assert [one["person_id"] for one in answer.json()["items"] if one["status"] == "eligible"] == ["a1", "a2"]


async def csm_key(post: Post, desk: Desk, csm_id: str | None) -> Desk:
    """The same tenant, asked with a key of role csm."""
    return Desk(desk.tenant, await post.door(desk.tenant, "api", "csm", csm_id))


def why(answer: dict[str, Any]) -> dict[str, str | None]:
    """Why each person is not invited."""
    return {one["person_id"]: one.get("reason") for one in answer["items"]}


async def test_a_csm_invites_persons_of_their_own_accounts_only_and_a_manager_anyone(post: Post) -> None:
    desk = await book(post)
    await desk.tenant.tell(desk.tenant.person("free", None, email="free@x.example"))
    ann, bob, survey = await csm_key(post, desk, "ann"), await csm_key(post, desk, "bob"), await made(desk)
    named = ["a1", "b1", "g1", "free", "nobody"]
    foreign = {"b1": "not_yours", "g1": "not_yours", "free": "not_yours", "nobody": "unknown_person"}
    for dry in (True, False):
        assert why(await chosen(ann, survey, dry=dry, person_ids=named)) == {"a1": None, **foreign}
    assert await rows(desk, "nps.invitation") == 1
    assert why(await chosen(bob, survey, person_ids=named)) == {
        "a1": "not_yours", "b1": None, "g1": "account_churned", "free": "not_yours", "nobody": "unknown_person",
    }  # fmt: skip
    anyone = await chosen(desk, survey, person_ids=named)
    assert why(anyone) == {
        "a1": "already_invited", "b1": None, "g1": "account_churned", "free": None, "nobody": "unknown_person",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, ["a1", "a2"]),
        ({"csm": ["me", "bob"]}, ["a1", "a2"]),
        ({"csm": "bob"}, []),
        ({"tier": ["low", "tech"]}, []),
        ({"account_id": ["acme", "beta"]}, ["a1", "a2"]),
    ],
)
async def test_a_csms_filter_ends_at_their_own_accounts(
    post: Post, desk: Desk, choice: dict[str, Any], expected: list[str]
) -> None:
    ann, survey = await csm_key(post, desk, "ann"), await made(desk, name=f"own {choice}")
    answer = await chosen(ann, survey, filter=choice)
    assert [one["person_id"] for one in answer["items"] if one["status"] == "eligible"] == expected
    assert set(why(answer)) <= {"a1", "a2", "mute", "odd"}


async def test_a_key_of_role_csm_that_names_no_csm_owns_no_account(post: Post, desk: Desk) -> None:
    lost, survey = await csm_key(post, desk, None), await made(desk, name="lost")
    assert why(await chosen(lost, survey, person_ids=["a1"])) == {"a1": "not_yours"}
    assert (await chosen(lost, survey, filter={}))["items"] == []


async def test_persons_go_with_their_account_when_it_changes_hands(post: Post) -> None:
    desk = await book(post)
    ann, bob, survey = await csm_key(post, desk, "ann"), await csm_key(post, desk, "bob"), await made(desk)
    post.house.clock.move(days=1)
    await desk.tenant.tell(desk.tenant.account("acme", csm_id="bob"))
    assert why(await chosen(ann, survey, person_ids=["a1"])) == {"a1": "not_yours"}
    assert why(await chosen(bob, survey, person_ids=["a1"])) == {"a1": None}


async def test_a_sample_is_the_same_whenever_it_is_drawn_and_grows_with_its_share(post: Post) -> None:
    desk = await manager(post)
    persons = [f"p{number}" for number in range(200)]
    await known(desk, *persons)
    survey, other = await made(desk), await made(desk, name="Other")

    async def drawn(of: dict[str, Any], share: float) -> set[str]:
        answer = await chosen(desk, of, filter={}, sample=share)
        assert {one.get("reason") for one in answer["items"]} <= {None, "not_sampled"}
        return {one["person_id"] for one in answer["items"] if one["status"] == "eligible"}

    quarter, half = await drawn(survey, 0.25), await drawn(survey, 0.5)
    assert 30 <= len(quarter) <= 70
    assert quarter < half
    assert quarter == await drawn(survey, 0.25)
    assert quarter != await drawn(other, 0.25)


async def test_all_ids_of_a_person_share_their_refusals_and_one_invitation(post: Post) -> None:
    desk = await manager(post)
    await known(desk, "p", "old")
    survey = await made(desk)
    [first] = (await chosen(desk, survey, dry=False, person_ids=["p"]))["items"]
    assert (await desk.client.post(first["unsubscribe_link"])).status_code == 200
    now = post.house.clock.micros()
    join = facts.Alias(tenant=desk.tenant.number, id="j", received=now, person_id="p", previous_id="old", at=now)
    await desk.tenant.tell(join)
    winter = await made(desk, name="Winter", quiet_days=0)
    how: dict[str, Any]
    for how in ({"person_ids": ["old"]}, {"filter": {}}):
        answer = await chosen(desk, winter, **how)
        assert [(one["person_id"], one.get("reason")) for one in answer["items"]] == [("old", "opted_out")]
    twice = await manager(post)
    await known(twice, "p", "old")
    now = post.house.clock.micros()
    await twice.tenant.tell(
        facts.Alias(tenant=twice.tenant.number, id="j", received=now, person_id="p", previous_id="old", at=now)
    )
    answer = await chosen(twice, await made(twice), person_ids=["p", "old"])
    assert [one.get("reason") for one in answer["items"]] == [None, "already_invited"]
