"""`GET /v1/keep-list` and the reasons that people name: every account of priority High, none forgotten in silence."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.keep.rules import Situation, why
from services.scoring.keep.shapes import KeepList
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

START = TODAY - timedelta(days=300)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (Situation("hana", at(TODAY), at(TODAY), 3), "planned"),
        (Situation(None, None, None, 1), "attempted"),
        (Situation(None, None, None, 0), "no_owner"),
        (Situation("hana", None, None, 0), "never_contacted"),
        (Situation("hana", at(START), None, 0), "lapsed"),
    ],
)
def test_what_the_facts_say_of_an_uncovered_account(known: Situation, says: str):
    assert why(known) == says


async def filled(house: House) -> TestTenant:
    """Rank A from 1 ID on: every account with a user is of priority High; `low` has none and is not."""
    tenant = await house.tenant()
    await tenant.settings(rank={"by": "ids", "cuts": {"A": 1, "B": 0.5, "C": 0.4, "D": 0.3}})
    names = ["cold", "tried", "soon", "fresh", "orphan", "new"]
    await tenant.tell(
        tenant.csm("hana", at(START), name="Hana"),
        *(
            tenant.account(name, at(START), customer_since=START, acv=str(900 - 10 * n), csm_id="hana")
            for n, name in enumerate(names)
        ),
        tenant.account("orphan", at(ago(100)), csm_id=None),
        tenant.account("low", at(START), customer_since=START, acv="5"),
        tenant.account("gone", at(START), customer_since=START, status="churned"),
        *(tenant.usage(f"u{name}", ago(3), name) for name in [*names, "gone"]),
        tenant.contact("cold", ago(250)),
        tenant.contact("tried", ago(250)),
        tenant.contact("tried", ago(4), outcome="no_answer"),
        tenant.contact("soon", ago(50)),
        tenant.contact("fresh", ago(2)),
        tenant.contact("new", ago(-5), outcome="planned"),
    )
    return tenant


def brief(told: Any) -> list[tuple[Any, ...]]:
    return [(one["account_id"], one["state"], one["why"], one["attempts"]) for one in told["items"]]


LISTED = [
    ("cold", "uncovered", "lapsed", 0),
    ("tried", "uncovered", "attempted", 1),
    ("orphan", "uncovered", "no_owner", 0),
    ("new", "uncovered", "planned", 0),
    ("soon", "due", None, 0),
    ("fresh", "covered", None, 0),
]


async def test_each_has_its_state_and_an_uncovered_one_what_the_facts_say(house: House):
    tenant = await filled(house)
    told = await tenant.get("/v1/keep-list")
    assert brief(told) == LISTED
    assert told["states"] == {"uncovered": 4, "due": 1, "covered": 1}
    assert (told["without_reason"], told["total"], told["currency"]) == (4, 6, "JPY")
    cold, new = told["items"][0], told["items"][3]
    assert (cold["rank"], cold["tenure"], cold["tier"], cold["csm_name"]) == ("A", "c", "high", "Hana")
    assert (cold["acv"], cold["last_contact"]["at"], cold["named_reason"]) == ("900", f"{ago(250)}T03:00:00Z", None)
    assert new["next_planned"]["at"] == f"{ago(-5)}T03:00:00Z"
    high = await tenant.get("/v1/accounts?priority=High&limit=500")
    assert sorted(one["account_id"] for one in high["items"]) == sorted(one[0] for one in LISTED)
    assert KeepList.model_validate(told).total == 6


async def test_live_is_recomputed_and_an_earlier_t_shows_who_was_uncovered_then(house: House):
    tenant = await filled(house)
    await named(tenant, "cold", "they move house", csm_id="ken")
    live, past = await tenant.get("/v1/keep-list"), await tenant.past("/v1/keep-list")
    for name in ("items", "states", "without_reason", "total"):
        assert (name, live[name]) == (name, past[name])
    earlier = await tenant.get(f"/v1/keep-list?as_of={ago(3)}")
    states = {one["account_id"]: (one["state"], one["named_reason"]) for one in earlier["items"]}
    assert states["fresh"] == ("uncovered", None)
    assert states["cold"] == ("uncovered", None)  # named later


async def named(tenant: TestTenant, account: str, reason: str, role: str = "manager", csm_id: str | None = None) -> Any:
    return await tenant.call("POST", f"/v1/keep-list/{account}/reason", {"reason": reason}, role=role, csm_id=csm_id)


async def test_a_reason_is_only_for_what_needs_one_and_only_from_those_who_work(house: House):
    tenant = await filled(house)
    assert (await named(tenant, "fresh", "x")).json()["code"] == "nothing_to_explain"
    for account, status in (("fresh", 409), ("low", 409), ("gone", 409), ("nobody", 404)):
        assert (account, (await named(tenant, account, "x")).status_code) == (account, status)
    assert (await named(tenant, "cold", "x", role="viewer")).status_code == 403
    assert (await named(tenant, "cold", "  ")).status_code == 422
    rows = await house.owner.fetch(
        "SELECT action, target, summary FROM access.audit WHERE tenant = $1 AND action LIKE 'keep%'", tenant.number
    )
    assert rows == []
    await named(tenant, "cold", "because")
    [row] = await house.owner.fetch(
        "SELECT action, target, summary FROM access.audit WHERE tenant = $1 AND action LIKE 'keep%'", tenant.number
    )
    assert (row["action"], row["target"], "because" in row["summary"]) == ("keep_reason.create", "cold", False)


async def test_a_csm_names_reasons_of_own_accounts_only(house: House):
    tenant = await filled(house)
    for account, csm_id, status in (
        ("cold", "ken", 403), ("cold", None, 403), ("fresh", "ken", 403), ("orphan", "hana", 403),
        ("orphan", None, 403), ("nobody", "ken", 404), ("cold", "hana", 201),
    ):  # fmt: skip
        answer = await named(tenant, account, "x", "csm", csm_id)
        assert (account, csm_id, answer.status_code) == (account, csm_id, status)


async def test_states_csms_and_pages(house: House):
    tenant = await filled(house)
    assert brief(await tenant.get("/v1/keep-list?state=due&state=covered")) == LISTED[4:]
    mine = await tenant.get("/v1/keep-list?csm=me", role="csm", csm_id="hana")
    assert brief(mine) == [one for one in LISTED if one[0] != "orphan"]
    assert (mine["states"]["uncovered"], mine["without_reason"]) == (3, 3)
    assert (await tenant.call("GET", "/v1/keep-list?csm=me")).status_code == 422
    found: list[Any] = []
    path = "/v1/keep-list?limit=2"
    while path:
        told = await tenant.get(path)
        found += brief(told)
        path = told["next_cursor"] and f"/v1/keep-list?limit=2&cursor={told['next_cursor']}"
    assert found == LISTED


async def test_reasons_of_joined_ids_are_one_accounts(house: House):
    tenant = await filled(house)
    await named(tenant, "new", "waits for the plan")
    await tenant.tell(tenant.account("new", merged_into="amber"), tenant.account("amber", at(ago(1)), name="Amber"))
    listed = (await tenant.get("/v1/keep-list"))["items"]
    amber = next(one for one in listed if one["account_id"] == "amber")
    assert amber["named_reason"]["reason"] == "waits for the plan"
    assert (await tenant.get("/v1/keep-list"))["items"] == (await tenant.past("/v1/keep-list"))["items"]


# Last: it moves the clock.
async def test_a_named_reason_counts_until_the_account_is_reached(house: House):
    tenant = await filled(house)
    answer = await named(tenant, "cold", "they move house", csm_id="ken")
    assert (answer.status_code, answer.json()["author"]) == (201, "ken")
    await named(tenant, "tried", "first")
    house.clock.move(minutes=1)
    await named(tenant, "tried", "second", role="manager")
    told = await tenant.get("/v1/keep-list")
    reasons = {one["account_id"]: one["named_reason"] for one in told["items"]}
    assert (reasons["cold"]["reason"], reasons["tried"]["reason"], reasons["new"]) == (
        "they move house",
        "second",
        None,
    )
    assert told["without_reason"] == 2
    house.clock.move(minutes=1)
    await tenant.tell(tenant.contact("cold", house.clock.now()))
    told = await tenant.get("/v1/keep-list")
    assert {one["account_id"]: (one["state"], one["named_reason"]) for one in told["items"]}["cold"] == (
        "covered",
        None,
    )
    house.clock.move(days=40)
    await house.settle()
    told = await tenant.get("/v1/keep-list")
    cold = next(one for one in told["items"] if one["account_id"] == "cold")
    assert (cold["state"], cold["named_reason"]) == ("uncovered", None)  # reached since: a new reason is due
