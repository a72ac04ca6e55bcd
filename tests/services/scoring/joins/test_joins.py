"""Ids that are one: whatever the order of arrival, the figures are those of facts that named one id all along."""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.scoring.joins.rules import canonical, components
from shared import facts
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

D = TODAY


def test_components_are_found_whichever_way_edges_point() -> None:
    found = components([(1, 2), (3, 2), (7, 8), (9, 9)])
    assert sorted(map(sorted, found)) == [[1, 2, 3], [7, 8]]
    assert canonical({1, 2, 3}, {1: "z", 2: "b", 3: "B"}) == 3


def alias(tenant: TestTenant, person: str, previous: str) -> facts.Alias:
    envelope = tenant.usage("x", D)
    return facts.Alias(
        tenant=envelope.tenant, id=envelope.id, received=envelope.received, at=envelope.at,
        person_id=person, previous_id=previous,
    )  # fmt: skip


def days(*numbers: int) -> list[Any]:
    return [D - timedelta(days=number) for number in numbers]


def story(tenant: TestTenant) -> list[facts.AnyFact]:
    """ada used the product as anon-1 and anon-2 before she signed in; a-old and a are one account."""
    return [
        *(tenant.usage("anon-1", day) for day in days(50, 49, 30)),
        *(tenant.usage("anon-2", day) for day in days(49, 20, 3)),
        *(tenant.usage("ada", day) for day in days(10, 3, 1)),
        *(tenant.usage("bob", day, "a-old") for day in days(60, 5)),
        tenant.usage("bob", D - timedelta(days=4), "a"),
        tenant.person("ada", "a", at(D - timedelta(days=40))),
        tenant.person("anon-2", "b", at(D - timedelta(days=15))),
        tenant.account("a", at(D - timedelta(days=90)), name="Acme", acv="500"),
        tenant.account("a-old", at(D - timedelta(days=95)), name="Old Acme", seats=4, csm_id="c"),
        tenant.contact("a-old", D - timedelta(days=6)),
        tenant.contract("a-old", D - timedelta(days=80), "new", "700", contract_id="default"),
        tenant.response(9, D - timedelta(days=2), "a", "ada"),
        tenant.response(3, D - timedelta(days=8), "a-old", "anon-1"),
    ]


def joins(tenant: TestTenant) -> list[facts.AnyFact]:
    return [
        alias(tenant, "ada", "anon-1"),
        alias(tenant, "ada", "anon-2"),
        alias(tenant, "ada", "ada"),
        tenant.account("a-old", at(D - timedelta(days=1)), merged_into="a"),
    ]


def as_one(told: Sequence[facts.AnyFact]) -> list[facts.AnyFact]:
    """The same facts as if they had named the ids that stand for all from the beginning."""
    person = {"anon-1": "ada", "anon-2": "ada"}
    account = {"a-old": "a"}
    found = []
    for fact in told:
        named = {
            "person_id": person.get(getattr(fact, "person_id", "")),
            "account_id": account.get(getattr(fact, "account_id", "")),
        }
        changes = {field: instead for field, instead in named.items() if instead is not None}
        found.append(msgspec.structs.replace(fact, **changes))
    return found


async def answers(tenant: TestTenant) -> dict[str, Any]:
    """Everything a client sees of the accounts, without when it was computed."""
    found: dict[str, Any] = {"list": await tenant.get("/v1/accounts")}
    for account in ("a", "b"):
        for part in ("", "/health", "/usage?days=100"):
            found[account + part] = await tenant.get(f"/v1/accounts/{account}{part}")
    for path in ("/v1/usage?days=100", "/v1/coverage?by=csm", "/v1/nps", "/v1/ingest/unassigned", "/v1/tiers"):
        found[path] = await tenant.get(path)
    for past in (2, 18, 45):
        found[f"past {past}"] = await tenant.get(f"/v1/accounts?as_of={D - timedelta(days=past)}")
    return strip(found)


def strip(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: strip(value) for key, value in found.items() if key not in ("as_of", "fresh_to", "computed_at")}
    return [strip(one) for one in found] if isinstance(found, list) else found


def orders() -> list[Callable[[list[Any], list[Any]], list[list[Any]]]]:
    def shuffled(seed: int) -> Callable[[list[Any], list[Any]], list[list[Any]]]:
        def order(told: list[Any], joined: list[Any]) -> list[list[Any]]:
            mixed = [*told, *joined]
            random.Random(seed).shuffle(mixed)
            cut = random.Random(seed + 1).randrange(len(mixed))
            return [mixed[:cut], mixed[cut:]]

        return order

    return [
        lambda told, joined: [told, joined],
        lambda told, joined: [joined, told],
        lambda told, joined: [told[::2], joined, told[1::2]],
        *(shuffled(seed) for seed in range(8)),
    ]


async def test_joined_ids_answer_like_one_id_in_any_order_of_arrival(house: House) -> None:
    plain = await house.tenant()
    told = story(plain)
    await plain.tell(*as_one([msgspec.structs.replace(one) for one in told]))
    expected = await answers(plain)
    assert expected["/v1/usage?days=100"]["active_users"] == 2
    assert {one["account_id"] for one in expected["list"]["items"]} == {"a", "b"}
    for number, order in enumerate(orders()):
        tenant = await house.tenant()
        told, joined = story(tenant), joins(tenant)
        for part in order(told, joined):
            await tenant.tell(*part)
        found = await answers(tenant)
        for path, answer in expected.items():
            assert found[path] == answer, (number, path)
        assert (await tenant.get("/v1/accounts/a-old"))["account_id"] == "a"


async def test_a_merge_undone_leaves_both_as_if_it_had_never_been(house: House) -> None:
    plain, tenant = await house.tenant(), await house.tenant()
    await plain.tell(*story(plain))
    await tenant.tell(*story(tenant), tenant.account("a-old", at(D - timedelta(days=2)), merged_into="a"))
    assert {one["account_id"] for one in (await tenant.get("/v1/accounts"))["items"]} == {"a", "b"}
    await tenant.tell(tenant.account("a-old", at(D - timedelta(days=1)), merged_into=None))
    assert await answers(tenant) == await answers(plain)
    assert len((await tenant.get("/v1/accounts"))["items"]) == 3


@pytest.mark.parametrize("late", [False, True])
async def test_a_replaced_contact_counts_nowhere_at_any_time(house: House, late: bool) -> None:
    tenant = await house.tenant()
    wrong = tenant.contact("a", D - timedelta(days=3))
    right = tenant.contact("b", D - timedelta(days=3), replaces=wrong.id, recorded_at=2_000_000)
    older = tenant.contact("c", D - timedelta(days=3), replaces=wrong.id, recorded_at=1_000_000)
    accounts = [tenant.account(name, customer_since=D - timedelta(days=100)) for name in "abc"]
    await tenant.tell(*accounts, *((right, older) if late else (wrong,)))
    await tenant.tell(*((wrong,) if late else (right, older)))
    for name, covered in (("a", False), ("b", True), ("c", False)):
        assert (await tenant.get(f"/v1/accounts/{name}"))["covered"] is covered, name
    past = await tenant.get(f"/v1/accounts?as_of={D - timedelta(days=1)}")
    seen = {one["account_id"]: one["last_contact_at"] is not None for one in past["items"]}
    assert seen == {"a": False, "b": True, "c": False}
    again = tenant.contact("a", D - timedelta(days=2), replaces=right.id)
    await tenant.tell(again)
    for name, covered in (("a", True), ("b", False), ("c", False)):
        assert (await tenant.get(f"/v1/accounts/{name}"))["covered"] is covered, name
