"""`/health/history`: what was shown at each midnight and at each change of band; recomputed it is the as-of answers."""

from datetime import date, timedelta
from typing import Any

import pytest

from shared.clock import day_of, end_of_day, start_of_day, zone
from tests.services.scoring.builders import TODAY, TOKYO, at
from tests.services.scoring.harness import House, TestTenant, stamp

HEALTH = "/v1/accounts/a/health"
HISTORY = f"{HEALTH}/history"


def ago(days: int):
    return TODAY - timedelta(days=days)


def ahead(days: int):
    return TODAY + timedelta(days=days)


@pytest.fixture(autouse=True)
def noon(house: House) -> None:
    """Every test begins on the same day."""
    house.clock.set(at(TODAY))


async def used(house: House) -> TestTenant:
    """a is used daily until today, and was talked to."""
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("a", at(ago(100)), customer_since=ago(100), acv="100"),
        *(tenant.usage("ana", ago(day), "a") for day in range(90)),
        tenant.contact("a", ago(3)),
    )
    return tenant


async def to_midnight(tenant: TestTenant, day: date) -> None:
    """The first minute of a day."""
    tenant.house.clock.set(start_of_day(day, zone(tenant.time_zone)) + timedelta(minutes=1))
    await tenant.house.settle()


async def items(tenant: TestTenant, query: str = "") -> list[dict[str, Any]]:
    return (await tenant.get(f"{HISTORY}?from={ago(10)}{query}"))["items"]


def point(health: dict[str, Any]) -> dict[str, Any]:
    """What a point says of a health answer."""
    return {name: health[name] for name in ("score", "band", "effective_band", "confidence", "model")}


async def test_each_midnight_keeps_what_the_day_showed_at_its_end(house: House):
    tenant = await used(house)
    assert await items(tenant) == []
    for day in (1, 2, 3):
        await to_midnight(tenant, ahead(day))
    found = await items(tenant)
    assert [(one["day"], one["at"], one["reason"], one["basis"]) for one in found] == [
        (str(ahead(day)), stamp(end_of_day(ahead(day), TOKYO)), "day", "snapshot") for day in (0, 1, 2)
    ]
    for one in found:
        assert point(one) == point(await tenant.get(f"{HEALTH}?as_of={one['at']}"))
    assert len({one["score"] for one in found}) > 1  # with no fact at all, days pass


async def test_a_snapshot_stays_what_was_shown_when_late_facts_come(house: House):
    tenant = await used(house)
    await to_midnight(tenant, ahead(1))
    (shown,) = await items(tenant)
    await tenant.tell(tenant.response(0, ago(1), "a", "ana"))
    assert await items(tenant) == [shown]
    again = await items(tenant, f"&to={TODAY}&recompute=true")
    assert again[-1]["score"] < shown["score"]


async def test_a_day_at_whose_end_genki_was_down_has_none(house: House):
    tenant = await used(house)
    await to_midnight(tenant, ahead(1))
    await to_midnight(tenant, ahead(4))
    await to_midnight(tenant, ahead(5))
    assert [one["day"] for one in await items(tenant) if one["reason"] == "day"] == [str(TODAY), str(ahead(4))]


async def test_a_change_of_band_is_kept_when_it_happens(house: House):
    tenant = await used(house)
    house.clock.move(minutes=10)
    await tenant.tell(tenant.response(0, house.clock.now(), "a", "ana"), tenant.account("a", seats=100))
    (fell,) = await items(tenant)
    health = await tenant.get(HEALTH)
    assert (fell["reason"], fell["day"], fell["at"]) == ("band", str(TODAY), stamp(house.clock.now()))
    assert point(fell) == point(health)
    house.clock.move(minutes=10)
    await tenant.tell(tenant.contact("a", house.clock.now()))
    assert await items(tenant) == [fell]  # another fact, the same band


async def test_a_manual_band_is_a_change_and_its_end_another(house: House):
    tenant = await used(house)
    house.clock.move(minutes=10)
    began, over = house.clock.now(), house.clock.now() + timedelta(hours=1)
    wish = {"band": "red", "reason": "sponsor left", "expires_at": stamp(over)}
    await tenant.call("POST", f"{HEALTH}/override", wish)
    await house.settle()
    house.clock.set(over)
    await house.settle()
    found = await items(tenant)
    band = found[0]["band"]
    assert [(one["at"], one["band"], one["effective_band"]) for one in found] == [
        (stamp(began), band, "red"),
        (stamp(over), band, band),
    ]
    assert band != "red"


async def test_churn_is_a_change_and_a_churned_day_has_no_snapshot(house: House):
    tenant = await used(house)
    house.clock.move(minutes=10)
    await tenant.tell(tenant.account("a", status="churned"))
    await to_midnight(tenant, ahead(1))
    await to_midnight(tenant, ahead(2))
    found = await items(tenant)
    assert [(one["reason"], one["score"], one["band"], one["effective_band"]) for one in found] == [
        ("band", None, "unknown", "unknown")
    ]


@pytest.mark.parametrize("zone_name", ["Asia/Tokyo", "America/New_York"])
async def test_every_recomputed_point_is_the_answer_as_of_that_day(house: House, zone_name: str):
    tenant = await house.tenant(zone_name)
    start = ago(24)
    await tenant.tell(
        tenant.account("a", at(start), customer_since=start, acv="100"),
        *(tenant.usage("ana", ago(day), "a") for day in (22, 21, 15, 9, 2)),
        tenant.contact("a", ago(18)),
        tenant.account("b", at(ago(16)), acv="900"),
        tenant.contract("c", ago(11), "new", "50"),
        tenant.contract("a", ago(7), "new", "9000"),
        tenant.account("b", at(ago(5)), status="churned"),
        tenant.account("a", at(ago(1)), status="churned"),
    )
    told = await tenant.get(f"{HISTORY}?from={ago(27)}&recompute=true")
    first, last = day_of(at(start), zone(zone_name)), day_of(house.clock.now(), zone(zone_name))
    days = [str(first + timedelta(days=number)) for number in range((last - first).days + 1)]
    assert [one["day"] for one in told["items"]] == days
    for one in told["items"]:
        answer = await tenant.get(f"{HEALTH}?as_of={one['day']}")
        assert point(one) == point(answer), one["day"]
        assert (one["at"], one["reason"], one["basis"]) == (answer["as_of"], "day", "recomputed")
    assert told["items"][-1]["score"] is None


async def test_a_past_question_sees_what_was_kept_by_then(house: House):
    tenant = await used(house)
    for day in (1, 2):
        await to_midnight(tenant, ahead(day))
    whole = await items(tenant)
    assert await items(tenant, f"&as_of={TODAY}") == whole[:1]
    assert await items(tenant, f"&as_of={stamp(at(TODAY))}") == []
    past = await tenant.get(f"{HISTORY}?from={ago(5)}&recompute=true&as_of={stamp(at(TODAY, 3))}")
    assert past["items"][-1]["at"] == stamp(at(TODAY, 3))


async def test_a_joined_id_has_the_history_of_the_account_it_is(house: House):
    tenant = await used(house)
    await tenant.tell(tenant.account("z", at(ago(1)), merged_into="a"))
    await to_midnight(tenant, ahead(1))
    joined = await tenant.get(f"/v1/accounts/z/health/history?from={ago(3)}")
    assert joined["items"] == (await tenant.get(f"{HISTORY}?from={ago(3)}"))["items"]
    assert len(joined["items"]) == 1
    again = await tenant.get(f"/v1/accounts/z/health/history?from={ago(3)}&recompute=true")
    assert again["items"] == (await tenant.get(f"{HISTORY}?from={ago(3)}&recompute=true"))["items"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2026-06-16", "out_of_range"),
        ("to=2026-06-16", "in_future"),
        ("from=2025-05-11", "too_many_days"),
        ("from=soon", "not_a_day"),
    ],
)
async def test_an_unusable_period_is_refused(house: House, query: str, code: str):
    tenant = await house.tenant()
    await tenant.tell(tenant.account("a", at(ago(1))))
    answer = await tenant.call("GET", f"{HISTORY}?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)


async def test_unknown_foreign_and_later_ids_are_not_found(house: House):
    tenant, other = await house.tenant(), await house.tenant()
    await other.tell(other.account("theirs"), tenant.account("young", at(ago(1))))
    for path in ("nobody/health/history", "theirs/health/history", f"young/health/history?as_of={ago(2)}"):
        assert (await tenant.call("GET", f"/v1/accounts/{path}")).status_code == 404, path
