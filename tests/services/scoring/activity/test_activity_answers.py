"""`GET /v1/activity`: what the team did by CSM and week, against hand-made figures; live and past."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.scoring.activity import store
from services.scoring.activity.rules import Inbound, answer_due
from services.scoring.activity.shapes import ActivityAnswer
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant, stamp

# TODAY is a Monday, noon in Tokyo: a week has just begun.


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """hana calls two accounts in two weeks, ken one; customers wrote four times."""
    tenant = await house.tenant()
    wrong = tenant.contact("a", ago(5), csm_id="hana", outcome="no_answer")
    await tenant.tell(
        tenant.csm("hana", at(ago(300)), name="Hana", team="strategic"),
        tenant.csm("ken", at(ago(300)), name="Ken", team="adoption"),
        tenant.contact("a", ago(6), csm_id="hana", outcome="no_answer"),
        wrong,
        tenant.contact("a", ago(5), csm_id="hana", replaces=wrong.id, recorded_at=1),
        tenant.contact("a", ago(4), "email", "replied", csm_id="hana"),
        tenant.contact("b", ago(4), "email", "bounced", csm_id="hana"),
        tenant.contact("b", ago(3), "phone", "cancelled", csm_id="hana"),
        tenant.contact("b", ago(3), "phone", "note", csm_id="hana"),
        tenant.contact("b", ago(1), "phone", "planned", csm_id="hana"),
        tenant.contact("b", at(TODAY, 9), "phone", "reached", csm_id="ken"),
        tenant.contact("c", ago(12), "meeting", "reached"),
        tenant.contact("c", ago(40), "meeting", "reached", csm_id="ken"),  # before the four weeks
        # inbound: a's mail of 5 days ago is answered a day later; b's one in seconds; c waits since Thursday; a call
        tenant.contact("a", at(ago(5), 15), "email", "replied", csm_id="hana", direction="inbound"),
        tenant.contact("b", at(TODAY, 8), "chat", "replied", csm_id="ken", direction="inbound"),
        tenant.contact("c", ago(4), "email", "replied", csm_id="ken", direction="inbound"),
        tenant.contact("c", ago(4), "phone", "reached", csm_id="ken", direction="inbound"),
    )
    return tenant


def figures(group: Any) -> tuple[Any, ...]:
    names = ("key", "attempts", "reached", "accounts_touched", "accounts_reached")
    return tuple(group[name] for name in names)


async def test_attempts_and_whom_they_reached_by_who_made_them(filled: TestTenant):
    told = await filled.get("/v1/activity")
    assert (told["from"], told["to"]) == (str(ago(21)), str(TODAY))
    assert [figures(one) for one in told["groups"]] == [
        ("hana", 5, 2, 2, 1), ("ken", 1, 1, 1, 1), (None, 1, 1, 1, 1),
    ]  # fmt: skip
    hana = told["groups"][0]
    assert (hana["name"], hana["reach_rate"]) == ("Hana", 0.4)
    assert [(one["channel"], one["attempts"], one["reached"]) for one in hana["by_channel"]] == [
        ("email", 2, 1), ("phone", 3, 1),
    ]  # fmt: skip
    assert ActivityAnswer.model_validate(told).to == TODAY


async def test_weeks_begin_on_monday_in_the_tenants_zone(filled: TestTenant):
    told = await filled.get("/v1/activity")
    assert [(one["week"], [figures(group) for group in one["groups"]]) for one in told["weeks"]] == [
        ("2026-W22", []),
        ("2026-W23", [(None, 1, 1, 1, 1)]),
        ("2026-W24", [("hana", 5, 2, 2, 1), ("ken", 0, 0, 0, 0)]),
        ("2026-W25", [("ken", 1, 1, 1, 1)]),
    ]
    assert told["weeks"][2]["groups"][1]["reach_rate"] is None


async def test_customers_who_wrote_are_answered_or_wait(filled: TestTenant):
    told = await filled.get("/v1/activity")
    hana, ken, nobody = (one["inbound"] for one in told["groups"])
    assert hana == {
        "came": 1, "waiting_for_answer": 1, "answered": 1, "median_answer_s": 21 * 3600.0, "open": 0,
        "open_over_1_working_day": 0,
    }  # fmt: skip
    assert (ken["came"], ken["waiting_for_answer"], ken["answered"], ken["median_answer_s"]) == (3, 2, 1, 3600.0)
    assert (ken["open"], ken["open_over_1_working_day"], nobody["came"]) == (1, 1, 0)
    [waiting] = told["open_inbound"]
    assert (waiting["account_id"], waiting["channel"], waiting["csm_id"]) == ("c", "email", "ken")
    assert (waiting["at"], waiting["answer_due"]) == ("2026-06-11T03:00:00Z", "2026-06-12T15:00:00Z")


async def test_a_past_t_sees_neither_later_contacts_nor_later_answers(filled: TestTenant):
    told = await filled.get(f"/v1/activity?as_of={ago(5)}&from={ago(6)}&to={ago(5)}")
    assert [figures(one) for one in told["groups"]] == [("hana", 2, 1, 1, 1)]
    assert (told["groups"][0]["inbound"]["open"], told["groups"][0]["inbound"]["open_over_1_working_day"]) == (1, 0)
    for by in ("csm", "team", "tenant"):
        live, past = await filled.get(f"/v1/activity?by={by}"), await filled.past(f"/v1/activity?by={by}")
        for name in ("from", "to", "groups", "weeks", "open_inbound"):
            assert (by, live[name]) == (by, past[name])


async def test_by_team_and_as_a_whole_accounts_count_once(filled: TestTenant):
    team = await filled.get("/v1/activity?by=team")
    assert [(one["key"], one["name"], one["attempts"]) for one in team["groups"]] == [
        ("adoption", "adoption", 1), ("strategic", "strategic", 5), (None, None, 1),
    ]  # fmt: skip
    whole = await filled.get("/v1/activity?by=tenant")
    assert [figures(one) for one in whole["groups"]] == [("tenant", 7, 4, 3, 3)]


async def test_one_day_of_a_week_counts_only_that_day(filled: TestTenant):
    told = await filled.get(f"/v1/activity?from={ago(4)}&to={ago(4)}")
    assert [(one["week"], [figures(group) for group in one["groups"]]) for one in told["weeks"]] == [
        ("2026-W24", [("hana", 2, 1, 2, 1), ("ken", 0, 0, 0, 0)])
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"to={ago(-1)}", "in_future"),
        (f"from={ago(0)}&to={ago(1)}", "out_of_range"),
        ("from=2020-01-01", "too_many_days"),
    ],
)
async def test_what_is_no_period_is_refused(filled: TestTenant, query: str, code: str):
    answer = await filled.call("GET", f"/v1/activity?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


async def test_joined_accounts_are_one_also_for_the_answer_to_a_mail(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.contact("old", at(ago(3), 9), "email", "replied", direction="inbound"),
        tenant.contact("new", at(ago(3), 10), "email", "no_answer"),  # sent, nothing known: an answer all the same
        tenant.contact("old", at(ago(3), 11), "phone", "no_answer"),
        tenant.account("old", merged_into="new"),
    )
    [group] = (await tenant.get("/v1/activity"))["groups"]
    assert figures(group) == (None, 2, 0, 1, 0)
    assert group["inbound"]["median_answer_s"] == 3600.0


async def test_figures_of_many_contacts_are_those_counted_one_by_one(house: House):
    tenant, rng = await house.tenant("America/New_York"), Random(7)
    first = datetime(2026, 5, 1, 4, tzinfo=UTC)
    told = [
        tenant.contact(
            f"a{rng.randrange(6)}", first + timedelta(minutes=rng.randrange(60 * 24 * 40)),
            rng.choice(["phone", "email"]), rng.choice(["reached", "no_answer", "note"]), csm_id=rng.choice(["x", "y"]),
        )
        for _ in range(300)
    ]  # fmt: skip
    await tenant.tell(*told)
    found = await tenant.get("/v1/activity?from=2026-05-01&to=2026-06-14")
    expected: Counter[tuple[str, str]] = Counter()
    for one in told:
        if one.outcome != "note":
            local = datetime.fromtimestamp(one.at / 1e6, UTC) - timedelta(hours=4)
            year, week, _ = local.isocalendar()
            expected[f"{year}-W{week:02d}", one.csm_id or ""] += 1
    assert {
        (week["week"], one["key"]): one["attempts"] for week in found["weeks"] for one in week["groups"]
    } == expected
    assert sum(one["attempts"] for one in found["groups"]) == expected.total()


def brief(inbound: Any) -> tuple[Any, ...]:
    names = ("came", "waiting_for_answer", "answered", "median_answer_s", "open", "open_over_1_working_day")
    return tuple(inbound[name] for name in names)


async def test_a_call_that_took_place_asks_for_nothing_and_the_median_is_of_what_was_answered(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.contact("a", at(ago(3), 8), "phone", "reached", direction="inbound"),
        tenant.contact("a", at(ago(3), 9), "phone", "no_answer", direction="inbound"),
        tenant.contact("b", at(ago(3), 9), "email", "replied", direction="inbound"),
        tenant.contact("b", at(ago(3), 9) + timedelta(seconds=60), "email", "replied"),
        tenant.contact("c", at(ago(3), 9), "email", "replied", direction="inbound"),
        tenant.contact("c", at(ago(3), 9) + timedelta(seconds=600, microseconds=1), "email", "no_answer"),
    )
    [group] = (await tenant.get("/v1/activity"))["groups"]
    assert brief(group["inbound"]) == (4, 3, 2, 330.0000005, 1, 0)
    assert (await tenant.get("/v1/activity"))["open_inbound"] == []


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
async def test_a_working_day_is_over_when_its_week_says_so(house: House, zone: str):
    """One mail at each noon of eleven days: at T those wait too long whose working day is over."""
    tenant, tz = await house.tenant(zone), ZoneInfo(zone)
    days = [ago(n) for n in range(4, 15)]
    await tenant.tell(*(tenant.contact("a", day, "email", "replied", direction="inbound") for day in days))
    for asked in (
        at(ago(3), 0, tz),
        at(ago(3), 0, tz) - timedelta(microseconds=1),
        at(ago(6), 0, tz),
        at(ago(7), 5, tz),
    ):
        told = await tenant.get(f"/v1/activity?as_of={stamp(asked)}&from={ago(20)}")
        late = sorted(day for day in days if answer_due(at(day, 12, tz), tz) <= asked)
        assert [one["at"][:10] for one in told["open_inbound"]] == [str(day) for day in late]
        assert told["groups"][0]["inbound"]["open_over_1_working_day"] == len(late)
        weeks = {one["monday"]: one["groups"][0]["inbound"]["came"] for one in told["weeks"] if one["groups"]}
        came = [day for day in days if at(day, 12, tz) <= asked]
        assert weeks == Counter(str(day - timedelta(days=day.weekday())) for day in came)


async def test_of_many_that_wait_the_hundred_oldest_are_read(house: House, monkeypatch: pytest.MonkeyPatch):
    tenant, made = await house.tenant(), list[Any]()
    first = at(ago(10), 9)
    some = [
        tenant.contact(f"a{n % 3}", first + timedelta(minutes=n), "email", "replied", direction="inbound")
        for n in range(130)
    ]
    await tenant.tell(*some)
    monkeypatch.setattr(store, "Inbound", lambda *row: made.append(row) or Inbound(*row))
    told = await tenant.get("/v1/activity")
    assert [one["contact_id"] for one in told["open_inbound"]] == [fact.id for fact in some[:100]]
    assert (len(made), told["groups"][0]["inbound"]["open_over_1_working_day"]) == (100, 130)
