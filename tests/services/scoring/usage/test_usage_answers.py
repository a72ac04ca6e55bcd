"""`GET /v1/usage`, what waits for its account, and what was sent again with another body."""

from datetime import timedelta

import msgspec
import pytest

from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant


def ago(days: int):
    return TODAY - timedelta(days=days)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """ana works for two accounts; nobody knows where zoe belongs."""
    tenant = await house.tenant()
    await tenant.tell(
        tenant.usage("ana", TODAY, "a", event="open", times=3),
        tenant.usage("ana", ago(6), "b", event="report"),
        tenant.usage("ben", ago(27), "a", event="report"),
        tenant.usage("ben", ago(28), "a", event="open", times=5),
        tenant.usage("zoe", TODAY, times=7),
        tenant.usage("cid", ago(400), "c"),
        tenant.account("quiet", at(ago(3))),
    )
    return tenant


def figures(told: dict) -> tuple[int, int, int]:
    return told["events"], told["active_users"], told["active_accounts"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (5, 2, 2)),
        ("days=28", (5, 2, 2)),
        ("days=29", (10, 2, 2)),
        ("days=1", (3, 1, 1)),
        ("days=7", (4, 1, 2)),
        ("days=36500", (11, 3, 3)),
        ("account_id=a", (4, 2, 1)),
        ("account_id=a&account_id=b", (5, 2, 2)),
        ("account_id=nobody", (0, 0, 0)),
        ("event=report", (2, 2, 2)),
        ("event=report&event=open&account_id=b", (1, 1, 1)),
        ("event=never", (0, 0, 0)),
    ],
)
async def test_a_window_ends_with_the_day_and_counts_each_person_once(
    filled: TestTenant, query: str, expected: tuple[int, int, int]
):
    assert figures(await filled.get(f"/v1/usage?{query}")) == expected


async def test_a_past_window_says_that_it_was_computed(filled: TestTenant):
    told = await filled.get(f"/v1/usage?days=2&as_of={ago(27)}")
    assert (figures(told), told["computed"], "fresh_to" in told) == ((6, 1, 1), "scan", False)


@pytest.mark.parametrize("days", ["0", "36501", "-1", "x", "1.5"])
async def test_a_window_out_of_range_is_refused(filled: TestTenant, days: str):
    answer = await filled.call("GET", f"/v1/usage?days={days}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/days")


async def test_one_account_has_its_own_window_and_an_unknown_one_none(filled: TestTenant):
    assert figures(await filled.get("/v1/accounts/a/usage?days=29")) == (9, 2, 1)
    assert figures(await filled.get("/v1/accounts/quiet/usage")) == (0, 0, 0)
    assert (await filled.call("GET", "/v1/accounts/nobody/usage")).status_code == 404
    assert (await filled.call("GET", f"/v1/accounts/quiet/usage?as_of={ago(4)}")).status_code == 404


async def test_usage_waits_uncounted_until_its_account_is_known(house: House):
    tenant = await house.tenant()
    await tenant.tell(tenant.usage("zoe", ago(1), times=7), tenant.usage("yan", ago(1), times=2))
    assert (await tenant.get("/v1/ingest/unassigned"))["count"] == 9
    assert figures(await tenant.get("/v1/usage")) == (0, 0, 0)
    await tenant.tell(tenant.person("zoe", "acme"))
    assert (await tenant.get("/v1/ingest/unassigned"))["count"] == 2
    assert figures(await tenant.get("/v1/usage")) == (7, 1, 1)


async def test_an_id_sent_again_with_another_body_is_listed_newest_first(house: House):
    tenant = await house.tenant()
    first = [msgspec.structs.replace(tenant.account("a", name=f"n{i}"), hash=1) for i in range(3)]
    await tenant.tell(*first)
    await tenant.tell(*first)
    assert (await tenant.get("/v1/ingest/conflicts"))["total"] == 0
    for fact in first:
        await tenant.tell(msgspec.structs.replace(fact, name="other", hash=2))
    page = await tenant.get("/v1/ingest/conflicts?limit=2")
    rest = await tenant.get(f"/v1/ingest/conflicts?limit=2&cursor={page['next_cursor']}")
    listed = page["items"] + rest["items"]
    assert [one["id"] for one in listed] == [fact.id for fact in reversed(first)]
    assert (page["total"], rest["next_cursor"]) == (3, None)
    assert {(one["type"], one["code"]) for one in listed} == {("account", "same_id_other_body")}
    assert '"other"' in listed[0]["payload"]
    assert set(listed[0]) == {"at", "route", "index", "type", "id", "code", "message", "payload"}
    house.clock.move(days=8)
    assert (await tenant.get("/v1/ingest/conflicts"))["items"] == []
    house.clock.move(days=-8)
