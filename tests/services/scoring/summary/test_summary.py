"""`GET /v1/summary` end to end: the home screen by hand-made figures, by recomputation and for some accounts only."""

from datetime import date, timedelta
from typing import Any

import pytest

from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

START = TODAY - timedelta(days=300)
LONG_AGO = TODAY - timedelta(days=200)


def days(count: int, until: date = TODAY) -> list[date]:
    return [until - timedelta(days=ago) for ago in range(count)]


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """busy (used daily, called), quiet (used once, never called), left (churned), fresh (onboarding, nobody's)."""
    tenant = await house.tenant()
    await tenant.tell(
        tenant.csm("hana", at(START), name="Hana", team="strategic"),
        tenant.csm("ken", at(START), name="Ken", team="adoption"),
        tenant.account("busy", at(START), name="Busy", customer_since=START, acv="1000", csm_id="hana", seats=2),
        tenant.account("quiet", at(START), customer_since=START, acv="300", csm_id="ken", seats=10),
        tenant.account("left", at(START), customer_since=START, acv="50", csm_id="ken"),
        tenant.account("left", at(LONG_AGO), status="churned"),
        tenant.account("fresh", at(TODAY, 1), status="onboarding", customer_since=TODAY - timedelta(days=3)),
        *(tenant.usage(f"p{n % 2}", day, "busy") for n, day in enumerate(days(60))),
        tenant.usage("q", TODAY - timedelta(days=50), "quiet"),
        tenant.usage("nobody", TODAY - timedelta(days=1), times=3),
        tenant.contact("busy", TODAY - timedelta(days=25), csm_id="hana"),
        tenant.contact("busy", TODAY + timedelta(days=3), outcome="planned"),
        tenant.response(10, TODAY - timedelta(days=5), "busy", "p0"),
        tenant.response(3, TODAY - timedelta(days=6), "quiet", "q"),
    )
    return tenant


async def test_the_headline_counts_accounts_money_and_what_is_not_placed(filled: TestTenant):
    told = await filled.get("/v1/summary")
    head = told["headline"]
    assert head["accounts"] == {"onboarding": 1, "active": 2, "churned": 1}
    assert (head["acv"], head["currency"], head["unassigned"]) == ("1300", "JPY", 3)
    assert head["newest_fact_age_s"] == 0.0  # told this instant, of an appointment that lies ahead
    assert told["rules_off"] == ["detractor", "renewal_unplanned", "plan_overdue"]


async def test_every_band_is_listed_with_its_share_and_money(filled: TestTenant):
    bands = {one["band"]: one for one in (await filled.get("/v1/summary"))["bands"]}
    assert list(bands) == ["green", "yellow", "red", "unknown"]
    assert sum(one["accounts"] for one in bands.values()) == 3
    assert sum(int(one["acv"]) for one in bands.values()) == 1300
    assert (bands["green"]["accounts"], bands["green"]["acv"], bands["green"]["share"]) == (1, "1000", 1 / 3)
    assert (bands["red"]["accounts"], bands["red"]["acv"]) == (2, "300")


async def test_coverage_lists_the_largest_shortfall_first_and_nobody_last(filled: TestTenant):
    cover = (await filled.get("/v1/summary"))["coverage"]
    # two values: the first of them is high and low amount at once; busy falls out on 21 June
    assert [
        (one["key"], one["eligible"], one["covered"], one["shortfall"], one["due_14d"]) for one in cover["by_tier"]
    ] == [
        ("tech", 2, 0, 1, 0),
        ("high", 1, 1, 0, 1),
        ("low", 0, 0, 0, 0),
    ]
    assert [(one["key"], one["name"], one["shortfall"], one["due_14d"]) for one in cover["by_csm"]] == [
        ("ken", "Ken", 1, 0),
        ("hana", "Hana", 0, 1),
        (None, None, 1, 0),
    ]


async def test_the_contact_rate_looks_only_at_accounts_in_use(filled: TestTenant):
    assert (await filled.get("/v1/summary"))["contact_rate"] == {"accounts_in_use": 1, "contacted": 1, "rate": 1.0}


async def test_whom_to_call_first_comes_with_reason_and_figure(filled: TestTenant):
    calls = (await filled.get("/v1/summary"))["call_first"]
    assert [one["account_id"] for one in calls] == ["quiet", "fresh", "busy"]
    quiet, busy = calls[0], calls[2]
    assert (quiet["csm_name"], quiet["rule"], quiet["band"], quiet["acv"]) == ("Ken", "red", "red", "300")
    assert quiet["reason"].startswith("health ")
    assert quiet["talking_point"] == "Last used 50 days ago."
    assert (busy["rule"], busy["reason"]) == ("due", "contact runs out in 6 days")
    assert busy["last_contact"] == {"at": "2026-05-21T03:00:00Z", "channel": "phone", "csm_id": "hana"}
    assert busy["next_planned"] == {"at": "2026-06-18T03:00:00Z", "channel": "phone"}
    assert busy["talking_point"] == "Recent survey scores average 10.0 of 10."


async def test_nps_of_ninety_days_stands_beside(filled: TestTenant):
    nps = (await filled.get("/v1/summary"))["nps"]
    assert (nps["n"], nps["nps"], nps["response_rate"], nps["open_follow_ups"]) == (2, 0.0, None, None)


async def test_one_csms_screen_holds_that_csms_accounts(filled: TestTenant):
    told = await filled.get("/v1/summary?csm=ken")
    assert told["headline"]["accounts"] == {"onboarding": 0, "active": 1, "churned": 1}
    assert [one["account_id"] for one in told["call_first"]] == ["quiet"]
    assert [one["key"] for one in told["coverage"]["by_csm"]] == ["ken"]
    assert (told["nps"]["n"], told["nps"]["nps"]) == (1, -100.0)
    mine = await filled.get("/v1/summary?csm=me", role="csm", csm_id="ken")
    assert figures(mine) == figures(told)


async def test_a_team_a_pair_of_csms_and_nobody_known(filled: TestTenant):
    team = await filled.get("/v1/summary?team=strategic")
    assert (team["headline"]["acv"], team["bands"][0]["accounts"]) == ("1000", 1)
    pair = await filled.get("/v1/summary?csm=ken&csm=hana")
    assert pair["headline"]["accounts"] == {"onboarding": 0, "active": 2, "churned": 1}
    none = await filled.get("/v1/summary?csm=moon")
    assert (none["headline"]["acv"], none["call_first"], none["bands"][0]["share"]) == ("0", [], None)
    assert none["nps"]["n"] == 0


async def test_me_without_a_csm_is_refused(filled: TestTenant):
    answer = await filled.call("GET", "/v1/summary?csm=me")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "no_csm")


@pytest.mark.parametrize("filters", ["", "?csm=ken", "?team=strategic", "?csm=hana&csm=ken"])
async def test_the_live_screen_equals_the_recomputation(filled: TestTenant, filters: str):
    live, past = await filled.get(f"/v1/summary{filters}"), await filled.past(f"/v1/summary{filters}")
    # the one figure that differs: a fact dated ahead is news today, and in the past only once it has happened
    assert figures(live) == figures(past)
    assert past["headline"]["newest_fact_age_s"] == 0.0 or past["headline"]["newest_fact_age_s"] < 86_400


def figures(told: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in told.items() if name not in ("as_of", "fresh_to", "computed")}
    head = {name: value for name, value in told["headline"].items() if name != "newest_fact_age_s"}
    return {**kept, "headline": head}


async def test_a_past_screen_shows_who_stood_where_then(filled: TestTenant):
    told = await filled.get(f"/v1/summary?as_of={TODAY - timedelta(days=20)}")
    assert told["headline"]["accounts"] == {"onboarding": 0, "active": 2, "churned": 1}
    assert told["headline"]["newest_fact_age_s"] == 12 * 3600 - 1e-6  # usage of that noon, seen at the end of the day
    assert told["coverage"]["by_tier"][-1]["due_14d"] == 0
    assert told["nps"]["n"] == 0


async def test_an_account_that_turns_red_within_the_week_is_counted_as_moved(house: House):
    tenant = await house.tenant()
    before = house.clock.now()
    await tenant.tell(
        tenant.account("acme", at(START), customer_since=START),
        *(tenant.usage("p", day, "acme") for day in days(80)),
        tenant.contact("acme", TODAY - timedelta(days=1)),
    )
    assert {(one["band"], one["moved_in_7d"]) for one in (await tenant.get("/v1/summary"))["bands"]} == {
        ("green", 0), ("yellow", 0), ("red", 0), ("unknown", 0)
    }  # fmt: skip
    moved = False
    for _ in range(40):
        house.clock.move(days=1)
        await house.settle()
        bands = {one["band"]: one for one in (await tenant.get("/v1/summary"))["bands"]}
        assert bands == {one["band"]: one for one in (await tenant.past("/v1/summary"))["bands"]}
        if bands["green"]["moved_out_7d"]:
            moved = True
            assert bands["yellow"]["moved_in_7d"] == 1
            break
    house.clock.set(before)
    assert moved


async def test_an_empty_tenant_has_an_empty_screen(house: House):
    told = await (await house.tenant()).get("/v1/summary")
    assert told["headline"]["accounts"] == {"onboarding": 0, "active": 0, "churned": 0}
    assert (told["headline"]["acv"], told["headline"]["newest_fact_age_s"]) == ("0", None)
    assert [one["key"] for one in told["coverage"]["by_tier"]] == ["high", "low", "tech"]
    assert (told["contact_rate"]["rate"], told["call_first"], told["nps"]["nps"]) == (None, [], None)
