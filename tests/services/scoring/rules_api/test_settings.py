"""`/v1/settings`: a document that changes as a whole or not at all, and that every figure follows."""

from datetime import timedelta

import pytest

from shared.tenant_settings import TenantSettings
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House

START = TODAY - timedelta(days=300)


async def test_a_new_tenant_has_the_defaults_with_its_own_zone_and_currency(house: House):
    tenant = await house.tenant("Europe/Berlin", "EUR")
    answer = await tenant.call("GET", "/v1/settings", role="viewer")
    assert answer.json() == TenantSettings(time_zone="Europe/Berlin", currency="EUR").document()
    assert answer.headers["etag"] == '"0"'


async def test_a_change_replaces_whole_sections_and_keeps_the_others(house: House):
    tenant = await house.tenant()
    told = await tenant.settings(tiers={"high_percent": 20}, silent_churn={"silent_days": 90})
    assert told["tiers"] == {
        "high_percent": 20, "low_percent": 30, "period": "P6M", "load": {"high": [5, 10], "low": [20, 30]}
    }  # fmt: skip
    told = await tenant.settings(tiers={})
    assert (told["tiers"]["high_percent"], told["silent_churn"]["silent_days"]) == (10, 90)
    assert await tenant.get("/v1/settings") == told


async def test_every_version_is_kept_with_its_author_and_no_change_makes_none(house: House):
    tenant = await house.tenant()
    await tenant.settings(tiers={"high_percent": 20})
    await tenant.settings(tiers={"high_percent": 20})
    await tenant.settings(tiers={"high_percent": 25})
    rows = await house.owner.fetch(
        "SELECT version, document->'tiers'->>'high_percent' AS percent, author FROM scoring.settings"
        " WHERE tenant = $1 ORDER BY version",
        tenant.number,
    )
    key = await house.owner.fetchval("SELECT key_id FROM access.key WHERE tenant = $1", tenant.number)
    assert [tuple(row) for row in rows] == [(1, "20", key), (2, "25", key)]


async def test_one_wrong_part_refuses_the_whole_and_every_fault_has_its_pointer(house: House):
    tenant = await house.tenant()
    wrong = {
        "silent_churn": {"silent_days": 90},
        "coverage": {"high": {"window": "1 month", "target": 1.5}},
        "moon": 1,
    }
    answer = await tenant.call("PUT", "/v1/settings", wrong)
    assert answer.status_code == 422
    pointers = {one["pointer"] for one in answer.json()["errors"]}
    assert pointers == {"/coverage/high/window", "/coverage/high/target", "/moon"}
    assert (await tenant.get("/v1/settings"))["silent_churn"]["silent_days"] == 180


@pytest.mark.parametrize("body", [[], "text", None, 7])
async def test_what_is_no_object_is_refused(house: House, body: object):
    tenant = await house.tenant()
    assert (await tenant.call("PUT", "/v1/settings", body)).status_code == 422


async def test_a_nul_in_a_name_is_refused_before_the_database_sees_it(house: House):
    tenant = await house.tenant()
    answer = await tenant.call("PUT", "/v1/settings", {"value_features": [{"feature": "a\0"}]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/value_features/0/feature"


@pytest.mark.parametrize("change", [{"time_zone": "UTC"}, {"currency": "USD"}])
async def test_zone_and_currency_are_fixed_when_the_tenant_is_made(house: House, change: dict[str, str]):
    tenant = await house.tenant()
    answer = await tenant.call("PUT", "/v1/settings", {**change, "silent_churn": {"silent_days": 90}})
    assert (answer.status_code, answer.json()["code"]) == (409, "fixed_at_creation")
    assert answer.json()["errors"][0]["pointer"] == f"/{next(iter(change))}"
    assert await tenant.settings(time_zone="Asia/Tokyo", currency="JPY") == await tenant.get("/v1/settings")


@pytest.mark.parametrize(("role", "status"), [("manager", 200), ("csm", 403), ("viewer", 403)])
async def test_managers_change_settings_and_others_only_read_them(house: House, role: str, status: int):
    tenant = await house.tenant()
    assert (await tenant.call("PUT", "/v1/settings", {"tiers": {}}, role=role)).status_code == status
    assert (await tenant.call("GET", "/v1/settings", role=role)).status_code == 200


async def test_the_doors_learn_the_foreign_currencies_with_the_key(house: House):
    tenant = await house.tenant()
    await tenant.settings(fx={"USD": "150.25", "EUR": "160"})
    key = await house.owner.fetchval("SELECT key_id FROM access.key WHERE tenant = $1", tenant.number)
    async with house.database.app.acquire() as conn:
        row = await conn.fetchrow("SELECT * FROM access.find_key($1)", key)
    assert row is not None
    assert set(row["fx"]) == {"USD", "EUR"}


async def test_a_change_reaches_every_account(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("acme", at(START), customer_since=START, acv="10"),
        tenant.contact("acme", TODAY - timedelta(days=40)),
    )
    assert (await tenant.get("/v1/coverage"))["overall"]["covered"] == 0
    await tenant.settings(coverage={"high": {"window": "P41D", "target": 0.8}})
    assert (await tenant.get("/v1/coverage"))["overall"]["covered"] == 1
    assert (await tenant.get("/v1/accounts/acme"))["covered"] is True


async def test_two_changes_at_once_lose_neither(house: House):
    import asyncio

    tenant = await house.tenant()
    await tenant.client()
    changes: dict[str, object] = {
        "tiers": {"high_percent": 20},
        "silent_churn": {"silent_days": 90},
        "tenure": {"a": 0, "b": 1, "c": 2, "d": 3},
    }
    await asyncio.gather(*(tenant.call("PUT", "/v1/settings", {name: value}) for name, value in changes.items()))
    told = await tenant.get("/v1/settings")
    assert (told["tiers"]["high_percent"], told["silent_churn"]["silent_days"], told["tenure"]["d"]) == (20, 90, 3)


async def test_another_tenant_sees_nothing_of_it(house: House):
    first, second = await house.tenant(), await house.tenant()
    await first.settings(tiers={"high_percent": 20})
    assert (await second.get("/v1/settings"))["tiers"]["high_percent"] == 10
