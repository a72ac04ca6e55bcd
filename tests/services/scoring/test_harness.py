"""The house itself: what is told comes out, and time moves by hand."""

from datetime import timedelta

from tests.services.scoring.builders import TODAY
from tests.services.scoring.harness import House


async def test_facts_told_are_in_the_answers_and_time_moves_by_hand(house: House):
    tenant = await house.tenant()
    await tenant.tell(
        tenant.account("acme", name="Acme", customer_since=TODAY - timedelta(days=400), acv="100", csm_id="hana"),
        tenant.csm("hana", name="Hana", team="strategic"),
        tenant.contact("acme", TODAY - timedelta(days=1)),
        tenant.usage("p", TODAY, "acme"),
    )
    told = await tenant.get("/v1/accounts/acme")
    assert (told["name"], told["team"], told["covered"], told["active_users_28d"]) == ("Acme", "strategic", True, 1)
    assert told["fresh_to"] == "2026-06-15T03:00:00Z"
    house.clock.move(days=60)
    await house.settle()
    assert (await tenant.get("/v1/accounts/acme"))["covered"] is False
