"""`GET /v1/accounts/{id}/timeline`: what happened, of every kind, newest first, live and past and page by page."""

from base64 import urlsafe_b64decode
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from services.scoring.timeline.shapes import Timeline
from shared.http import encode_cursor
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """acme: two owners, onboarding then active, churned and back; a contact corrected, an answer edited."""
    tenant = await house.tenant()
    wrong = tenant.contact("acme", ago(30), note="wrong")
    await tenant.tell(
        tenant.csm("hana", at(ago(400)), name="Hana"),
        tenant.csm("ken", at(ago(400)), name="Ken"),
        tenant.account("acme", at(ago(300)), name="Acme", status="onboarding", csm_id="hana", seats=5),
        tenant.account("acme", at(ago(200)), name="Acme", status="active", csm_id="hana", seats=8),
        tenant.account("acme", at(ago(100)), csm_id="ken", renewal_on=ago(-30), traits={"x": "1"}),
        tenant.contract("acme", ago(250), "new", "1000"),
        tenant.contract("acme", ago(60), "churn", reason="price"),
        tenant.contract("acme", ago(20), "reactivation", "400"),
        tenant.contract("acme", ago(-3), "expansion", "900"),
        wrong,
        tenant.contact("acme", ago(30), outcome="no_answer", csm_id="ken", replaces=wrong.id, recorded_at=1),
        tenant.contact("acme", ago(-2), outcome="planned"),
        tenant.response(3, ago(50), "acme", "ana", response_id="r"),
        tenant.response(9, ago(40), "acme", "ana", response_id="r", comment="better"),
        tenant.person("ana", "acme", at(ago(299))),
        tenant.person("ana", "acme", at(ago(298))),
        tenant.person("ben", "acme", at(ago(99))),
        tenant.person("ben", "acme", at(ago(9)), deactivated=True),
        tenant.person("ben", "acme", at(ago(8)), deactivated=True),
        tenant.person("ben", "acme", at(ago(7)), deactivated=False),
        tenant.account("else", at(ago(1)), name="Else"),
    )
    return tenant


def brief(told: Any) -> list[tuple[Any, ...]]:
    """(kind, days ago, what) of every entry."""
    found: list[tuple[Any, ...]] = []
    for one in told["items"]:
        days = (TODAY - date.fromisoformat(one["at"][:10])).days
        what = one.get("now") or one.get("outcome") or one.get("change") or one.get("score")
        found.append((one["kind"], days, what))
    return found


async def test_everything_that_happened_by_now_stands_newest_first(filled: TestTenant):
    told = await filled.get("/v1/accounts/acme/timeline")
    assert brief(told) == [
        ("member", 7, "returned"),
        ("member", 9, "left"),
        ("status", 21, "active"),  # 00:00 in Tokyo is the day before in UTC
        ("contract", 21, "reactivation"),
        ("contact", 30, "no_answer"),
        ("response", 40, 9),
        ("status", 61, "churned"),
        ("contract", 61, "churn"),
        ("member", 99, "joined"),
        ("owner", 100, "ken"),
        ("attribute", 100, str(ago(-30))),
        ("status", 200, "active"),
        ("attribute", 200, 8),
        ("contract", 251, "new"),
        ("member", 299, "joined"),
        ("status", 300, "onboarding"),
        ("owner", 300, "hana"),
        ("attribute", 300, 5),
        ("attribute", 300, "Acme"),
    ]
    assert (told["total"], told["next_cursor"], told["account_id"]) == (19, None, "acme")
    assert Timeline.model_validate(told).total == 19


async def test_each_entry_brings_its_figures(filled: TestTenant):
    by_kind: dict[str, list[Any]] = {}
    for one in (await filled.get("/v1/accounts/acme/timeline"))["items"]:
        by_kind.setdefault(one["kind"], []).append(one)
    owner = by_kind["owner"][0]
    assert (owner["was"], owner["was_name"], owner["now"], owner["now_name"]) == ("hana", "Hana", "ken", "Ken")
    assert [(one["was"], one["now"]) for one in by_kind["status"]] == [
        ("churned", "active"), ("active", "churned"), ("onboarding", "active"), (None, "onboarding"),
    ]  # fmt: skip
    assert [(one["acv_before"], one["acv_after"], one["reason"]) for one in by_kind["contract"]] == [
        ("0", "400", None), ("1000", "0", "price"), ("0", "1000", None),
    ]  # fmt: skip
    contact = by_kind["contact"][0]
    assert (contact["channel"], contact["csm_name"], contact["note"]) == ("phone", "Ken", None)
    answer = by_kind["response"][0]
    assert (answer["id"], answer["person_id"], answer["comment"], answer["category"]) == (
        "r",
        "ana",
        "better",
        "promoter",
    )
    seats = next(one for one in by_kind["attribute"] if one["now"] == 8)
    assert (seats["field"], seats["was"]) == ("seats", 5)


async def test_the_past_knows_what_had_happened_by_then(filled: TestTenant):
    told = await filled.get(f"/v1/accounts/acme/timeline?as_of={ago(60)}")
    assert brief(told)[:3] == [("status", 61, "churned"), ("contract", 61, "churn"), ("member", 99, "joined")]
    earlier = await filled.get(f"/v1/accounts/acme/timeline?as_of={ago(45)}&kind=response")
    assert brief(earlier) == [("response", 50, 3)]  # before the edit
    live, past = await filled.get("/v1/accounts/acme/timeline"), await filled.past("/v1/accounts/acme/timeline")
    assert (live["items"], live["total"]) == (past["items"], past["total"])


async def test_a_kind_keeps_only_its_entries_and_counts_them(filled: TestTenant):
    told = await filled.get("/v1/accounts/acme/timeline?kind=contact&kind=status")
    assert [one["kind"] for one in told["items"]] == ["status", "contact", "status", "status", "status"]
    assert told["total"] == 5
    assert (await filled.call("GET", "/v1/accounts/acme/timeline?kind=secret")).status_code == 422


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_pages_follow_one_another_also_where_many_happened_at_once(filled: TestTenant, size: int):
    whole = await filled.get("/v1/accounts/acme/timeline")
    found: list[Any] = []
    path = f"/v1/accounts/acme/timeline?limit={size}"
    while path:
        told = await filled.get(path)
        found += told["items"]
        path = told["next_cursor"] and f"/v1/accounts/acme/timeline?limit={size}&cursor={told['next_cursor']}"
    assert found == whole["items"]


async def test_a_cursor_made_up_is_refused_or_empty_and_never_breaks(filled: TestTenant):
    raw = (await filled.get("/v1/accounts/acme/timeline?limit=1"))["next_cursor"]
    stamp = msgspec.json.decode(urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))[0]
    for values in (
        [2**62, "a", "b"],
        [253402300799999999, "a", "b"],
        [None, None, None],
        [-(2**62), "", ""],
        [0, "", ""],
    ):
        answer = await filled.call("GET", f"/v1/accounts/acme/timeline?cursor={encode_cursor(values, stamp)}")
        assert answer.status_code in (200, 422), values


async def test_tiers_are_told_from_the_first_published_policy_on(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("big", at(ago(300)), acv="900"),
        tenant.account("acme", at(ago(300)), acv="100"),
        tenant.account("acme", at(ago(20)), acv="5000"),
        tenant.account("acme", at(ago(10)), status="churned"),
    )
    for days, high in ((100, "1000"), (5, "9000")):
        review = (await tenant.call("POST", "/v1/tiers/reviews", {})).json()
        wish = {"effective_from": str(ago(days)), "high_amount": high, "low_amount": "50", "note": "n"}
        assert (await tenant.call("POST", f"/v1/tiers/reviews/{review['id']}/publish", wish)).status_code == 200
    told = await tenant.get("/v1/accounts/acme/timeline?kind=tier")
    assert [(one["was"], one["now"], one["at"]) for one in told["items"]] == [
        ("low", "high", "2026-05-26T03:00:00Z"), (None, "low", "2026-03-06T15:00:00Z"),
    ]  # fmt: skip
    big = await tenant.get("/v1/accounts/big/timeline?kind=tier")
    assert [(one["was"], one["now"]) for one in big["items"]] == [(None, "low")]


async def test_of_joined_ids_the_story_is_one(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.contact("a", ago(9)), tenant.contact("b", ago(8), channel="chat"), tenant.account("b", merged_into="a")
    )
    told = await tenant.get("/v1/accounts/b/timeline?kind=contact")
    assert ([one["channel"] for one in told["items"]], told["account_id"]) == (["chat", "phone"], "a")


async def test_unknown_accounts_are_not_found(filled: TestTenant):
    assert (await filled.call("GET", "/v1/accounts/nobody/timeline")).status_code == 404
    assert (await filled.call("GET", f"/v1/accounts/acme/timeline?as_of={ago(301)}")).status_code == 404


# Last: it moves the clock.
async def test_bands_and_manual_bands_stand_as_they_were_shown(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("acme", at(ago(100)), customer_since=ago(100)),
        *(tenant.usage("p", ago(n), "acme") for n in range(30)),
    )
    given = {"band": "red", "reason": "merger", "expires_at": "2026-06-16T03:00:00Z"}
    assert (await tenant.call("POST", "/v1/accounts/acme/health/override", given)).status_code in (200, 201)
    await house.settle()
    house.clock.move(days=2)
    await house.settle()
    told = await tenant.get("/v1/accounts/acme/timeline?kind=band&kind=override")
    shown = [
        (one["kind"], one.get("change"), one.get("now_effective"), one.get("was_effective")) for one in told["items"]
    ]
    assert ("override", "given", None, None) in shown
    assert ("override", "ended", None, None) in shown
    ended = next(one for one in told["items"] if one.get("change") == "ended")
    assert (ended["at"], ended["author"], ended["band"]) == ("2026-06-16T03:00:00Z", None, "red")
    assert shown[0][0] == "band"
    assert shown[0][3] == "red"
    assert (await tenant.past("/v1/accounts/acme/timeline"))["items"] == (
        await tenant.get("/v1/accounts/acme/timeline")
    )["items"]
