"""The live totals stay those of the accounts, whoever else is judged in the same transaction."""

from datetime import timedelta

from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.dump import dump, recount
from tests.services.scoring.harness import House, TestTenant

START = TODAY - timedelta(days=100)


async def counted(house: House, tenant: TestTenant) -> dict[tuple[str, str, str], tuple[int, ...]]:
    rows = (await dump(house.owner, tenant.number))["counter"]
    return {row[:3]: row[3:] for row in rows}


async def test_two_tenants_judged_in_one_round_each_keep_their_own_totals(house: House):
    tenants = [await house.tenant() for _ in range(3)]
    told = [
        fact
        for tenant in tenants
        for n in range(20)
        for fact in (
            tenant.account(f"a{n}", at(START), customer_since=START, acv="5"),
            tenant.usage(f"u{n}", TODAY - timedelta(days=n), f"a{n}"),
        )
    ]
    await house.publish(told)
    await house.settle()
    house.clock.move(days=30)  # every account of all three is judged again
    await house.settle()
    for tenant in tenants:
        assert await counted(house, tenant) == await recount(house.owner, tenant.number)


async def test_accounts_that_become_one_leave_the_totals_as_they_are_judged_again(house: House):
    tenant = await house.tenant()
    await tenant.tell(*(tenant.account(f"a{n}", at(START), customer_since=START, acv="5") for n in range(24)))
    await tenant.tell(*(tenant.account(f"a{n}", merged_into=f"a{n - n % 3}") for n in range(24) if n % 3))
    totals = await counted(house, tenant)
    assert totals == await recount(house.owner, tenant.number)
    assert sum(counts[0] for (dim, *_), counts in totals.items() if dim == "tenant") == 8
