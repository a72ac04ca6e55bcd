"""The worklist, the contact rate and the series, end to end, against figures made by hand and by recomputation."""

from datetime import date, timedelta
from typing import Any

import pytest

from shared.facts import AnyFact
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

START = TODAY - timedelta(days=200)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


async def book(tenant: TestTenant) -> None:
    """Six accounts, all windows 30 days: long out, never called, out today, due in 5 and in 20 days, churned."""
    await tenant.settings(
        coverage={tier: {"window": "P30D", "target": 0.5, "channels": ["phone"]} for tier in ("high", "low", "tech")}
    )
    told: list[AnyFact] = [tenant.csm("hana", name="Hana", team="strategic")]
    for name, acv in (("out", "10"), ("never", None), ("today", "30"), ("soon", "40"), ("later", "50"), ("gone", "9")):
        told.append(
            tenant.account(name, at(START), customer_since=START, csm_id="hana", **({"acv": acv} if acv else {}))
        )
    told += [
        tenant.contact("out", ago(90), csm_id="hana"),
        tenant.contact("out", ago(91), outcome="no_answer"),
        tenant.contact("out", ago(40), outcome="no_answer"),
        tenant.contact("out", ago(3), outcome="bounced", channel="email"),
        tenant.contact("out", TODAY + timedelta(days=2), outcome="planned"),
        tenant.contact("never", ago(5), outcome="cancelled"),
        tenant.contact("never", ago(4), outcome="note"),
        tenant.contact("today", ago(30)),
        tenant.contact("soon", ago(25)),
        tenant.contact("later", ago(10)),
        tenant.contact("gone", ago(60)),
        tenant.account("gone", at(ago(50)), status="churned"),
        tenant.usage("u1", ago(29), "out"),
        tenant.usage("u2", ago(30), "soon"),
        tenant.usage("u3", TODAY, "never"),
        tenant.usage("u4", TODAY, "gone"),
        tenant.usage("u5", ago(1), "today"),
    ]
    await tenant.tell(*told)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    tenant = await house.tenant()
    await book(tenant)
    return tenant


def ids(answer: Any) -> list[str]:
    return [item["account_id"] for item in answer["items"]]


async def test_the_list_names_the_uncovered_and_those_that_fall_out_within_fourteen_days(filled: TestTenant):
    told = await filled.get("/v1/coverage/worklist")
    assert [(item["account_id"], item["state"], item["due_at"]) for item in told["items"]] == [
        ("never", "uncovered", "2025-11-26T15:00:00Z"),
        ("out", "uncovered", "2026-04-15T15:00:00Z"),
        ("today", "uncovered", "2026-06-14T15:00:00Z"),
        ("soon", "due", "2026-06-19T15:00:00Z"),
    ]
    assert (told["total"], told["next_cursor"], told["currency"]) == (4, None, "JPY")


async def test_an_item_says_who_spoke_last_what_is_planned_and_how_often_they_were_tried_since(filled: TestTenant):
    items = {item["account_id"]: item for item in (await filled.get("/v1/coverage/worklist"))["items"]}
    assert items["out"] == {
        "account_id": "out", "name": None, "tier": "low", "csm_id": "hana", "acv": "10",
        "last_contact": {"at": "2026-03-17T03:00:00Z", "channel": "phone", "csm_id": "hana"},
        "due_at": "2026-04-15T15:00:00Z", "state": "uncovered", "planned_at": "2026-06-17T03:00:00Z", "attempts": 2,
    } | {"tier": items["out"]["tier"]}  # fmt: skip
    never = items["never"]
    assert (never["last_contact"], never["attempts"], never["acv"], never["tier"]) == (None, 1, None, "tech")


async def test_days_ahead_are_whole_days_and_the_page_goes_on_where_it_ended(filled: TestTenant):
    assert ids(await filled.get("/v1/coverage/worklist?within_days=0")) == ["never", "out", "today"]
    assert ids(await filled.get("/v1/coverage/worklist?within_days=5")) == ["never", "out", "today", "soon"]
    assert ids(await filled.get("/v1/coverage/worklist?within_days=4")) == ["never", "out", "today"]
    whole, cursor = [], ""
    while cursor is not None:
        page = await filled.get(f"/v1/coverage/worklist?within_days=30&limit=2&cursor={cursor}")
        whole, cursor = whole + ids(page), page["next_cursor"]
    assert whole == ["never", "out", "today", "soon", "later"]


@pytest.mark.parametrize("asked", ["within_days=-1", "within_days=x", "within_days=3651", "cursor=AAAA", "limit=0"])
async def test_a_question_out_of_range_is_refused(filled: TestTenant, asked: str):
    answer = await filled.call("GET", f"/v1/coverage/worklist?{asked}")
    assert answer.status_code == 422


async def test_on_one_day_the_highest_amount_stands_first_and_nothing_told_last(house: House):
    tenant = await house.tenant()
    told = [
        tenant.account(name, at(START), customer_since=START, **({"acv": acv} if acv else {}))
        for name, acv in (("b", None), ("a", None), ("small", "1"), ("d", "7"), ("c", "7"))
    ]
    await tenant.tell(*told)
    assert ids(await tenant.get("/v1/coverage/worklist")) == ["c", "d", "small", "a", "b"]
    assert ids(await tenant.past("/v1/coverage/worklist")) == ["c", "d", "small", "a", "b"]


async def test_the_contact_rate_counts_accounts_used_in_thirty_days_that_were_ever_reached(filled: TestTenant):
    told = await filled.get("/v1/contact-rate")
    # in use: out (29 days ago), never, today; reached: out, today; gone has churned
    assert [told[name] for name in ("accounts_in_use", "contacted", "rate")] == [3, 2, 2 / 3]


async def test_without_an_account_in_use_the_contact_rate_is_null(house: House):
    told = await (await house.tenant()).get("/v1/contact-rate")
    assert [told[name] for name in ("accounts_in_use", "contacted", "rate")] == [0, 0, None]


async def test_a_series_of_sixty_days_is_sixty_single_answers(filled: TestTenant):
    first = ago(59)
    for by in ("tenant", "tier", "csm", "team", "rank"):
        series = await filled.get(f"/v1/coverage/series?from={first}&by={by}")
        assert [item["day"] for item in series["items"]] == [str(ago(59 - n)) for n in range(60)]
        for item in series["items"][:: 1 if by == "tier" else 13] + series["items"][-1:]:
            single = await filled.get(f"/v1/coverage?by={by}&as_of={item['day']}")
            named = ("key", "eligible", "covered", "rate")
            assert item["groups"] == [{name: group[name] for name in named} for group in single["groups"]]


@pytest.mark.parametrize(
    "asked", [f"to={TODAY + timedelta(days=1)}", f"from={ago(400)}", f"from={ago(1)}&to={ago(2)}", "from=x", "by=x"]
)
async def test_a_period_ahead_too_long_or_upside_down_is_refused(filled: TestTenant, asked: str):
    assert (await filled.call("GET", f"/v1/coverage/series?{asked}")).status_code == 422


async def test_four_hundred_days_are_answered(filled: TestTenant):
    series = await filled.get(f"/v1/coverage/series?from={ago(399)}")
    assert len(series["items"]) == 400
    assert series["items"][0]["groups"] == [{"key": "tenant", "eligible": 0, "covered": 0, "rate": None}]


async def test_above_a_hundred_thousand_accounts_a_series_is_refused(house: House):
    tenant = await house.tenant()
    await tenant.tell(tenant.account("a"))
    await house.owner.execute(
        "UPDATE scoring_state.counter SET accounts = accounts + 100000 WHERE tenant = $1", tenant.number
    )
    answer = await tenant.call("GET", "/v1/coverage/series")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_accounts")


async def test_joined_accounts_are_tried_together(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("a", at(START), customer_since=START),
        tenant.account("b", at(START), merged_into="a"),
        tenant.contact("b", ago(3), outcome="no_answer"),
        tenant.contact("a", ago(2), outcome="no_answer"),
    )
    told = (await tenant.get("/v1/coverage/worklist"))["items"]
    assert [(item["account_id"], item["attempts"]) for item in told] == [("a", 2)]


async def test_the_page_is_read_from_its_index(house: House, filled: TestTenant):
    from services.scoring.coverage import worklist

    async with house.database.app.acquire() as conn, conn.transaction():
        await conn.execute(f"SET LOCAL app.tenants = '{filled.number}'; SET LOCAL enable_seqscan = off")
        asked = (filled.number, at(TODAY), *worklist.FIRST, 50)
        plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {worklist._PAGE}", *asked))
    assert "account_state_tenant_due_at_acv_order_account_id_idx" in plan
    assert "Sort" not in plan


# Last: it moves the clock.
async def test_live_answers_are_those_recomputed_at_the_same_instant_today_and_after_days_without_a_fact(
    house: House, filled: TestTenant
):
    for days in (0, 1, 5, 30):
        house.clock.move(days=days)
        await house.settle()
        for path in ("/v1/coverage/worklist?within_days=14", "/v1/contact-rate", "/v1/coverage/series?by=csm"):
            live = await filled.get(path)
            past = await filled.past(path)
            kept = live.keys() - {"as_of", "fresh_to"}
            assert {name: live[name] for name in kept} == {name: past[name] for name in kept}
