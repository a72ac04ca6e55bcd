"""`GET /v1/accounts/{id}/contracts`: the ledger with what each change made of its contract, live and past."""

from datetime import date, timedelta

import pytest

from services.scoring.contracts.shapes import ContractsAnswer
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """Two contracts, one of them corrected and one in dollars; a change that lies ahead."""
    tenant = await house.tenant()
    await tenant.settings(fx={"USD": "150"})
    wrong = tenant.contract("acme", ago(90), "expansion", "999", contract_id="main")
    await tenant.tell(
        tenant.account("acme", at(ago(400)), name="Acme", renewal_on=date(2030, 1, 1)),
        tenant.contract("acme", ago(400), "new", "1000", contract_id="main", term_end=ago(-30)),
        wrong,
        tenant.contract("acme", ago(80), "expansion", "1600", contract_id="main", replaces=wrong.id),
        tenant.contract("acme", ago(50), "new", "2.00", contract_id="side", currency="USD", term_end=ago(-9)),
        tenant.contract("acme", ago(10), "churn", "0", contract_id="side", reason="price"),
        tenant.contract("acme", ago(-5), "contraction", "700", contract_id="main"),
    )
    return tenant


async def test_each_change_says_what_its_contract_was_worth_before(filled: TestTenant):
    told = await filled.get("/v1/accounts/acme/contracts")
    shown = [
        (one["contract_id"], one["change"], one["effective_on"], one["acv_before"], one["acv_after"], one["difference"])
        for one in told["items"]
    ]
    assert shown == [
        ("side", "churn", str(ago(10)), "300", "0", "-300"),
        ("side", "new", str(ago(50)), "0", "300", "300"),
        ("main", "expansion", str(ago(80)), "1000", "1600", "600"),
        ("main", "new", str(ago(400)), "0", "1000", "1000"),
    ]
    assert told["items"][1]["told"] == {"amount": "2.00", "currency": "USD"}
    assert (told["items"][0]["reason"], told["items"][1]["currency"]) == ("price", "JPY")
    assert (told["acv"], told["renewal_on"], told["total"]) == ("1600", str(ago(-30)), 4)
    assert [(one["contract_id"], one["acv"], one["live"], one["term_end"]) for one in told["contracts"]] == [
        ("main", "1600", True, str(ago(-30))), ("side", "0", False, str(ago(-9))),
    ]  # fmt: skip
    assert ContractsAnswer.model_validate(told).account_id == "acme"


async def test_the_sum_is_the_accounts_own_acv_then_and_now(filled: TestTenant):
    for asked in ("", f"?as_of={ago(30)}", f"?as_of={ago(100)}"):
        one, told = (
            await filled.get(f"/v1/accounts/acme{asked}"),
            await filled.get(f"/v1/accounts/acme/contracts{asked}"),
        )
        assert (told["acv"], told["renewal_on"]) == (one["acv"], one["renewal_on"])
        assert sum(int(item["difference"]) for item in told["items"]) == int(told["acv"])
    live, past = await filled.get("/v1/accounts/acme/contracts"), await filled.past("/v1/accounts/acme/contracts")
    assert (live["items"], live["contracts"]) == (past["items"], past["contracts"])


async def test_pages_follow_one_another(filled: TestTenant):
    first = await filled.get("/v1/accounts/acme/contracts?limit=3")
    rest = await filled.get(f"/v1/accounts/acme/contracts?limit=3&cursor={first['next_cursor']}")
    whole = await filled.get("/v1/accounts/acme/contracts")
    assert first["items"] + rest["items"] == whole["items"]
    assert (len(first["items"]), rest["next_cursor"]) == (3, None)


async def test_an_account_without_contracts_has_none_and_one_not_yet_named_is_unknown(house: House):
    tenant = await house.tenant()
    await tenant.tell(tenant.account("plain", at(ago(3)), acv="5"), tenant.account("old", merged_into="plain"))
    told = await tenant.get("/v1/accounts/plain/contracts")
    assert (told["acv"], told["items"], told["contracts"], told["total"]) == (None, [], [], 0)
    assert (await tenant.get("/v1/accounts/plain/contracts"))["account_id"] == "old"
    assert (await tenant.call("GET", f"/v1/accounts/plain/contracts?as_of={ago(4)}")).status_code == 404
