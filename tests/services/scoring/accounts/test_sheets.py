"""`?format=csv` on lists: every match as the JSON tells it, and no cell that a spreadsheet would run."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from services.scoring.accounts import sheet
from tests.services.scoring.builders import TODAY, at
from tests.services.scoring.harness import House, TestTenant, stamp

START = TODAY - timedelta(days=300)
LISTS = {
    "/v1/coverage/worklist?within_days=90": "worklist",
    "/v1/keep-list?state=uncovered&state=covered": "keep-list",
    "/v1/contacts/planned?state=closed&state=open": "planned",
    "/v1/responses?survey_id=s": "responses",
}


@pytest.fixture(scope="module")
async def filled(house: House) -> TestTenant:
    """Three accounts of priority High that bear formulas, with contacts, plans, a reason and answers."""
    tenant = await house.tenant()
    await tenant.settings(rank={"by": "ids", "cuts": {"A": 1, "B": 0.5, "C": 0.4, "D": 0.3}})
    plan = tenant.contact("b", TODAY - timedelta(days=9), outcome="planned", note="-note")
    await tenant.tell(
        tenant.csm("hana", at(START), name="+Hana"),
        *(tenant.account(name, at(START), name=f"={name}", customer_since=START, acv="9", csm_id="hana")
          for name in ("a", "b", "c")),
        *(tenant.usage(f"@{name}", TODAY, name) for name in ("a", "b", "c")),
        plan,
        tenant.contact("b", TODAY - timedelta(days=8), replaces=plan.id, recorded_at=1),
        tenant.contact("c", TODAY + timedelta(days=8), outcome="planned", person_ids=["@c", "d"]),
        *(tenant.response(n, TODAY - timedelta(days=n + 1), name, f"@{name}", comment=f"@{n}")
          for n, name in enumerate(("a", "b", "c"))),
    )  # fmt: skip
    wish = {"reason": "=1+1"}
    assert (await tenant.call("POST", "/v1/keep-list/a/reason", wish)).status_code == 201
    return tenant


async def rows_of(tenant: TestTenant, path: str, name: str) -> list[dict[str, str]]:
    answer = await tenant.call("GET", f"{path}&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}-2026-06-15.csv"'
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def flat(told: dict[str, Any], more: dict[str, Any], columns: list[str]) -> dict[str, str]:
    """An item of the JSON as its row should be."""
    found: dict[str, Any] = dict(more)
    for name, value in told.items():
        found |= {f"{name}_{one}": inner for one, inner in value.items()} if isinstance(value, dict) else {name: value}
    return {column: cell(found.get(column)) for column in columns}


def cell(value: Any) -> str:
    if isinstance(value, list):
        return cell(" ".join(value))
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in tuple("=+-@") else text


@pytest.mark.parametrize("path", LISTS)
async def test_a_sheet_holds_what_the_list_tells(
    house: House, filled: TestTenant, monkeypatch: pytest.MonkeyPatch, path: str
):
    monkeypatch.setattr(sheet, "_CHUNK", 1)  # each row is read on its own
    told = await filled.get(f"{path}&limit=500")
    rows = await rows_of(filled, path, LISTS[path])
    more = {"currency": told["currency"]} if "currency" in told else {}
    assert len(rows) == len(told["items"]) >= 2
    assert rows == [flat(item, more, list(rows[0])) for item in told["items"]]
    assert any(value.startswith("'") for row in rows for value in row.values())
    assert await rows_of(filled, f"{path}&limit=1", LISTS[path]) == rows[:1]
    asked = house.clock.now()
    house.clock.move(microseconds=1)
    assert await rows_of(filled, f"{path}&as_of={stamp(asked)}", LISTS[path]) == rows
    page = await filled.get(f"{path}&limit=1")
    assert await rows_of(filled, f"{path}&cursor={page['next_cursor']}", LISTS[path]) == rows[1:]


@pytest.mark.parametrize("path", LISTS)
async def test_an_unknown_format_is_refused(filled: TestTenant, path: str):
    answer = await filled.call("GET", f"{path}&format=xlsx")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/format")
