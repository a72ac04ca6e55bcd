"""`GET /v1/contacts/planned`: what is ahead, missed or closed; the same next plan as worklist and account say."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.contacts.shapes import PlannedContacts
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """a: one plan missed, two ahead; b: one done, one put off; c: hana's plan; gone: churned."""
    tenant = await house.tenant()
    done = tenant.contact("b", ago(4), "video", "planned")
    late = tenant.contact("b", ago(-3), "video", "planned")
    await tenant.tell(
        tenant.csm("hana", at(ago(90)), name="Hana"),
        tenant.account("a", at(ago(60)), name="Acme", customer_since=ago(60), csm_id="ken", acv="10"),
        tenant.account("b", at(ago(60)), customer_since=ago(60), acv="9"),
        tenant.account("c", at(ago(60)), customer_since=ago(60), csm_id="ken", acv="8"),
        tenant.account("gone", at(ago(60)), status="churned"),
        tenant.contact("a", ago(2), outcome="planned", note="missed"),
        tenant.contact("a", ago(-9), outcome="planned"),
        tenant.contact("a", ago(-5), "email", "planned", person_ids=["ana"]),
        tenant.contact("a", ago(1)),  # reached, but it names no plan
        done,
        tenant.contact("b", ago(3), replaces=done.id, recorded_at=1),
        late,
        tenant.contact("b", ago(-8), "video", "planned", replaces=late.id, recorded_at=1),
        tenant.contact("c", ago(-1), "meeting", "planned", csm_id="hana"),
        tenant.contact("gone", ago(-1), outcome="planned"),
    )
    return tenant


def brief(told: Any) -> list[tuple[Any, ...]]:
    return [
        (one["account_id"], (TODAY - date.fromisoformat(one["at"][:10])).days, one["state"]) for one in told["items"]
    ]


async def test_what_was_missed_stands_before_what_lies_ahead(filled: TestTenant):
    told = await filled.get("/v1/contacts/planned")
    assert brief(told) == [
        ("a", 2, "overdue"), ("c", -1, "open"), ("a", -5, "open"), ("b", -8, "open"), ("a", -9, "open"),
    ]  # fmt: skip
    assert (told["total"], told["items"][0]["note"], told["items"][2]["person_ids"]) == (5, "missed", ["ana"])
    assert [(one["owner"], one["csm_id"], one["csm_name"]) for one in told["items"][:2]] == [
        ("ken", "ken", None), ("ken", "hana", "Hana"),
    ]  # fmt: skip
    assert PlannedContacts.model_validate(told).total == 5


async def test_a_plan_is_closed_by_the_contact_that_replaces_it(filled: TestTenant):
    told = await filled.get("/v1/contacts/planned?state=closed")
    assert brief(told) == [("b", 4, "closed"), ("b", -3, "closed")]
    assert [(one["closed_by"]["outcome"], one["closed_by"]["channel"]) for one in told["items"]] == [
        ("reached", "phone"), ("planned", "video"),
    ]  # fmt: skip
    assert told["items"][0]["closed_by"]["at"] == f"{ago(3)}T03:00:00Z"


async def test_the_next_plan_is_the_same_wherever_it_is_asked(filled: TestTenant):
    first: dict[str, str] = {}
    for one in (await filled.get("/v1/contacts/planned?state=open"))["items"]:
        first.setdefault(one["account_id"], one["at"])
    work = (await filled.get("/v1/coverage/worklist?within_days=365"))["items"]
    assert {one["account_id"]: one["planned_at"] for one in work} == first
    for account_id, when in first.items():
        assert (await filled.get(f"/v1/accounts/{account_id}"))["next_planned"]["at"] == when


async def test_a_csm_sees_what_that_csm_shall_do(filled: TestTenant):
    assert brief(await filled.get("/v1/contacts/planned?csm=hana")) == [("c", -1, "open")]
    mine = await filled.get("/v1/contacts/planned?csm=me", role="csm", csm_id="ken")
    assert brief(mine) == [("a", 2, "overdue"), ("a", -5, "open"), ("a", -9, "open")]
    assert (await filled.call("GET", "/v1/contacts/planned?csm=me")).status_code == 422


async def test_live_is_recomputed_and_pages_follow_one_another(filled: TestTenant):
    for asked in ("state=open&state=overdue&state=closed", "csm=ken"):
        live, past = (
            await filled.get(f"/v1/contacts/planned?{asked}"),
            await filled.past(f"/v1/contacts/planned?{asked}"),
        )
        assert (live["items"], live["total"]) == (past["items"], past["total"])
    found: list[Any] = []
    path = "/v1/contacts/planned?limit=2"
    while path:
        told = await filled.get(path)
        found += told["items"]
        path = told["next_cursor"] and f"/v1/contacts/planned?limit=2&cursor={told['next_cursor']}"
    assert found == (await filled.get("/v1/contacts/planned"))["items"]
    cursor = (await filled.get("/v1/contacts/planned?limit=2"))["next_cursor"]
    assert (await filled.call("GET", f"/v1/contacts/planned?csm=ken&cursor={cursor}")).status_code == 422


async def test_before_its_time_a_plan_is_open_and_unknown_accounts_have_none(filled: TestTenant):
    told = await filled.get(f"/v1/contacts/planned?as_of={ago(3)}")
    assert brief(told)[0] == ("a", 2, "open")
    assert brief(await filled.get(f"/v1/contacts/planned?as_of={ago(61)}")) == []


async def test_what_closes_a_plan_is_not_known_before_it_happened(filled: TestTenant):
    told = await filled.get(f"/v1/contacts/planned?state=open&state=overdue&state=closed&as_of={ago(4)}")
    assert [one for one in brief(told) if one[0] == "b"] == [("b", -3, "closed"), ("b", -8, "open")]


# Last: it moves the clock.
async def test_a_plan_becomes_overdue_when_its_time_passes(house: House, filled: TestTenant):
    house.clock.move(days=1, minutes=1)
    await house.settle()
    told = await filled.get("/v1/contacts/planned?csm=hana")
    assert [one["state"] for one in told["items"]] == ["overdue"]
    work = {one["account_id"]: one for one in (await filled.get("/v1/coverage/worklist?within_days=365"))["items"]}
    assert work["c"]["planned_at"] is None
