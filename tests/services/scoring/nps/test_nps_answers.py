"""`GET /v1/nps`, `/v1/responses` and an account's part of it: facts through the log, figures recomputed by hand."""

from collections.abc import Sequence
from datetime import date, timedelta
from math import sqrt
from random import Random
from typing import Any

import pytest

from services.scoring.nps import rules
from shared import facts
from shared.clock import from_micros, to_micros
from tests.services.scoring.builders import TODAY, TOKYO, at
from tests.services.scoring.harness import House, TestTenant

KEYS = ("n", "promoters", "passives", "detractors")


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def by_hand(scores: Sequence[int]) -> dict[str, Any]:
    """The figure from DOMAIN's own words, not from the code under test."""
    n, p, d = len(scores), sum(s >= 9 for s in scores), sum(s <= 6 for s in scores)
    more = n + 3
    share_p, share_d = (p + 3 / 4) / more, (d + 3 / 4) / more
    half = 1.959964 * sqrt((share_p + share_d - (share_p - share_d) ** 2) / more)
    middle = share_p - share_d
    return {
        "n": n, "promoters": p, "passives": n - p - d, "detractors": d, "nps": 100 * (p - d) / n,
        "interval": pytest.approx([max(-100, 100 * (middle - half)), min(100, 100 * (middle + half))], abs=1e-12),
    }  # fmt: skip


def figure(told: dict[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in (*KEYS, "nps", "interval")}


def keyed(told: dict[str, Any]) -> dict[str | None, tuple[int, int, int, int]]:
    return {group["key"]: tuple(group[name] for name in KEYS) for group in told["groups"]}


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """Three accounts of two CSMs, one churned; ana answers for two accounts and two surveys."""
    tenant = await house.tenant()
    said, start = tenant.response, at(ago(300))
    await tenant.tell(
        tenant.csm("hana", name="Hana"),
        tenant.account("big", start, name="Big", acv="900", csm_id="hana", customer_since=ago(300)),
        tenant.account("small", start, acv="1", customer_since=ago(300)),
        tenant.account("gone", start, acv="500", csm_id="hana", status="churned"),
        said(9, ago(80), "big", "ana", survey_id="s1"),  # later ana says 3: this counts in survey s1 only
        said(3, ago(5), "big", "ana", survey_id="s2"),
        said(10, ago(2), "small", "ana", survey_id="s2"),  # her latest: the tenant counts this one alone
        said(8, ago(10), "big", "ben", survey_id="s1"),
        said(6, ago(10), "gone", "cid", survey_id="s1"),
        said(None, ago(1), "big", "dan", survey_id="s1", comment="no score"),
        said(2, ago(20), "small", survey_id="s1"),  # two without a person: each is a person of its own
        said(9, ago(20), "small", survey_id="s1"),
        said(10, ago(3), None, "eve", survey_id="s2"),
        said(0, ago(90), "big", "fay", survey_id="s1"),  # one day before the default period
    )
    return tenant


async def test_the_whole_counts_each_person_once_by_the_latest_score(filled: TestTenant):
    told = await filled.get("/v1/nps")
    assert figure(told) == by_hand([10, 8, 6, 2, 9, 10])
    assert (told["from"], told["to"]) == (ago(89).isoformat(), TODAY.isoformat())
    assert (told["sent"], told["response_rate"]) == (0, None)
    assert [(group["key"], figure(group)) for group in told["groups"]] == [("tenant", figure(told))]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("account", {"big": [3, 8], "gone": [6], "small": [10, 2, 9], None: [10]}),
        ("tier", {"high": [3, 8], "low": [], "tech": [10, 2, 9], None: [6, 10]}),
        ("csm", {"hana": [3, 8, 6], None: [10, 2, 9, 10]}),
        ("survey", {"s1": [9, 8, 6, 2, 9], "s2": [10, 10]}),
        ("tenant", {"tenant": [10, 8, 6, 2, 9, 10]}),
    ],
)
async def test_groups_count_their_own_units_and_list_nobody_last(
    filled: TestTenant, by: str, expected: dict[str | None, list[int]]
):
    told = await filled.get(f"/v1/nps?by={by}")
    assert [group["key"] for group in told["groups"]] == list(expected)
    for group, scores in zip(told["groups"], expected.values(), strict=True):
        empty = {"n": 0, "promoters": 0, "passives": 0, "detractors": 0, "nps": None, "interval": None}
        assert figure(group) == (by_hand(scores) if scores else empty), group["key"]
    again = await filled.past(f"/v1/nps?by={by}")
    assert again["groups"] == told["groups"]


async def test_groups_are_named(filled: TestTenant):
    by_account = {group["key"]: group["name"] for group in (await filled.get("/v1/nps?by=account"))["groups"]}
    assert by_account == {"big": "Big", "gone": None, "small": None, None: None}
    assert [group["name"] for group in (await filled.get("/v1/nps?by=csm"))["groups"]] == ["Hana", None]


async def test_both_days_of_the_period_are_inside(filled: TestTenant):
    told = await filled.get(f"/v1/nps?from={ago(90)}&to={ago(80)}")
    assert figure(told) == by_hand([0, 9])
    assert (await filled.get(f"/v1/nps?from={ago(89)}&to={ago(81)}"))["nps"] is None


@pytest.mark.parametrize(
    ("query", "code"),
    [("by=plan", "literal_error"), ("from=2026-06-02&to=2026-06-01", "out_of_range"), ("to=june", "not_a_day")],
)
async def test_what_is_no_period_and_no_group_is_refused(filled: TestTenant, query: str, code: str):
    answer = await filled.call("GET", f"/v1/nps?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


async def test_an_account_has_the_latest_score_of_each_of_its_persons(filled: TestTenant):
    assert figure(await filled.get("/v1/accounts/big/nps")) == by_hand([3, 8])
    assert figure(await filled.get("/v1/accounts/gone/nps")) == by_hand([6])
    assert (await filled.call("GET", "/v1/accounts/nobody/nps")).status_code == 404
    assert (await filled.call("GET", f"/v1/accounts/big/nps?as_of={ago(301)}")).status_code == 404


async def test_responses_list_one_item_per_person_and_survey_newest_first_page_by_page(filled: TestTenant):
    whole = await filled.get("/v1/responses")
    assert [(one["person_id"], one["survey_id"], one["score"], one["category"]) for one in whole["items"]] == [
        ("dan", "s1", None, None),
        ("ana", "s2", 10, "promoter"),
        ("eve", "s2", 10, "promoter"),
        ("cid", "s1", 6, "detractor"),
        ("ben", "s1", 8, "passive"),
        (None, "s1", 9, "promoter"),
        (None, "s1", 2, "detractor"),
        ("ana", "s1", 9, "promoter"),
        ("fay", "s1", 0, "detractor"),
    ]
    assert whole["total"] == 9
    paged: list[Any] = []
    path = "/v1/responses?limit=2"
    while path:
        page = await filled.get(path)
        paged += page["items"]
        path = page["next_cursor"] and f"/v1/responses?limit=2&cursor={page['next_cursor']}"
    assert paged == whole["items"]
    some = await filled.get("/v1/responses?account_id=small&account_id=gone&survey_id=s1")
    assert ([one["score"] for one in some["items"]], some["total"]) == ([6, 9, 2], 3)


async def test_an_edit_replaces_the_answer_and_an_earlier_t_still_sees_the_first(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.response(9, ago(40), "acme", "ana", response_id="r"),
        tenant.response(4, ago(20), "acme", "ana", response_id="r"),
        tenant.response(8, ago(20), "acme", "ben", response_id="q"),
        tenant.response(None, ago(10), "acme", "ben", response_id="q", comment="never mind"),
    )
    assert figure(await tenant.get("/v1/nps")) == by_hand([4])
    assert (await tenant.get(f"/v1/nps?from={ago(60)}&to={ago(30)}"))["n"] == 0  # edited since: it lies elsewhere now
    assert figure(await tenant.get(f"/v1/nps?as_of={ago(30)}")) == by_hand([9])
    assert figure(await tenant.get(f"/v1/nps?as_of={ago(15)}")) == by_hand([4, 8])
    assert [one["score"] for one in (await tenant.get("/v1/responses"))["items"]] == [None, 4]
    assert [one["score"] for one in (await tenant.get(f"/v1/responses?as_of={ago(30)}"))["items"]] == [9]


async def test_of_answers_at_one_instant_the_greater_id_counts_whatever_came_first(house: House):
    for order in (("r1", "r2"), ("r2", "r1")):
        tenant = await house.tenant()
        scores = {"r1": 10, "r2": 0}
        for name in order:
            await tenant.tell(tenant.response(scores[name], ago(3), "acme", "ana", response_id=name))
        assert figure(await tenant.get("/v1/nps")) == by_hand([0])


async def test_groups_are_those_of_the_periods_end_not_of_now(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("acme", at(ago(100)), csm_id="hana", acv="5", customer_since=ago(100)),
        tenant.account("acme", at(ago(10)), csm_id="ken", status="churned"),
        tenant.response(9, ago(30), "acme", "ana"),
    )
    assert keyed(await tenant.get(f"/v1/nps?by=csm&to={ago(20)}")) == {"hana": (1, 1, 0, 0)}
    assert keyed(await tenant.get("/v1/nps?by=csm")) == {"ken": (1, 1, 0, 0)}
    assert keyed(await tenant.get(f"/v1/nps?by=tier&to={ago(20)}"))["high"] == (1, 1, 0, 0)
    assert keyed(await tenant.get("/v1/nps?by=tier"))[None] == (1, 1, 0, 0)


async def test_sent_counts_first_mails_that_did_not_bounce_and_those_answered(house: House):
    tenant = await house.tenant()
    told: list[facts.AnyFact] = []
    for index, (days, bounced, score) in enumerate(
        [(10, False, 9), (10, False, None), (10, False, "none"), (10, True, "none"), (100, False, 7)]
    ):
        who = {
            "tenant": tenant.number, "received": house.clock.micros(), "invitation_id": f"i{index}", "survey_id": "s",
            "person_id": f"p{index}", "account_id": "acme",
        }  # fmt: skip
        told.append(facts.InvitationSent(id=f"sent{index}", at=to_micros(at(ago(days))), **who))
        if bounced:
            told.append(facts.InvitationBounced(id=f"back{index}", at=to_micros(at(ago(days - 1))), **who))
        if not isinstance(score, str):
            told.append(tenant.response(score, ago(1), "acme", f"p{index}", invitation_id=f"i{index}"))
    await tenant.tell(*told)
    whole = await tenant.get("/v1/nps?by=account")
    assert (whole["n"], whole["sent"], whole["response_rate"]) == (2, 3, pytest.approx(1 / 3))
    assert [(group["key"], group["sent"]) for group in whole["groups"]] == [("acme", 3)]


async def test_another_tenant_sees_none_of_it(house: House, filled: TestTenant):
    other = await house.tenant()
    assert (await other.get("/v1/nps"))["n"] == 0
    assert (await other.get("/v1/responses"))["items"] == []
    assert (await other.call("GET", "/v1/accounts/big/nps")).status_code == 404


async def test_a_response_is_in_the_accounts_health(house: House):
    tenant = await house.tenant()
    await tenant.tell(tenant.account("acme", customer_since=ago(30)))
    before = {one["name"]: one for one in (await tenant.get("/v1/accounts/acme/health"))["dimensions"]}
    await tenant.tell(tenant.response(9, TODAY - timedelta(days=0), "acme", "ana"))
    after = {one["name"]: one for one in (await tenant.get("/v1/accounts/acme/health"))["dimensions"]}
    assert (before["sentiment"]["value"], after["sentiment"]["value"]) == (None, 90)


async def test_figures_equal_the_rules_applied_one_by_one(house: House):
    """300 answers with edits, ties, comments, strangers and people of several accounts, in one shuffled order."""
    dice, tenant = Random(7), await house.tenant()
    told = [
        tenant.response(
            dice.choice([None, *range(11)]),
            at(ago(dice.randrange(100)), dice.randrange(3)),
            dice.choice([None, *"abc"]),
            dice.choice([None, *"pqrstuvw"]),
            response_id=f"r{dice.randrange(150)}",
            survey_id=dice.choice("xyz"),
        )
        for _ in range(300)
    ]
    await tenant.tell(*told)
    versions = [
        rules.Response(f.response_id, f.id, f.survey_id, from_micros(f.at), f.score, f.account_id, f.person_id)
        for f in told
    ]
    now = house.clock.now()
    counting = rules.in_period(rules.answers(versions, now), ago(89), TODAY, TOKYO)
    units = {"account": rules.per_person_and_account(counting), "survey": rules.per_person_and_survey(counting)}
    whole = await tenant.get("/v1/nps?by=account")
    assert figure(whole) == by_hand([one.score or 0 for one in rules.per_person(counting)])
    for by, ones in units.items():
        expected: dict[str | None, list[int]] = {}
        for one in ones:
            expected.setdefault(one.account_id if by == "account" else one.survey_id, []).append(one.score or 0)
        groups = (await tenant.get(f"/v1/nps?by={by}"))["groups"]
        assert {group["key"]: figure(group) for group in groups} == {k: by_hand(v) for k, v in expected.items()}
    standing = rules.per_person_and_survey(rules.answers(versions, now))
    listed = (await tenant.get("/v1/responses?limit=500"))["items"]
    assert sorted(one["response_id"] for one in listed) == sorted(one.response_id for one in standing)


async def test_a_joined_id_answers_with_the_figure_of_all(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.response(9, ago(5), "new-id", "ana"),
        tenant.response(4, ago(4), "old-id", "ben"),
        tenant.account("new-id", merged_into="old-id"),
    )
    for asked in ("old-id", "new-id"):
        told = await tenant.get(f"/v1/accounts/{asked}/nps")
        assert (told["account_id"], figure(told)) == ("new-id", by_hand([9, 4]))
    assert figure(await tenant.past("/v1/accounts/old-id/nps")) == by_hand([9, 4])
