"""`GET /v1/accounts/{id}/talking-points`: from facts to the agenda, live and past."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.facts.read import Reader
from services.scoring.talking.shapes import TalkingPoints
from shared import facts
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def told(tenant: TestTenant) -> list[facts.AnyFact]:
    """acme: more people than before, two features never used, called 25 days ago, an answer and an expansion since."""
    return [
        tenant.account("acme", at(ago(300)), name="Acme", customer_since=ago(300), seats=10, acv="100", csm_id="hana"),
        tenant.account("acme", at(ago(3)), csm_id="ken"),
        tenant.contract("acme", ago(300), "new", "1000", term_end=ago(-40)),
        tenant.contract("acme", ago(10), "expansion", "1500"),
        *(tenant.usage(person, ago(day), "acme", "login", 2) for person in ("ana", "ben", "cid") for day in (1, 9)),
        *(tenant.usage("ana", ago(day), "acme", "report") for day in (30, 35)),
        tenant.usage("ben", ago(50), "acme", "login"),
        tenant.usage("old", ago(200), "acme", "map"),
        tenant.contact("acme", ago(25), "video", csm_id="hana"),
        tenant.contact("acme", ago(2), outcome="no_answer"),
        tenant.response(9, ago(60), "acme", "ana", comment="good", survey_id="s1"),
        tenant.response(6, ago(5), "acme", "ben", comment="slow", survey_id="s2"),
        tenant.response(8, ago(4), "acme", "cid", survey_id="s2"),
    ]


FEATURES = [
    {"feature": "map", "released_on": None},
    {"feature": "export"},
    {"feature": "sign", "released_on": "2026-05-01"},
    {"feature": "later", "released_on": "2026-07-01"},
]


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    tenant = await house.tenant()
    await tenant.settings(value_features=FEATURES)
    await tenant.tell(*told(tenant), tenant.account("plain"), tenant.usage("zoe", ago(1), "plain"))
    return tenant


def by_kind(answer: Any) -> dict[str, Any]:
    return {one["kind"]: one for one in answer["items"]}


async def test_the_agenda_holds_every_point_with_its_figure(filled: TestTenant):
    answer = await filled.get("/v1/accounts/acme/talking-points")
    found = by_kind(answer)
    assert list(found) == [
        "usage", "usage_by_feature", "never_used", "new_unused", "seats", "nps_comment", "renewal", "alert",
        "since_last_contact",
    ]  # fmt: skip
    assert found["usage"]["figures"] == {"active_users_28": 3, "active_users_28_before": 2, "direction": "up"}
    assert found["usage_by_feature"]["figures"] == {
        "up": [{"feature": "login", "events_28": 12, "events_28_before": 1}],
        "down": [{"feature": "report", "events_28": 0, "events_28_before": 2}],
    }
    assert found["never_used"]["figures"]["features"] == ["export", "sign"]
    assert found["new_unused"]["figures"]["features"] == [{"feature": "sign", "released_on": "2026-05-01"}]
    assert found["seats"]["figures"] == {"seats": 10, "active_users_28": 3, "unused": 7}
    comment = found["nps_comment"]["figures"]
    assert (comment["comment"], comment["score"], comment["person_id"]) == ("slow", 6, "ben")
    assert found["renewal"]["figures"] == {"renewal_on": str(ago(-40)), "days_left": 40}
    assert (answer["name"], answer["off"][0]["kind"]) == ("Acme", "next_milestone")
    assert TalkingPoints.model_validate(answer).account_id == "acme"


async def test_every_rule_that_fired_is_a_point_of_its_own(filled: TestTenant):
    answer = await filled.get("/v1/accounts/acme/talking-points")
    fired = (await filled.get("/v1/accounts/acme"))["needs_action"]
    assert [one["figures"] for one in answer["items"] if one["kind"] == "alert"] == fired
    assert [one["rule"] for one in fired] == ["due"]
    assert answer["rules_off"] == (await filled.get("/v1/summary"))["rules_off"]


async def test_since_the_last_contact_is_what_both_moments_answer(filled: TestTenant):
    since = by_kind(await filled.get("/v1/accounts/acme/talking-points"))["since_last_contact"]["figures"]
    assert (since["last_contact_at"], since["channel"], since["days"]) == ("2026-05-21T03:00:00Z", "video", 25)
    assert (since["responses"], since["contract_changes"]) == (2, 1)
    then = await filled.get("/v1/accounts/acme?as_of=2026-05-21T03:00:00Z")
    now = await filled.get("/v1/accounts/acme")
    names = {"score": "health", **{name: name for name in ("acv", "ids", "csm_id", "effective_band", "status", "tier")}}
    expected = {what: (then[name], now[name]) for what, name in names.items() if then[name] != now[name]}
    expected["active_users_28"] = (then["active_users_28d"], now["active_users_28d"])
    assert {one["what"]: (one["was"], one["now"]) for one in since["changes"]} == expected
    assert expected["acv"] == ("1000", "1500")
    assert expected["csm_id"] == ("hana", "ken")


async def test_a_tier_is_a_change_under_published_amounts_only_and_a_live_agenda_never_reads_every_account(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    tenant, path = await house.tenant(), "/v1/accounts/acme/talking-points"
    await tenant.tell(
        *(tenant.account(f"x{n}", at(ago(300)), customer_since=ago(300), acv="100") for n in range(9)),
        tenant.account("acme", at(ago(300)), customer_since=ago(300), acv="1"),
        tenant.contact("acme", ago(25)),
        tenant.account("acme", at(ago(3)), acv="1000"),
    )
    for told in (await tenant.get(path), await tenant.past(path)):
        changes = by_kind(told)["since_last_contact"]["figures"]["changes"]
        assert [one["what"] for one in changes if one["what"] in ("acv", "tier")] == ["acv"]
    with monkeypatch.context() as patched:
        patched.delattr(Reader, "values")  # what reads them all
        assert by_kind(await tenant.get(path))["since_last_contact"]["figures"]["changes"] == changes
    found = (await tenant.call("POST", "/v1/tiers/reviews", {})).json()
    wish = {"note": "x", "effective_from": str(ago(100)), "high_amount": "500", "low_amount": "50"}
    assert (await tenant.call("POST", f"/v1/tiers/reviews/{found['id']}/publish", wish)).status_code == 200
    await house.settle()
    for told in (await tenant.get(path), await tenant.past(path)):
        changes = by_kind(told)["since_last_contact"]["figures"]["changes"]
        assert [(one["was"], one["now"]) for one in changes if one["what"] == "tier"] == [("tech", "high")]


async def test_live_is_recomputed_and_an_earlier_t_knows_no_later_fact(filled: TestTenant):
    for account in ("acme", "plain"):
        path = f"/v1/accounts/{account}/talking-points"
        live, past = await filled.get(path), await filled.past(path)
        assert live["items"] == past["items"]
    earlier = by_kind(await filled.get(f"/v1/accounts/acme/talking-points?as_of={ago(26)}"))
    assert earlier["nps_comment"]["figures"]["comment"] == "good"
    assert earlier["since_last_contact"]["figures"] == {"last_contact_at": None, "changes": []}
    assert earlier["usage"]["figures"]["direction"] == "up"


async def test_the_home_screen_says_it_in_the_same_words(filled: TestTenant):
    screen = await filled.get("/v1/summary")
    agenda = {one["words"]["en"] for one in by_kind(await filled.get("/v1/accounts/acme/talking-points")).values()}
    [called] = [one for one in screen["call_first"] if one["account_id"] == "acme"]
    assert called["talking_point"] in agenda


async def test_joined_ids_have_one_agenda(house: House):
    tenant = await house.tenant()
    await tenant.settings(value_features=FEATURES)
    moved = [msgspec_replace(fact) for fact in told(tenant)]
    await tenant.tell(*moved, tenant.account("older", merged_into="acme"))
    plain = await house.tenant()
    await plain.settings(value_features=FEATURES)
    await plain.tell(*told(plain))
    one = await tenant.get("/v1/accounts/older/talking-points")
    other = await plain.get("/v1/accounts/acme/talking-points")
    assert (one["items"], one["account_id"]) == (other["items"], "acme")


def msgspec_replace(fact: Any) -> Any:
    """Usage, contacts and answers under the older id."""
    if isinstance(fact, facts.Usage | facts.Contact | facts.SurveyResponse):
        fact.account_id = "older"
    return fact


async def test_unknown_accounts_have_no_agenda(filled: TestTenant):
    assert (await filled.call("GET", "/v1/accounts/nobody/talking-points")).status_code == 404
    assert (await filled.call("GET", f"/v1/accounts/acme/talking-points?as_of={ago(301)}")).status_code == 404
