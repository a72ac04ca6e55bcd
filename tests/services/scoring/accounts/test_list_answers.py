"""`GET /v1/accounts`: filters, orders, pages and the sheet, live and recomputed."""

import csv
import io
from base64 import urlsafe_b64decode
from datetime import timedelta
from itertools import product
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from services.scoring.accounts.asked import COLUMNS
from services.scoring.matrix.rules import BANDS, PRIORITIES
from shared.facts import AnyFact
from shared.http import encode_cursor
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant

LONG_AGO = TODAY - timedelta(days=500)
NAMES = ("Acme", "ＡＣＭＥ East", "株式会社山田", "Zebra", None, "=1+1", "@sum", "acme", "-5", '"a",b')


async def book(tenant: TestTenant) -> None:
    """40 accounts of all kinds; every eighth churned, every fifth never told its money, four CSMs of two teams."""
    told: list[AnyFact] = [
        tenant.csm(f"c{n}", at(LONG_AGO), name=f"CSM {n}", team=("strategic", "adoption")[n % 2]) for n in range(4)
    ]
    for n in range(40):
        fields: dict[str, Any] = {"name": NAMES[n % 10], "customer_since": TODAY - timedelta(days=20 * n)}
        fields |= {"acv": str(100 * (n % 7) + 1)} if n % 5 else {}
        fields |= {"csm_id": f"c{n % 4}"} if n % 3 else {}
        fields |= {"renewal_on": TODAY + timedelta(days=n)} if n % 4 == 1 else {}
        fields |= {"status": "onboarding"} if n % 6 == 0 else {}
        told.append(tenant.account(f"a{n:02d}", at(LONG_AGO), **fields))
        told += [tenant.usage(f"u{n}-{p}", TODAY - timedelta(days=(n * p) % 60), f"a{n:02d}") for p in range(n % 25)]
        told += [tenant.contact(f"a{n:02d}", TODAY - timedelta(days=n))] if n % 2 else []
        told += [tenant.account(f"a{n:02d}", at(TODAY - timedelta(days=2)), status="churned")] if n % 8 == 7 else []
    await tenant.tell(*told)


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    tenant = await house.tenant()
    await book(tenant)
    return tenant


def ids(answer: Any) -> list[str]:
    return [item["account_id"] for item in answer["items"]]


async def walk(tenant: TestTenant, asked: str, size: int = 7) -> list[Any]:
    found, cursor = [], ""
    while cursor is not None:
        page = await tenant.get(f"/v1/accounts?{asked}&limit={size}&cursor={cursor}")
        found, cursor = found + page["items"], page["next_cursor"]
    return found


def value(item: Any, column: str) -> Any:
    """What an item sorts by."""
    found = item[column]
    if column in ("band", "effective_band"):
        return BANDS.index(found)
    if column == "priority":
        return None if found is None else PRIORITIES.index(found)
    if column == "acv":
        return None if found is None else int(found)
    return len(found) if column == "needs_action" else found


def in_order(items: list[Any], column: str, descending: bool) -> list[str]:
    by_id = sorted(items, key=lambda item: item["account_id"])
    told = [item for item in by_id if value(item, column) is not None]
    told.sort(key=lambda item: value(item, column), reverse=descending)
    return [item["account_id"] for item in told + [item for item in by_id if value(item, column) is None]]


async def test_any_column_sorts_both_ways_with_nulls_last_and_ties_by_id(filled: TestTenant):
    whole = (await filled.get("/v1/accounts?limit=500"))["items"]
    assert len(whole) == 35
    assert set(COLUMNS) == set(whole[0])
    for column, descending in product(COLUMNS, (False, True)):
        asked = f"sort={'-' if descending else ''}{column}"
        assert ids(await filled.get(f"/v1/accounts?limit=500&{asked}")) == in_order(whole, column, descending), asked
        assert [item["account_id"] for item in await walk(filled, asked)] == in_order(whole, column, descending), asked


FILTERS = {
    "tier=high": lambda item: item["tier"] == "high",
    "tier=high&tier=tech": lambda item: item["tier"] in ("high", "tech"),
    "rank=B&rank=D": lambda item: item["rank"] in ("B", "D"),
    "tenure=a": lambda item: item["tenure"] == "a",
    "band=red&band=unknown": lambda item: item["effective_band"] in ("red", "unknown"),
    "csm=c1": lambda item: item["csm_id"] == "c1",
    "csm=c1&csm=c2&tier=low": lambda item: item["csm_id"] in ("c1", "c2") and item["tier"] == "low",
    "csm=nobody": lambda item: False,
    "team=adoption": lambda item: item["team"] == "adoption",
    "status=onboarding": lambda item: item["status"] == "onboarding",
    "priority=High&priority=Low": lambda item: item["priority"] in ("High", "Low"),
    "q=acme": lambda item: item["name"] in ("Acme", "ＡＣＭＥ East", "acme"),
    f"q={quote('ＡＣＭＥ e')}": lambda item: item["name"] == "ＡＣＭＥ East",
    f"q={quote('株式')}": lambda item: item["name"] == "株式会社山田",
    "q=A0": lambda item: item["account_id"].startswith("a0"),
}


@pytest.mark.parametrize("asked", FILTERS)
async def test_a_filter_keeps_the_default_order_and_counts_what_it_keeps(filled: TestTenant, asked: str):
    whole = (await filled.get("/v1/accounts?limit=500"))["items"]
    wanted = [item["account_id"] for item in whole if FILTERS[asked](item)]
    told = await filled.get(f"/v1/accounts?{asked}&limit=500")
    assert (ids(told), told["total"]) == (wanted, len(wanted))
    assert [item["account_id"] for item in await walk(filled, asked, 2)] == wanted


async def test_churned_accounts_show_only_when_asked_for(filled: TestTenant):
    churned = [f"a{n:02d}" for n in range(7, 40, 8)]
    assert sorted(ids(await filled.get("/v1/accounts?status=churned"))) == churned
    both = await filled.get("/v1/accounts?status=churned&status=onboarding&status=active&limit=500")
    assert (both["total"], set(churned) < set(ids(both))) == (40, True)


async def test_me_is_the_csm_whose_key_asks(filled: TestTenant):
    mine = await filled.get("/v1/accounts?csm=me&limit=500", role="csm", csm_id="c2")
    assert ids(mine) == ids(await filled.get("/v1/accounts?csm=c2&limit=500"))
    assert (await filled.call("GET", "/v1/accounts?csm=me")).json()["errors"][0]["code"] == "no_csm"


@pytest.mark.parametrize(
    "asked", ["tier=x", "rank=a", "band=Red", "status=gone", "priority=high", "sort=x", "sort=--acv", "format=xlsx"]
)
async def test_what_no_account_can_be_is_refused(filled: TestTenant, asked: str):
    assert (await filled.call("GET", f"/v1/accounts?{asked}")).status_code == 422


async def test_a_cursor_belongs_to_its_order_and_filters(filled: TestTenant):
    cursor = (await filled.get("/v1/accounts?sort=acv&limit=2"))["next_cursor"]
    for asked in ("sort=-acv", "sort=acv&tier=high", "sort=name", "limit=3"):
        answer = await filled.call("GET", f"/v1/accounts?{asked}&cursor={cursor}")
        assert answer.status_code == 422


@pytest.mark.parametrize("order", ["sort=last_contact_at", "sort=renewal_on", "", "sort=active_users_28d"])
async def test_a_cursor_made_up_is_refused_or_empty_and_never_breaks(filled: TestTenant, order: str):
    raw = (await filled.get(f"/v1/accounts?{order}&limit=1"))["next_cursor"]
    stamp = msgspec.json.decode(urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))[0]
    for values in ([2**62, "a"], ["9999-99-99", "a"], [None, None], [2**62, 2**62, 2**62, "a"], [None] * 4):
        answer = await filled.call("GET", f"/v1/accounts?{order}&cursor={encode_cursor(values, stamp)}")
        assert answer.status_code in (200, 422)


async def test_the_sheet_holds_every_match_and_no_formula(filled: TestTenant):
    answer = await filled.call("GET", "/v1/accounts?format=csv&sort=account_id&limit=")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="accounts-2026-06-15.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbfaccount_id,name,status,")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    items = {item["account_id"]: item for item in (await filled.get("/v1/accounts?limit=500"))["items"]}
    assert [row["account_id"] for row in rows] == sorted(items)
    shown = {row["name"] for row in rows}
    assert {"'=1+1", "'@sum", "'-5", '"a",b', "株式会社山田", ""} <= shown
    for row in rows:
        item = items[row["account_id"]]
        assert row["health"] == ("" if item["health"] is None else repr(item["health"]))
        assert row["needs_action"].split() == [fired["rule"] for fired in item["needs_action"]]
        assert row["last_contact_at"] == (item["last_contact_at"] or "")
        assert row["covered"] == {True: "true", False: "false", None: ""}[item["covered"]]


async def test_a_sheet_follows_filters_order_and_limit(filled: TestTenant):
    answer = await filled.call("GET", "/v1/accounts?format=csv&sort=-acv&csm=c1&limit=3")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert [row["account_id"] for row in rows] == ids(await filled.get("/v1/accounts?sort=-acv&csm=c1&limit=3"))


# Last: it moves the clock.
async def test_live_lists_are_those_recomputed_in_any_order_and_choice(house: House, filled: TestTenant):
    questions = ("", "sort=-acv", "sort=change_28d", "status=churned&sort=name", "q=acme", "band=red")
    for days, asked in product((0, 20), questions):
        house.clock.move(days=days)
        await house.settle()
        live = await filled.get(f"/v1/accounts?{asked}&limit=500")
        past = await filled.past(f"/v1/accounts?{asked}&limit=500")
        assert (live["items"], live["total"]) == (past["items"], past["total"])
        first = await filled.past(f"/v1/accounts?{asked}&limit=2")
        if first["next_cursor"]:
            rest = await filled.get(
                f"/v1/accounts?{asked}&limit=2&as_of={first['as_of']}&cursor={first['next_cursor']}"
            )
            assert ids(first) + ids(rest) == ids(past)[:4]
