"""A manual band: it shows at once, ends by itself or by hand, is taken at T, and never hides the computed one."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.scoring.state import Counts
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.dump import recount
from tests.services.scoring.harness import House, TestTenant, stamp

HEALTH = "/v1/accounts/a/health"
OVERRIDE = f"{HEALTH}/override"


def ago(days: int):
    return TODAY - timedelta(days=days)


async def red(house: House) -> TestTenant:
    """a started long ago and never used the product, which b does: a is red."""
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("a", at(ago(100)), customer_since=ago(100), acv="100", csm_id="hana"),
        tenant.usage("ben", ago(2), "b"),
    )
    return tenant


async def give(tenant: TestTenant, expires: datetime | None = None, **more: Any) -> Any:
    now = tenant.house.clock.now()
    wish = {"band": "green", "reason": "new sponsor", "expires_at": stamp(expires or now + timedelta(days=3)), **more}
    answer = await tenant.call("POST", OVERRIDE, wish, role="csm", csm_id="hana")
    await tenant.house.settle()
    return answer


async def bands(tenant: TestTenant, query: str = "") -> tuple[str, str]:
    told = await tenant.get(f"{HEALTH}{query}")
    return told["band"], told["effective_band"]


async def counted(tenant: TestTenant) -> dict[tuple[str, str, str], Counts]:
    rows = await tenant.house.owner.fetch(
        "SELECT dim, key, tier, sum(accounts), sum(acv), sum(eligible), sum(covered), sum(in_use), sum(contacted),"
        " sum(scored), sum(score) FROM scoring_state.counter WHERE tenant = $1 GROUP BY 1, 2, 3"
        " HAVING sum(accounts) > 0",
        tenant.number,
    )
    return {tuple(row[:3]): tuple(map(int, row[3:])) for row in rows}


async def test_it_shows_everywhere_and_hides_nothing(house: House):
    tenant = await red(house)
    before = await tenant.get(HEALTH)
    assert (before["band"], before["effective_band"], before["override"]) == ("red", "red", None)
    given = await give(tenant)
    assert given.status_code == 201
    expires = stamp(house.clock.now() + timedelta(days=3))
    told = {"band": "green", "reason": "new sponsor", "author": "hana", "expires_at": expires}
    assert given.json() == {
        "account_id": "a", "at": stamp(house.clock.now()), "ended_at": None, **told,
    }  # fmt: skip
    after = await tenant.get(HEALTH)
    assert (after["band"], after["effective_band"], after["override"]) == ("red", "green", told)
    assert (after["score"], after["dimensions"]) == (before["score"], before["dimensions"])
    (listed,) = [one for one in (await tenant.get("/v1/accounts"))["items"] if one["account_id"] == "a"]
    assert (listed["band"], listed["effective_band"], listed["health"]) == ("red", "green", before["score"])
    assert "red" in [one["rule"] for one in listed["needs_action"]]
    summary = await tenant.get("/v1/summary")
    shown = {one["band"]: (one["accounts"], one["moved_in_7d"]) for one in summary["bands"]}
    assert (shown["green"], shown["red"]) == ((1, 1), (1, 0))
    assert await recount(house.owner, tenant.number) == await counted(tenant)


@pytest.mark.parametrize("path", [HEALTH, "/v1/accounts", "/v1/accounts/a"])
async def test_live_and_past_agree(house: House, path: str):
    tenant = await red(house)
    await give(tenant)
    live, past = await tenant.get(path), await tenant.past(path)
    for told in (live, past):
        for name in ("as_of", "fresh_to", "computed", "computed_at"):
            told.pop(name, None)
    assert live == past


async def test_it_is_taken_at_the_asked_instant(house: House):
    tenant = await red(house)
    house.clock.move(hours=1)
    began = house.clock.now()
    await give(tenant)
    house.clock.move(days=5)
    await house.settle()
    queries = {
        "before": began - timedelta(microseconds=1),
        "from": began,
        "last": began + timedelta(days=3) - timedelta(microseconds=1),
        "over": began + timedelta(days=3),
    }
    found = {name: (await bands(tenant, f"?as_of={stamp(when)}"))[1] for name, when in queries.items()}
    assert found == {"before": "red", "from": "green", "last": "green", "over": "red"}


async def test_it_ends_by_itself_without_any_fact(house: House):
    tenant = await red(house)
    expires = house.clock.now() + timedelta(minutes=40)
    await give(tenant, expires)
    house.clock.set(expires - timedelta(microseconds=1))
    await house.settle()
    assert await bands(tenant) == ("red", "green")
    house.clock.set(expires)
    await house.settle()
    assert await bands(tenant) == ("red", "red")
    assert (await tenant.get(HEALTH))["override"] is None
    assert await recount(house.owner, tenant.number) == await counted(tenant)


async def test_a_csm_sets_and_ends_it_for_own_accounts_only(house: House):
    tenant = await red(house)
    wish = {"band": "green", "reason": "x", "expires_at": stamp(house.clock.now() + timedelta(days=3))}
    other = OVERRIDE.replace("/a/", "/b/")  # nobody owns b
    strange = OVERRIDE.replace("/a/", "/none/")
    refused = [(OVERRIDE, "ken", 403), (OVERRIDE, None, 403), (other, None, 403), (strange, None, 404)]
    for path, csm_id, status in refused:
        for method, body in (("POST", wish), ("DELETE", None)):
            answer = await tenant.call(method, path, body, role="csm", csm_id=csm_id)
            assert (method, path, csm_id, answer.status_code) == (method, path, csm_id, status)
    assert (await give(tenant)).status_code == 201
    assert (await tenant.call("DELETE", OVERRIDE, role="csm", csm_id="ken")).status_code == 403
    assert (await tenant.call("DELETE", OVERRIDE, role="csm", csm_id="hana")).status_code == 200


async def test_ended_by_hand_it_stays_in_the_past(house: House):
    tenant = await red(house)
    await give(tenant)
    house.clock.move(hours=2)
    answer = await tenant.call("DELETE", OVERRIDE)
    await house.settle()
    assert (answer.status_code, answer.json()["ended_at"]) == (200, stamp(house.clock.now()))
    assert await bands(tenant) == ("red", "red")
    assert await bands(tenant, f"?as_of={stamp(house.clock.now() - timedelta(hours=1))}") == ("red", "green")
    assert (await tenant.call("DELETE", OVERRIDE)).status_code == 404


async def test_the_latest_holds_and_its_end_brings_no_earlier_one_back(house: House):
    tenant = await red(house)
    await give(tenant)
    house.clock.move(minutes=1)
    await give(tenant, house.clock.now() + timedelta(minutes=1), band="yellow")
    assert await bands(tenant) == ("red", "yellow")
    house.clock.move(minutes=1)
    await house.settle()
    assert await bands(tenant) == ("red", "red")


async def test_a_joined_account_has_one(house: House):
    tenant = await red(house)
    await tenant.tell(tenant.account("z", at(ago(3))))
    answer = await tenant.call(
        "POST",
        "/v1/accounts/z/health/override",
        {"band": "yellow", "reason": "x", "expires_at": "2026-07-01T00:00:00Z"},
    )
    assert answer.status_code == 201
    await tenant.tell(tenant.account("z", at(ago(1)), merged_into="a"))
    assert await bands(tenant) == ("red", "yellow")
    assert (await tenant.past("/v1/accounts/z/health"))["effective_band"] == "yellow"
    assert (await tenant.call("DELETE", "/v1/accounts/z/health/override")).json()["account_id"] == "a"
    await house.settle()
    assert await bands(tenant) == ("red", "red")


async def test_churn_ends_its_effect_and_refuses_another(house: House):
    tenant = await red(house)
    await give(tenant)
    await tenant.tell(tenant.account("a", status="churned"))
    assert await bands(tenant) == ("unknown", "unknown")
    answer = await give(tenant)
    assert (answer.status_code, answer.json()["code"]) == (409, "churned_account")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"band": "unknown"}, "/band"),
        ({"band": None}, "/band"),
        ({"reason": ""}, "/reason"),
        ({"reason": " \n"}, "/reason"),
        ({"expires_at": "2026-06-15"}, "/expires_at"),
        ({"expires_at": "2027-06-15T00:00:00"}, "/expires_at"),
        ({"expires_at": 4_000_000_000}, "/expires_at"),
        ({"expires_at": "2026-06-15T02:00:00Z"}, "/expires_at"),
        ({"until": "x"}, "/until"),
    ],
)
async def test_half_a_wish_is_refused(house: House, change: dict[str, Any], pointer: str):
    tenant = await red(house)
    house.clock.set(at(TODAY))
    answer = await give(tenant, **change)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    assert await bands(tenant) == ("red", "red")


async def test_only_those_who_work_may_and_only_on_their_own_tenants_accounts(house: House):
    tenant, other = await red(house), await red(house)
    await other.tell(other.account("theirs"))
    wish = {"band": "green", "reason": "x", "expires_at": "2027-01-01T00:00:00+09:00"}
    assert (await tenant.call("POST", OVERRIDE, wish, role="viewer")).status_code == 403
    for account_id in ("nobody", "theirs"):
        path = f"/v1/accounts/{account_id}/health/override"
        assert (await tenant.call("POST", path, wish)).status_code == 404
        assert (await tenant.call("DELETE", path)).status_code == 404
    assert (await other.get("/v1/accounts/theirs/health"))["override"] is None
