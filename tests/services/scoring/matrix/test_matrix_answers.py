"""`GET /v1/matrix`, end to end: sixteen cells, live and as recomputed."""

from datetime import date, timedelta
from statistics import fmean

import pytest

from shared.facts import AnyFact
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

LONG_AGO = TODAY - timedelta(days=700)


async def book(tenant: TestTenant) -> None:
    """Aa, two Bd, Dc, unranked, without start, starting tomorrow, churned."""
    told: list[AnyFact] = []
    for name, start, users, acv in (
        ("young-a", date(2026, 3, 1), 21, "100"),
        ("old-b", LONG_AGO, 11, "30"),
        ("old-b2", LONG_AGO, 20, None),
        ("late-d", date(2025, 10, 15), 1, "7"),
        ("unranked", LONG_AGO, 0, "5"),
        ("never-started", None, 0, "3"),
        ("tomorrow", TODAY + timedelta(days=1), 6, "2"),
        ("gone", LONG_AGO, 30, "1000"),
    ):
        fields = {"customer_since": start, **({"acv": acv} if acv else {})}
        told.append(tenant.account(name, at(LONG_AGO), **{key: value for key, value in fields.items() if value}))
        told += [tenant.usage(f"{name}-{n}", TODAY - timedelta(days=n % 40), name) for n in range(users)]
    told += [tenant.contact("old-b", TODAY), tenant.account("gone", at(TODAY), status="churned")]
    await tenant.tell(*told)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    tenant = await house.tenant()
    await book(tenant)
    return tenant


async def test_all_sixteen_cells_stand_in_their_order_with_their_priority(filled: TestTenant):
    told = await filled.get("/v1/matrix")
    assert [cell["rank"] + cell["tenure"] for cell in told["cells"]] == [r + t for r in "ABCD" for t in "abcd"]
    assert "".join(cell["priority"][0] for cell in told["cells"]) == "HHHHHHMMMMLLLLLL"


async def test_accounts_stand_in_their_cells_and_add_up_to_those_not_churned(filled: TestTenant):
    told = await filled.get("/v1/matrix")
    held = {cell["rank"] + cell["tenure"]: cell for cell in told["cells"] if cell["accounts"]}
    assert {name: cell["accounts"] for name, cell in held.items()} == {"Aa": 1, "Bd": 2, "Dc": 1}
    # unranked has started without a user; never-started and tomorrow have no start by today
    assert (told["unranked"], told["without_start"], told["currency"]) == (1, 2, "JPY")
    assert (held["Aa"]["acv"], held["Bd"]["acv"], held["Bd"]["coverage"]) == ("100", "30", 0.5)


async def test_mean_health_is_the_plain_mean_of_the_scores_that_there_are(filled: TestTenant):
    cells = {cell["rank"] + cell["tenure"]: cell for cell in (await filled.get("/v1/matrix"))["cells"]}
    accounts = {item["account_id"]: item for item in (await filled.get("/v1/accounts"))["items"]}
    scores = [accounts[name]["health"] for name in ("old-b", "old-b2")]
    assert cells["Bd"]["n_scored"] == 2
    assert cells["Bd"]["mean_health"] == pytest.approx(fmean(scores), abs=1e-9)
    empty = cells["Ca"]
    assert empty == {
        "rank": "C", "tenure": "a", "accounts": 0, "acv": "0", "mean_health": None, "n_scored": 0, "coverage": None,
        "priority": "Middle",
    }  # fmt: skip


async def test_other_cuts_move_accounts_to_other_cells(house: House):
    tenant = await house.tenant()
    await book(tenant)
    await tenant.settings(rank={"by": "acv", "cuts": {"A": 100, "B": 30, "C": 7, "D": 5}}, priorities={"Aa": "Low"})
    held = {cell["rank"] + cell["tenure"]: cell for cell in (await tenant.get("/v1/matrix"))["cells"]}
    assert [name for name, cell in held.items() if cell["accounts"]] == ["Aa", "Bd", "Cc", "Dd"]
    assert held["Aa"]["priority"] == "Low"


async def test_as_of_a_day_before_anything_all_cells_are_empty(filled: TestTenant):
    told = await filled.get("/v1/matrix?as_of=2020-01-01")
    assert (sum(cell["accounts"] for cell in told["cells"]), told["unranked"], told["without_start"]) == (0, 0, 0)


# Last: it moves the clock.
async def test_live_cells_are_those_recomputed_bit_for_bit_today_and_after_days_without_a_fact(
    house: House, filled: TestTenant
):
    for days in (0, 1, 17, 60):
        house.clock.move(days=days)
        await house.settle()
        live, past = await filled.get("/v1/matrix"), await filled.past("/v1/matrix")
        assert {**live, "as_of": 0, "fresh_to": 0, "computed": 0} == {**past, "as_of": 0, "fresh_to": 0, "computed": 0}
