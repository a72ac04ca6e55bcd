"""Among many accounts every question reads what it shows, and no table: seen in the plans of the request's own role."""

from collections.abc import Iterator
from itertools import product

import pytest

from services.scoring.accounts.chosen import MOST_SORTED
from tests.plans import Plan, copied, explaining, recounted
from tests.services.scoring.accounts.test_list_answers import book
from tests.services.scoring.harness import House, TestTenant

COPIES = 700  # of 40 accounts
PAGE = 51
ORDERS = ("", "health", "-health", "acv", "-acv", "renewal_on", "-renewal_on")
FILTERS = (
    "", "tier=high", "tier=low&tier=tech", "rank=B", "tenure=a", "band=unknown", "csm=c1", "csm=nobody",
    "team=strategic", "status=active", "status=churned", "priority=High",
)  # fmt: skip
OTHERS = (
    "/v1/coverage/worklist", "/v1/coverage/worklist?within_days=0", "/v1/summary", "/v1/coverage?by=tenant",
    "/v1/coverage?by=tier", "/v1/coverage?by=csm", "/v1/coverage?by=team", "/v1/coverage?by=rank", "/v1/matrix",
    "/v1/contact-rate", "/v1/tiers", "/v1/load", "/v1/activity", "/v1/ingest/unassigned", "/v1/nps",
    "/v1/accounts/a01", "/v1/accounts/a01/health", "/v1/accounts/a01/timeline", "/v1/accounts/a01/usage",
    "/v1/accounts/a01/people", "/v1/accounts/a01/talking-points", "/v1/accounts?q=a01-69",
    "/v1/accounts?q=a01-69&sort=name", "/v1/contacts/planned", "/v1/keep-list?csm=c1",
)  # fmt: skip
_MANY = {
    "account": "x.account + n * 100000", "account_id": "x.account_id || '-' || n",
    "id_folded": "x.id_folded || '-' || n", "name_folded": "x.name_folded || '-' || n", "digest": "gen_random_uuid()",
    "call_order": "x.call_order || '-' || n", "score": "x.score - n * 0.0001", "acv": "x.acv + n % 50",
    "acv_order": "CASE WHEN x.acv IS NULL THEN x.acv_order ELSE x.acv_order - n % 50 END",
    "id": "x.id || '-' || n", "sent_id": "x.sent_id || '-' || n",
}  # fmt: skip


def asked() -> Iterator[str]:
    for order, some in product(ORDERS, FILTERS):
        yield "/v1/accounts?" + "&".join(part for part in (f"sort={order}" * bool(order), some) if part)


@pytest.fixture(scope="module")
async def crowd(house: House) -> TestTenant:
    """28,000 accounts in a table that holds another tenant's too."""
    tenant, other = await house.tenant(), await house.tenant()
    await book(tenant)
    await book(other)
    for one, copies in ((tenant, COPIES), (other, 100)):
        for table in ("scoring.account_key", "scoring_state.account_state", "scoring_state.contact"):
            await copied(house.owner, table, one.number, copies, **_MANY)
        await recounted(house.owner, one.number)
    await house.owner.execute("VACUUM ANALYZE")
    return tenant


def large(plans: list[Plan]) -> set[str]:
    """Tables that grow with the tenant and were read whole."""
    read = {name for plan in plans for name in plan.scanned()}
    return {name for name in read if name in ("account_state", "contact", "account_key") or name.startswith("usage_20")}


@pytest.mark.parametrize("path", [*asked()])
async def test_a_list_in_a_main_order_with_one_filter_reads_a_page_wherever_it_stands(crowd: TestTenant, path: str):
    cursor = ""
    for _ in range(2):
        with explaining() as plans:
            told = await crowd.get(f"{path}&cursor={cursor}")
        assert large(plans) == set()
        assert [plan.sql for plan in plans if plan.removed() > PAGE] == []
        assert max(plan.read() for plan in plans) <= 40 * PAGE
        cursor = told["next_cursor"]
        if cursor is None:
            break


@pytest.mark.parametrize("path", OTHERS)
async def test_no_other_question_reads_a_table(crowd: TestTenant, path: str):
    with explaining() as plans:
        await crowd.get(path)
    assert plans
    assert large(plans) == set()


async def test_the_worklist_removes_nothing_that_it_read(crowd: TestTenant):
    first = await crowd.get("/v1/coverage/worklist")
    with explaining() as plans:
        await crowd.get(f"/v1/coverage/worklist?cursor={first['next_cursor']}")
    assert [plan.sql for plan in plans if plan.removed() > PAGE] == []


@pytest.mark.parametrize("path", ["sort=name", "sort=-change_28d&status=active&status=onboarding", "q=a"])
async def test_another_order_of_more_than_twenty_thousand_is_refused(crowd: TestTenant, path: str):
    with explaining() as plans:
        answer = await crowd.call("GET", f"/v1/accounts?{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_to_sort")
    assert max(plan.read() for plan in plans) <= MOST_SORTED + 1


async def test_another_order_of_fewer_is_sorted(crowd: TestTenant):
    told = await crowd.get("/v1/accounts?sort=-change_28d&csm=c1")
    changes = [item["change_28d"] for item in told["items"] if item["change_28d"] is not None]
    assert changes == sorted(changes, reverse=True)
    assert {item["csm_id"] for item in told["items"]} == {"c1"}
