"""What assessments say on the stream: facts in, events out, in the transaction of the figures themselves."""

import json
from datetime import timedelta
from typing import Any

from services.scoring.stream import store
from shared.postgres import tenant_transaction
from tests.services.scoring.builders import TODAY
from tests.services.scoring.harness import House, TestTenant


async def told(tenant: TestTenant, after: int = 0) -> list[tuple[str, dict[str, Any]]]:
    async with tenant_transaction(tenant.house.database.app, tenant.number) as conn:
        return [(one.kind, json.loads(one.body)) for one in await store.page(conn, tenant.number, after)]


async def head(tenant: TestTenant) -> int:
    async with tenant_transaction(tenant.house.database.app, tenant.number) as conn:
        return (await store.span(conn, tenant.number)).head


async def test_events_say_what_the_answers_say(house: House) -> None:
    tenant = await house.tenant()
    used = [tenant.usage("p", TODAY - timedelta(days=days), "acme") for days in range(1, 40, 2)]
    await tenant.tell(tenant.account("acme", customer_since=TODAY - timedelta(days=90), csm_id="csm-1"), *used)
    health = await tenant.get("/v1/accounts/acme/health")
    found = dict(await told(tenant))
    assert (found["health"]["score"], found["health"]["band"]) == (health["score"], health["band"])
    assert found["coverage"]["covered"] is False
    seen = await head(tenant)
    await tenant.tell(tenant.contact("acme", TODAY))
    after = dict(await told(tenant, seen))
    assert after["coverage"] == {"account_id": "acme", "covered": True, "at": after["coverage"]["at"]}
    assert after["health"]["was_score"] == health["score"]
    assert after["health"]["score"] == (await tenant.get("/v1/accounts/acme/health"))["score"]


async def test_a_fact_that_moves_nothing_is_not_told(house: House) -> None:
    tenant = await house.tenant()
    await tenant.tell(tenant.account("acme"), tenant.usage("p", TODAY, "acme"))
    seen = await head(tenant)
    await tenant.tell(tenant.account("acme", name="New name"), tenant.usage("p", TODAY, "acme"))
    assert await told(tenant, seen) == []


async def test_time_alone_tells_that_coverage_fell_out_on_the_right_day(house: House) -> None:
    tenant = await house.tenant()
    now = house.clock.now()
    since = {"customer_since": TODAY - timedelta(days=400), "acv": "100"}
    await tenant.tell(tenant.account("acme", **since), tenant.contact("acme", TODAY))
    seen, due = await head(tenant), (await tenant.get("/v1/accounts/acme"))["due_at"]
    fell: list[dict[str, Any]] = []
    while not fell:
        house.clock.move(days=1)
        await house.settle()
        fell = [body for kind, body in await told(tenant, seen) if kind == "coverage"]
    assert [one["covered"] for one in fell] == [False]
    assert fell[0]["at"][:10] == house.clock.now().date().isoformat()
    assert due[:16] <= fell[0]["at"][:16]
    house.clock.set(now)
