"""`/health/explain` and `/consumption-gap` end to end: live and past agree, joined ids count once, foreign ids 404."""

from datetime import timedelta
from typing import Any

import pytest

from shared import facts
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant, stamp

FEATURES = [
    {"feature": "plan", "weight": 3, "share": 1, "events": ["plan_made", "plan_seen"]},
    {"feature": "report", "weight": 1, "share": 0.5, "events": ["report"]},
    {"feature": "soon", "weight": 9, "events": ["soon"], "released_on": (TODAY + timedelta(days=3)).isoformat()},
]


def ago(days: int):
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """a: quiet for a month, then used by two of four; old: an earlier name of a; gone: churned ten days ago."""
    tenant = await house.tenant()
    await tenant.settings(value_features=FEATURES)
    ana = tenant.usage("ana", ago(2), "a", "plan_made")
    alias = facts.Alias(
        tenant=ana.tenant, id="alias", received=ana.received, at=ana.at, person_id="ana", previous_id="anon"
    )
    await tenant.tell(
        tenant.account("a", at(ago(200)), customer_since=ago(200), seats=4, acv="100"),
        *(tenant.usage("ben", ago(day), "a", "report") for day in (150, 120, 80, 70)),
        *(tenant.usage("ben", ago(day), "old", "plan_seen") for day in (3, 1)),
        ana,
        tenant.usage("anon", ago(1), "a", "plan_seen"),
        tenant.contact("a", ago(20)),
        tenant.response(3, ago(5), "old", "ben"),
        tenant.account("old", at(ago(1)), merged_into="a"),
        alias,
        tenant.account("gone", at(ago(90)), status="active", seats=2),
        tenant.usage("cid", ago(30), "gone", "report"),
        tenant.account("gone", at(ago(10)), status="churned"),
        tenant.account("unused", at(ago(70)), customer_since=ago(70), features=[], traits={"payment_overdue_days": 0}),
        tenant.contact("unused", ago(16)),
        tenant.response(10, ago(16), "unused"),
        tenant.account("young", at(ago(1)), seats=0),
        tenant.account("named", at(ago(50)), features=["report", "open"]),
        tenant.account("none", at(ago(50)), features=[], seats=9),
    )
    return tenant


def total(told: Any) -> float:
    return sum(row["difference"] for row in told["dimensions"])


@pytest.mark.parametrize("days", [0, 1, 7, 28, 40, 60, 100])
async def test_the_rows_sum_to_the_difference_of_two_as_of_answers(filled: TestTenant, days: int):
    path, day = "/v1/accounts/a/health", ago(days).isoformat()
    told = await filled.get(f"{path}/explain?since={day}")
    now, then = await filled.get(path), await filled.get(f"{path}?as_of={day}")
    assert (told["score_from"], told["score_to"]) == (then["score"], now["score"])
    assert told["difference"] == now["score"] - then["score"]
    assert abs(total(told) - told["difference"]) < 1e-9
    assert [row["name"] for row in told["dimensions"]][:8] == [row["name"] for row in now["dimensions"]][:8]


async def test_inputs_stand_side_by_side_and_null_counts_nothing(filled: TestTenant):
    told = await filled.get(f"/v1/accounts/a/health/explain?since={ago(8)}")
    rows = {row["name"]: row for row in told["dimensions"]}
    assert rows["frequency"]["inputs"]["days_since_usage"] == {"from": 62, "to": 1}
    assert rows["sentiment"]["inputs"] == {"nps_weighted": {"from": None, "to": 3}}
    assert rows["sentiment"]["from"] is None
    assert rows["sentiment"]["difference"] == rows["sentiment"]["to"]


async def test_a_cap_that_bites_is_a_row(filled: TestTenant):
    told = await filled.get(f"/v1/accounts/unused/health/explain?since={ago(15)}")
    assert told["score_to"] == 39  # never used, started 70 days ago: 2500/60 is capped
    cap = told["dimensions"][-1]
    assert (cap["name"], cap["from"], cap["inputs"]) == ("cap", None, {})
    assert cap["difference"] == cap["to"] == pytest.approx(39 - 2500 / 60, abs=1e-9)
    assert abs(total(told) - told["difference"]) < 1e-9


@pytest.mark.parametrize("path", ["/v1/accounts/a/health/explain?since=2026-05-20", "/v1/accounts/a/consumption-gap"])
async def test_live_and_past_agree(filled: TestTenant, path: str):
    live, past = await filled.get(path), await filled.past(path)
    for told in (live, past):
        for name in ("as_of", "to", "fresh_to", "computed"):
            told.pop(name, None)
    assert live == past


async def test_an_instant_and_another_as_of_may_be_asked(filled: TestTenant):
    then = stamp(at(ago(30)))
    told = await filled.get(f"/v1/accounts/a/health/explain?since={then}&as_of={ago(2)}")
    assert told["from"] == then
    assert told["score_from"] == (await filled.get(f"/v1/accounts/a/health?as_of={then}"))["score"]
    assert told["score_to"] == (await filled.get(f"/v1/accounts/a/health?as_of={ago(2)}"))["score"]


async def test_a_day_without_a_score_has_no_difference(filled: TestTenant):
    before = await filled.get(f"/v1/accounts/a/health/explain?since={ago(300)}")
    assert (before["score_from"], before["difference"]) == (None, None)
    assert before["score_to"] == (await filled.get("/v1/accounts/a/health"))["score"]
    gone = await filled.get(f"/v1/accounts/gone/health/explain?since={ago(11)}")
    assert gone["score_from"] > 0
    assert (gone["score_to"], gone["difference"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "missing"),
        ("since=", "missing"),
        ("since=soon", "not_a_time"),
        ("since=2026-06-16", "in_future"),
        (f"since={ago(3)}&as_of={ago(4)}", "in_future"),
    ],
)
async def test_an_unusable_since_is_refused(filled: TestTenant, query: str, code: str):
    answer = await filled.call("GET", f"/v1/accounts/a/health/explain?{query}")
    assert answer.status_code == 422
    assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [("/query/since", code)]


async def test_the_gap_counts_persons_of_joined_accounts_once(filled: TestTenant):
    told = await filled.get("/v1/accounts/old/consumption-gap")
    assert told["account_id"] == "a"
    assert told["gap"] == 0.625  # 3·(1 − 2/4) + 1·(1 − 0) over 4
    assert told["features"] == [
        {"feature": "plan", "users": 2, "share": 1, "weight": 3, "missing": 0.375},
        {"feature": "report", "users": 0, "share": 0.5, "weight": 1, "missing": 0.25},
    ]
    assert (told["nps"], told["flag"]) == ({"nps": -100, "n": 1}, None)


async def test_ids_stand_in_for_seats_and_named_features_count(filled: TestTenant):
    for person, event in (("eva", "report"), ("flo", "report"), ("gus", "open"), ("hal", "plan_made")):
        await filled.tell(filled.usage(person, ago(3), "named", event))
    await filled.tell(filled.response(0, ago(3), "named", "eva"))
    told = await filled.get("/v1/accounts/named/consumption-gap")
    assert [(one["feature"], one["users"], one["missing"]) for one in told["features"]] == [("report", 2, 0)]
    assert (told["gap"], told["flag"]) == (0, "small_gap_with_detractor")
    before = await filled.get(f"/v1/accounts/named/consumption-gap?as_of={ago(4)}")
    assert (before["gap"], before["features"][0]["missing"], before["nps"]["n"]) == (None, None, 0)


async def test_without_users_or_features_there_is_no_gap(filled: TestTenant):
    assert (await filled.get("/v1/accounts/young/consumption-gap"))["gap"] is None
    none = await filled.get("/v1/accounts/none/consumption-gap")
    assert (none["gap"], none["features"]) == (None, [])


async def test_a_feature_counts_from_the_day_of_its_release(filled: TestTenant):
    filled.house.clock.move(days=3)
    await filled.house.settle()
    told = await filled.get("/v1/accounts/a/consumption-gap")
    assert (told["features"][0]["feature"], told["features"][0]["missing"]) == ("soon", 9 / 13)
    assert len((await filled.get(f"/v1/accounts/a/consumption-gap?as_of={TODAY}"))["features"]) == 2


@pytest.mark.parametrize("path", [f"health/explain?since={ago(1)}", "consumption-gap"])
async def test_unknown_foreign_and_later_ids_are_not_found(filled: TestTenant, path: str):
    other = await filled.house.tenant()
    await other.tell(other.account("theirs"))
    for account_id in ("nobody", "theirs"):
        assert (await filled.call("GET", f"/v1/accounts/{account_id}/{path}")).status_code == 404, account_id
    parted = "&" if "?" in path else "?"
    early = await filled.call(
        "GET", f"/v1/accounts/young/{path}{parted}as_of={ago(2)}".replace(str(ago(1)), "2026-01-01")
    )
    assert early.status_code == 404
