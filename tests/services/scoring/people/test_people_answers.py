"""`GET /v1/accounts/{id}/people`: who is there, by facts of every kind, page by page, live and past."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.people.shapes import PeopleAnswer
from shared import facts
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """Ana is known and uses it, ben was let go, cid only uses it, dan only answered, eve is at another account too."""
    tenant = await house.tenant()
    await tenant.tell(
        tenant.person("ana", "acme", at(ago(60)), name="Ana", email="ana@acme.example", title="Owner"),
        tenant.person("ana", "acme", at(ago(50)), title="Boss"),
        tenant.person("ben", "acme", at(ago(90)), name="Ben", uses_product=True),
        tenant.person("ben", "acme", at(ago(10)), deactivated=True),
        tenant.person("eve", "acme", at(ago(40)), uses_product=True),
        tenant.person("eve", "other", at(ago(39)), name="Eve"),
        tenant.person("fay", "other", at(ago(39)), name="Fay"),
        tenant.usage("ana", ago(55), "acme"),
        tenant.usage("ana", ago(5), "acme", times=3),
        tenant.usage("ana", ago(4), "other", times=9),
        tenant.usage("cid", ago(70), "acme"),
        tenant.response(4, ago(30), "acme", "ana", survey_id="s1"),
        tenant.response(9, ago(20), "acme", "ana", survey_id="s2"),
        tenant.response(None, ago(3), "acme", "dan", comment="hm"),
        tenant.contact("acme", ago(8), person_ids=["ana", "who"]),
        tenant.contact("acme", ago(2), outcome="no_answer", person_ids=["ana"]),
    )
    return tenant


async def test_everybody_named_in_the_account_is_there_once_by_id(filled: TestTenant):
    told = await filled.get("/v1/accounts/acme/people")
    assert [one["person_id"] for one in told["items"]] == ["ana", "ben", "cid", "dan", "eve"]
    assert (told["account_id"], told["total"], told["next_cursor"]) == ("acme", 5, None)
    assert PeopleAnswer.model_validate(told).total == 5
    assert told["items"][0] == {
        "person_id": "ana", "name": "Ana", "email": "ana@acme.example", "title": "Boss",
        "since": "2026-04-16T03:00:00Z", "uses_product": None, "deactivated": False, "is_id": True,
        "first_usage_day": "2026-04-21", "last_usage_day": "2026-06-10", "active_days_28": 1, "events_28": 3,
        "last_score": 9, "last_score_at": "2026-05-26T03:00:00Z", "last_contact_at": "2026-06-07T03:00:00Z",
    }  # fmt: skip
    ben, cid, dan, eve = told["items"][1:]
    assert (ben["deactivated"], ben["is_id"], cid["is_id"], cid["name"], cid["since"]) == (
        True,
        False,
        True,
        None,
        None,
    )
    assert (dan["is_id"], dan["last_score"], dan["last_usage_day"]) == (False, None, None)
    assert (eve["name"], eve["uses_product"], eve["is_id"]) == ("Eve", True, True)  # a name is the person's own


async def test_the_ids_among_them_are_those_of_the_account(filled: TestTenant):
    for asked in ("", f"?as_of={ago(15)}"):
        told = await filled.get(f"/v1/accounts/acme/people{asked}")
        assert sum(one["is_id"] for one in told["items"]) == (await filled.get(f"/v1/accounts/acme{asked}"))["ids"]


async def test_the_past_shows_who_was_there_then(filled: TestTenant):
    told = await filled.get(f"/v1/accounts/acme/people?as_of={ago(56)}")
    assert [(one["person_id"], one["title"], one["first_usage_day"]) for one in told["items"]] == [
        ("ana", "Owner", None), ("ben", None, None), ("cid", None, "2026-04-06"),
    ]  # fmt: skip
    live, past = await filled.get("/v1/accounts/acme/people"), await filled.past("/v1/accounts/acme/people")
    assert live["items"] == past["items"]


async def test_pages_follow_one_another(filled: TestTenant):
    found: list[Any] = []
    path = "/v1/accounts/acme/people?limit=2"
    while path:
        told = await filled.get(path)
        found += [one["person_id"] for one in told["items"]]
        path = told["next_cursor"] and f"/v1/accounts/acme/people?limit=2&cursor={told['next_cursor']}"
    assert found == ["ana", "ben", "cid", "dan", "eve"]
    cursor = (await filled.get("/v1/accounts/acme/people?limit=2"))["next_cursor"]
    assert (await filled.call("GET", f"/v1/accounts/other/people?cursor={cursor}")).status_code == 422


async def test_joined_ids_are_one_person_in_one_account(house: House):
    tenant = await house.tenant()
    alias = facts.Alias(
        tenant=tenant.number, id="al", received=house.clock.micros(), at=house.clock.micros(), person_id="zoe",
        previous_id="anon",
    )  # fmt: skip
    await tenant.tell(
        tenant.person("zoe", "b", at(ago(9)), name="Zoe"),
        tenant.usage("anon", ago(20), "a"),
        tenant.usage("zoe", ago(3), "b"),
        tenant.account("b", merged_into="a"),
        alias,
    )
    for asked in ("a", "b"):
        told = await tenant.get(f"/v1/accounts/{asked}/people")
        assert told["account_id"] == "a"
        assert [(one["person_id"], one["name"], one["first_usage_day"]) for one in told["items"]] == [
            ("anon", "Zoe", str(ago(20)))
        ]
        assert (told["total"], told["items"][0]["active_days_28"]) == (1, 2)


async def test_nobody_knows_an_account_that_no_fact_named_by_then(filled: TestTenant):
    assert (await filled.call("GET", "/v1/accounts/nobody/people")).status_code == 404
    assert (await filled.call("GET", f"/v1/accounts/acme/people?as_of={ago(91)}")).status_code == 404
