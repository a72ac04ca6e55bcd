"""`/v1/tiers` end to end: provisional amounts, a review, its publication, and every account judged again."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

START = TODAY - timedelta(days=300)


async def ten(tenant: TestTenant) -> None:
    """Ten accounts of value 100, 90 … 10 (acv and potential together), and one of none; owners hana and nobody."""
    told = [
        tenant.account(
            f"a{value:03d}", at(START), customer_since=START, acv=str(value - 5), potential_acv="5",
            csm_id="hana" if value > 50 else None,
        )
        for value in range(10, 101, 10)
    ]  # fmt: skip
    await tenant.tell(*told, tenant.account("zero", at(START), customer_since=START))


async def review(tenant: TestTenant, body: Any = None) -> Any:
    answer = await tenant.call("POST", "/v1/tiers/reviews", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def publish(tenant: TestTenant, review_id: str, **wish: Any) -> Any:
    answer = await tenant.call("POST", f"/v1/tiers/reviews/{review_id}/publish", {"note": "half-year", **wish})
    await tenant.house.settle()
    return answer


async def tiers_of(tenant: TestTenant) -> dict[str, str]:
    return {one["account_id"]: one["tier"] for one in (await tenant.get("/v1/accounts"))["items"]}


async def test_before_any_policy_the_amounts_are_computed_from_the_accounts_and_say_so(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    live, past = await tenant.get("/v1/tiers"), await tenant.past("/v1/tiers")
    figures = {
        "high_amount": "100", "low_amount": "70", "currency": "JPY", "effective_from": None, "review_due": None,
        "overdue": False, "provisional": True,
    }  # fmt: skip
    assert {name: live[name] for name in figures} == figures
    assert {name: past[name] for name in figures} == figures


async def test_a_tenant_without_values_has_no_amounts_and_must_choose_them(house: House):
    tenant = await house.tenant()
    assert (await tenant.get("/v1/tiers"))["high_amount"] is None
    found = await review(tenant)
    assert (found["n"], found["computed"]) == (0, {"high_amount": None, "low_amount": None})
    refused = await publish(tenant, found["id"], effective_from="2026-06-15")
    assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [
        ("/high_amount", "no_computed_amount"),
        ("/low_amount", "no_computed_amount"),
    ]
    assert (await publish(tenant, found["id"], effective_from="2026-06-15", high_amount="9", low_amount="9")).json()[
        "published"
    ]["high_amount"] == "9"


async def test_a_review_moves_nothing_and_its_publication_moves_those_it_named(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    first = await review(tenant)
    assert (first["n"], first["computed"], first["moves"]) == (10, {"high_amount": "100", "low_amount": "70"}, [])
    await publish(tenant, first["id"], effective_from="2026-06-15", high_amount="80", low_amount="60")
    assert (await tiers_of(tenant))["a080"] == "high"
    second = await review(tenant)
    assert second["moves"] == [
        {"account_id": "a060", "from": "low", "to": "tech"},
        {"account_id": "a080", "from": "high", "to": "low"},
        {"account_id": "a090", "from": "high", "to": "low"},
    ]
    assert second["load"] == [
        {"csm_id": "hana", "high": 1, "low": 3, "tech": 1, "utilisation": 0.2, "over": False, "under": True},
        {"csm_id": None, "high": 0, "low": 0, "tech": 6, "utilisation": 0.0, "over": False, "under": True},
    ]
    assert (await tiers_of(tenant))["a080"] == "high"
    await publish(tenant, second["id"], effective_from="2026-06-15")
    tiers = await tiers_of(tenant)
    assert (tiers["a100"], tiers["a080"], tiers["a060"], tiers["zero"]) == ("high", "low", "tech", "tech")


async def test_a_published_policy_holds_while_others_money_moves(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    await publish(tenant, (await review(tenant))["id"], effective_from="2026-06-01")
    await tenant.tell(*(tenant.account(f"b{n}", customer_since=START, acv="500") for n in range(30)))
    assert (await tiers_of(tenant))["a100"] == "high"
    assert (await tenant.get("/v1/tiers"))["high_amount"] == "100"
    assert (await tenant.past("/v1/coverage?by=tier"))["groups"] == (await tenant.get("/v1/coverage?by=tier"))["groups"]


async def test_a_past_effective_date_speaks_from_its_day_on(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    await publish(tenant, (await review(tenant))["id"], effective_from="2026-06-01", high_amount="20", low_amount="10")
    before, after = await tenant.get("/v1/tiers?as_of=2026-05-31"), await tenant.get("/v1/tiers?as_of=2026-06-01")
    assert (before["high_amount"], before["provisional"]) == ("100", True)
    assert (after["high_amount"], after["provisional"]) == ("20", False)
    assert (await tenant.get("/v1/accounts/a020?as_of=2026-05-31"))["tier"] == "tech"
    assert (await tenant.get("/v1/accounts/a020?as_of=2026-06-01"))["tier"] == "high"


async def test_a_future_effective_date_moves_accounts_on_its_morning_without_any_fact(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    await publish(tenant, (await review(tenant))["id"], effective_from="2026-06-17", high_amount="20", low_amount="10")
    assert (await tiers_of(tenant))["a020"] == "tech"
    before = house.clock.now()
    house.clock.set(at(date(2026, 6, 17), 0))
    await house.settle()
    assert (await tiers_of(tenant))["a020"] == "high"
    assert (await tenant.get("/v1/tiers"))["effective_from"] == "2026-06-17"
    house.clock.set(before)


async def test_a_policy_past_its_period_stays_in_force_and_is_overdue(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    await publish(tenant, (await review(tenant))["id"], effective_from="2025-12-15")
    told = await tenant.get("/v1/tiers")
    assert (told["review_due"], told["overdue"], told["provisional"]) == ("2026-06-15", True, False)
    eve = await tenant.get("/v1/tiers?as_of=2026-06-14")
    assert (eve["review_due"], eve["overdue"]) == ("2026-06-15", False)


async def test_a_review_is_published_once_even_by_two_at_the_same_time(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    found = await review(tenant)
    answers = await asyncio.gather(*(publish_only(tenant, found["id"]) for _ in range(4)))
    await house.settle()
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
    assert next(one for one in answers if one.status_code == 409).json()["code"] == "already_published"
    kept = await tenant.get(f"/v1/tiers/reviews/{found['id']}")
    assert (kept["published"]["high_amount"], kept["published"]["note"]) == ("100", "half-year")
    assert kept["computed"] == found["computed"]


async def publish_only(tenant: TestTenant, review_id: str) -> Any:
    body = {"note": "half-year", "effective_from": "2026-06-15"}
    return await tenant.call("POST", f"/v1/tiers/reviews/{review_id}/publish", body)


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"effective_from": "2026-06-15", "low_amount": "101"}, "/low_amount"),
        ({"effective_from": "2026-06-15", "high_amount": "1.5"}, "/high_amount"),
        ({"effective_from": "2026-06-15", "high_amount": "-1", "low_amount": "-2"}, "/high_amount"),
        ({"effective_from": "2026-06-15", "high_amount": "much"}, "/high_amount"),
        ({"effective_from": "2026-06-15", "note": " "}, "/note"),
        ({"effective_from": "2026-02-30"}, "/effective_from"),
        ({}, "/effective_from"),
        ({"effective_from": "2026-06-15", "moon": 1}, "/moon"),
    ],
)
async def test_what_cannot_be_published_is_refused_with_its_pointer(house: House, wish: dict[str, str], pointer: str):
    tenant = await house.tenant()
    await ten(tenant)
    refused = await publish(tenant, (await review(tenant))["id"], **wish)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await tenant.get("/v1/tiers"))["provisional"] is True


async def test_a_review_of_a_past_day_takes_the_accounts_as_they_stood(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("old", at(START), customer_since=START, acv="10"),
        tenant.account("old", at(TODAY, 1), acv="70"),
        tenant.account("new", at(TODAY, 1), customer_since=TODAY, acv="50"),
    )
    found = await review(tenant, {"as_of": "2026-06-14"})
    assert (found["n"], found["computed"]["high_amount"], found["as_of"]) == (1, "10", "2026-06-14T14:59:59.999999Z")
    assert (await review(tenant, {}))["computed"]["high_amount"] == "70"


async def test_reviews_are_listed_newest_first_page_by_page(house: House):
    tenant = await house.tenant()
    made = []
    for _ in range(3):
        house.clock.move(seconds=1)
        made.append((await review(tenant))["id"])
    first = await tenant.get("/v1/tiers/reviews?limit=2")
    rest = await tenant.get(f"/v1/tiers/reviews?limit=2&cursor={first['next_cursor']}")
    assert [one["id"] for one in (*first["items"], *rest["items"])] == made[::-1]
    assert (first["total"], rest["next_cursor"]) == (3, None)


async def test_the_load_counts_accounts_by_owner_live_and_past_alike(house: House):
    tenant = await house.tenant()
    await ten(tenant)
    live, past = await tenant.get("/v1/load"), await tenant.past("/v1/load")
    assert live["items"] == past["items"] == [
        {"csm_id": "hana", "high": 1, "low": 3, "tech": 1, "utilisation": 0.2, "over": False, "under": True},
        {"csm_id": None, "high": 0, "low": 0, "tech": 6, "utilisation": 0.0, "over": False, "under": True},
    ]  # fmt: skip


async def test_reviews_are_the_managers_and_unknown_ids_are_nobodys(house: House):
    tenant, other = await house.tenant(), await house.tenant()
    assert (await tenant.call("POST", "/v1/tiers/reviews", {}, role="csm")).status_code == 403
    theirs = (await review(other))["id"]
    for path in (theirs, "none", "a%00b"):
        assert (await tenant.call("GET", f"/v1/tiers/reviews/{path}")).status_code == 404
        assert (await publish(tenant, path, effective_from="2026-06-15")).status_code == 404
