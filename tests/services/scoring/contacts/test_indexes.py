"""Among many contacts, what is asked by time reaches its index under row security."""

from typing import Any

from services.scoring.activity import store as activity
from services.scoring.contacts import store as contacts
from services.scoring.joins.sql import joined
from tests.plans import copied
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House

_MANY = """
INSERT INTO scoring_state.contact (tenant, account, at, id, sent_id, channel, outcome, person_ids, recorded_at)
SELECT $1, n % 500, timestamptz '2020-01-01' + n * interval '1 hour', 'm' || n, 'm' || n, 'phone',
  CASE WHEN n % 200 = 0 THEN 'planned' ELSE 'reached' END, '{}', now() FROM generate_series(1, 40000) n
"""


async def plan(house: House, tenant: int, sql: str, args: list[Any]) -> str:
    told = joined(sql, accounts=False, persons=False)
    async with house.database.app.acquire() as conn, conn.transaction():
        await conn.execute(f"SET LOCAL app.tenants = '{tenant}'")
        return "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {told}", *args))


async def test_plans_and_a_week_of_activity_read_no_other_contacts(house: House):
    tenant = await house.tenant()
    await tenant.tell(tenant.account("a"))
    await house.owner.execute(_MANY, tenant.number)
    many = {"account": "100000 + n", "account_id": "'b' || n"}
    await copied(house.owner, "scoring_state.account_state", tenant.number, 20_000, **many)
    await house.owner.execute("ANALYZE scoring_state.contact, scoring_state.account_state")
    sql = contacts._PAGE.replace("{then}", "").replace("{shown}", contacts._NOW)
    told = await plan(house, tenant.number, sql, [tenant.number, at(TODAY), ["open"], None, *contacts.FIRST, 50])
    assert "contact_tenant_at_idx1" in told, told
    week = [tenant.number, at(TODAY), at(TODAY), at(TODAY), [], []]
    done = activity._DONE.replace("{by}", "x.csm_id")
    told = await plan(house, tenant.number, done, [*week, ["reached"], ["reached"], "Asia/Tokyo"])
    assert "contact_tenant_at_idx" in told, told
    came = activity._ANSWERED.replace("{by}", "x.csm_id").replace("{same}", "o.account = x.account")
    told = await plan(house, tenant.number, came, [*week, ["email"], ["reached"], ["phone"], "Asia/Tokyo", TODAY])
    assert "contact_tenant_at_idx" in told, told
    assert "Seq Scan on contact" not in told
