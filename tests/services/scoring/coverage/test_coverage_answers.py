"""`GET /v1/coverage`, end to end: facts through the log, figures against counts made by hand and by recomputation."""

from datetime import date, timedelta

import pytest

from shared.facts import AnyFact
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

YESTERDAY = TODAY - timedelta(days=1)
START = TODAY - timedelta(days=300)


async def book(tenant: TestTenant) -> None:
    """100 accounts: 50 high (40 contacted), 30 low (10), 20 tech (5, by tech_touch), of two CSMs and nobody."""
    told: list[AnyFact] = [
        tenant.csm("hana", name="Hana", team="strategic"),
        tenant.csm("ken", name="Ken", team="strategic"),
    ]
    for index in range(100):
        tier, called, owner = _place(index)
        name = f"{tier}-{index:03d}"
        acv = {"high": "1000", "low": "100", "tech": "1"}[tier]
        told.append(tenant.account(name, at(START), customer_since=START, acv=acv, csm_id=owner))
        if called:
            channel = "tech_touch" if tier == "tech" else "phone"
            told.append(tenant.contact(name, YESTERDAY, channel=channel))
    await tenant.settings(tiers={"high_percent": 50, "low_percent": 30})
    await tenant.tell(*told)


def _place(index: int) -> tuple[str, bool, str | None]:
    if index < 50:
        return "high", index < 40, "hana"
    if index < 80:
        return "low", index < 60, "ken"
    return "tech", index < 85, None


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    tenant = await house.tenant()
    await book(tenant)
    return tenant


async def test_fifty_high_accounts_of_which_forty_were_called_are_covered_by_four_fifths(filled: TestTenant):
    high = (await filled.get("/v1/coverage?by=tier"))["groups"][0]
    assert high == {
        "key": "high", "name": "high", "eligible": 50, "covered": 40, "rate": 0.8, "target": 0.8, "window": "P1M",
        "shortfall": 0,
    }  # fmt: skip


async def test_the_whole_mixes_the_targets_of_its_tiers_by_their_accounts(filled: TestTenant):
    told = await filled.get("/v1/coverage")
    # (50·0.8 + 30·0.7 + 20·0.5) ÷ 100 = 0.71 of which 55 are reached
    assert told["overall"] == {"eligible": 100, "covered": 55, "rate": 0.55, "target": 0.71}
    assert told["groups"] == [
        {"key": "tenant", "name": "tenant", "eligible": 100, "covered": 55, "rate": 0.55, "target": 0.71,
         "window": None, "shortfall": 16},
    ]  # fmt: skip
    assert told["as_of"] == told["fresh_to"] == "2026-06-15T03:00:00Z"


async def test_groups_by_csm_carry_names_and_nobody_stands_last(filled: TestTenant):
    groups = (await filled.get("/v1/coverage?by=csm"))["groups"]
    assert [(one["key"], one["name"], one["covered"], one["shortfall"]) for one in groups] == [
        ("hana", "Hana", 40, 0),
        ("ken", "Ken", 10, 11),
        (None, None, 5, 5),
    ]


async def test_a_team_of_two_tiers_has_no_window(filled: TestTenant):
    groups = (await filled.get("/v1/coverage?by=team"))["groups"]
    assert [(one["key"], one["eligible"], one["covered"], one["window"]) for one in groups] == [
        ("strategic", 80, 50, None),
        (None, 20, 5, "P6M"),
    ]
    assert groups[0]["target"] == 61 / 80


async def test_an_unranked_account_stands_under_null(filled: TestTenant):
    groups = (await filled.get("/v1/coverage?by=rank"))["groups"]
    assert [(one["key"], one["eligible"]) for one in groups] == [(None, 100)]


@pytest.mark.parametrize("by", ["tenant", "tier", "csm", "team", "rank"])
async def test_live_totals_equal_the_recomputation(filled: TestTenant, by: str):
    live = await filled.get(f"/v1/coverage?by={by}")
    past = await filled.past(f"/v1/coverage?by={by}")
    assert (live["overall"], live["groups"]) == (past["overall"], past["groups"])


async def test_the_totals_equal_a_recount_of_the_accounts(filled: TestTenant):
    for dim, column in (("tier", "tier"), ("csm", "csm_id"), ("team", "team"), ("rank", "rank")):
        counted = await filled.house.owner.fetch(
            """SELECT key, tier, sum(accounts), sum(acv), sum(eligible), sum(covered), sum(in_use), sum(contacted)
                FROM scoring_state.counter WHERE tenant = $1 AND dim = $2 GROUP BY 1, 2 HAVING sum(accounts) > 0
                ORDER BY 1, 2""",
            filled.number,
            dim,
        )
        recounted = await filled.house.owner.fetch(
            f"""SELECT coalesce({column}, ''), tier, count(*), sum(coalesce(acv, 0)), count(covered),
                  count(*) FILTER (WHERE covered), count(*) FILTER (WHERE in_use),
                  count(*) FILTER (WHERE in_use AND contacted)
                FROM scoring_state.account_state WHERE tenant = $1 AND NOT churned GROUP BY 1, 2 ORDER BY 1, 2""",
            filled.number,
        )
        assert [tuple(row) for row in counted] == [tuple(row) for row in recounted]


async def test_a_tenant_without_accounts_has_null_rates_and_shows_the_tiers_own_targets(house: House):
    tenant = await house.tenant()
    told = await tenant.get("/v1/coverage?by=tier")
    assert told["overall"] == {"eligible": 0, "covered": 0, "rate": None, "target": None}
    assert [(one["key"], one["rate"], one["target"], one["window"], one["shortfall"]) for one in told["groups"]] == [
        ("high", None, 0.8, "P1M", 0),
        ("low", None, 0.7, "P2M", 0),
        ("tech", None, 0.5, "P6M", 0),
    ]
    assert (await tenant.get("/v1/coverage?by=csm"))["groups"] == []
    assert [one["key"] for one in (await tenant.get("/v1/coverage"))["groups"]] == ["tenant"]


async def test_an_unknown_grouping_is_refused_with_its_pointer(house: House):
    answer = await (await house.tenant()).call("GET", "/v1/coverage?by=moon")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/by")


async def test_an_account_falls_out_by_time_alone_on_the_first_day_outside_its_window(house: House):
    tenant = await house.tenant()
    before = house.clock.now()
    await tenant.tell(
        tenant.account("acme", at(START), customer_since=START, acv="10"), tenant.contact("acme", date(2026, 5, 31))
    )
    for instant, covered in ((at(date(2026, 6, 30), 23), 1), (at(date(2026, 7, 1), 0), 0)):
        house.clock.set(instant)
        await house.settle()
        assert (await tenant.get("/v1/coverage"))["overall"]["covered"] == covered
        assert (await tenant.past("/v1/coverage"))["overall"]["covered"] == covered
    house.clock.set(before)
