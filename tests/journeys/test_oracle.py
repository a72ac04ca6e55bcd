"""Two companies of 400 accounts told through the public doors, shuffled and doubled: every figure as another program
counts it, as of six past days and live as time passes."""

import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.journeys.running import Ground, client, fresh, send
from tests.oracle.book import Book, base_after, write_book
from tests.oracle.book.pen import Fact
from tests.oracle.compare import Comparison
from tests.oracle.oracle import Oracle

pytestmark = pytest.mark.slow
FEATURES = {"report": ["report_viewed", "report_printed"], "share": ["shared"], "export": ["exported"]}
COMPANIES = {"Asia/Tokyo": "JPY", "America/New_York": "USD"}
FX = {"USD": "150.25"}


@dataclass
class Company:
    """One tenant: its keys, what it was told, and the program that read the same."""

    keys: dict[str, str]
    book: Book
    oracle: Oracle
    surveys: dict[str, str] = field(default_factory=dict)
    http: httpx2.AsyncClient | None = None

    async def get(self, path: str) -> Any:
        assert self.http
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        assert self.http
        answer = await self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


def found(ground: Ground, zone: str, currency: str, base: datetime) -> Company:
    """Creates the tenant and writes its book."""
    words = ("tenant", "create", zone, "--time-zone", zone, "--currency", currency, "--json")
    keys = json.loads(ground.command(*words))["keys"]
    book = write_book(base, zone, currency)
    return Company(keys, book, Oracle(book.facts, zone, currency, features=FEATURES, fx=FX))


@asynccontextmanager
async def running(ground: Ground, offset: timedelta, companies: list[Company]) -> AsyncIterator[str]:
    """Genki with its clocks shifted; ready when every fact and the passing of time are in the figures."""
    process = ground.up("--clock-offset", f"{offset.total_seconds()}s")
    url = process.wait_ready()
    async with AsyncExitStack() as stack:
        for company in companies:
            company.http = await stack.enter_async_context(client(url, company.keys["admin"]))
            await fresh(company.http, datetime.now(UTC) + offset)
        yield url
    assert process.end() == 0


async def tell(url: str, company: Company) -> None:
    """Everything through its door: events, the tracking route for aliases, the import for answers to surveys."""
    assert company.http
    features = [{"feature": name, "weight": 1, "share": 1, "events": events} for name, events in FEATURES.items()]
    answer = await company.http.put(
        "/v1/settings", json={"value_features": features} | ({"fx": FX} if company.book.currency == "JPY" else {})
    )
    assert answer.status_code == 200, answer.text
    told = company.book.arrival(5)
    async with client(url, company.keys["server"]) as server, client(url, company.keys["write"]) as tracker:
        await send(server, [fact for fact in told if fact["type"] not in ("alias", "response")], 1000)
        await track(tracker, [fact for fact in told if fact["type"] == "alias"])
    sheet = answers([fact for fact in company.book.facts if fact["type"] == "response"])
    done = await company.http.post("/v1/imports/responses", content=sheet, headers={"content-type": "text/csv"})
    assert (done.status_code, done.json()["rejected"]) == (200, []), done.text
    listed = (await company.get("/v1/surveys"))["items"]
    company.surveys = {survey["survey_id"]: survey["name"] for survey in listed}


async def track(http: httpx2.AsyncClient, aliases: list[Fact]) -> None:
    """The aliases as a tracking library sends them."""
    calls = [
        {
            "type": "alias", "messageId": fact["id"], "userId": fact["person_id"],
            "previousId": fact["previous_id"], "timestamp": fact["at"],
        }
        for fact in aliases
    ]  # fmt: skip
    answer = await http.post("/v1/batch", json={"batch": calls})
    assert (answer.status_code, answer.json()["rejected"]) == (200, []), answer.text


def answers(responses: list[Fact]) -> bytes:
    """A sheet of answers."""
    sheet = io.StringIO()
    columns = ("at", "account_id", "person_id", "score", "comment", "survey_id", "response_id")
    writer = csv.writer(sheet)
    writer.writerow([{"survey_id": "survey"}.get(column, column) for column in columns])
    writer.writerows([fact.get(column) for column in columns] for fact in responses)
    return sheet.getvalue().encode()


async def judge(company: Company) -> None:
    """Two tier policies with amounts that a manager chose, both from days gone by."""
    today = company.book.base.date()
    for days, high, low in ((100, "48000", "31000"), (40, "61000", "22000.00")):
        review = await company.post("/v1/tiers/reviews", {}, 201)
        since = today - timedelta(days=days)
        wish = {"effective_from": since.isoformat(), "high_amount": high, "low_amount": low, "note": "as agreed"}
        await company.post(f"/v1/tiers/reviews/{review['id']}/publish", wish)
        company.oracle.policies.append((since, high, low))


def past_days(base: datetime) -> list[str]:
    """Ends of months, 29 February, the day a clock is put forward in New York, and an instant within a day."""
    year = base.year
    instant = datetime(year, 3, 31, 4, 30, 0, 123456, tzinfo=UTC).isoformat().replace("+00:00", "Z")
    return [f"{year - 1}-06-30", f"{year - 1}-12-31", f"{year}-02-29", f"{year}-03-12", instant, f"{year}-04-30"]


async def differences(company: Company, as_of: str | None, *, nps: bool = True, earlier: bool = False) -> list[str]:
    """What the API and the oracle do not agree on."""
    asked = Comparison(company.get, company.oracle, as_of)
    lines = await asked.everything(earlier)
    if nps:
        last = (datetime.fromisoformat(as_of) if as_of else company.book.base).date() - timedelta(days=3)
        await asked.nps(last - timedelta(days=89), last, company.surveys)
    return lines


async def test_every_figure_is_what_another_program_counts_as_of_six_past_days_and_live_as_time_passes(
    ground: Ground,
) -> None:
    base = base_after(datetime.now(UTC))
    offset = base + timedelta(minutes=2) - datetime.now(UTC)
    companies = [found(ground, zone, currency, base) for zone, currency in COMPANIES.items()]
    async with running(ground, offset, companies) as url:
        for company in companies:
            await tell(url, company)
            await judge(company)
        for company in companies:
            assert company.http
            await fresh(company.http, datetime.now(UTC) + offset, seconds=120)
            for day in past_days(base):
                whole = day.endswith("02-29")
                assert await differences(company, day, nps=whole or "T" in day, earlier=whole) == []
            assert await differences(company, None, earlier=True) == []
    for days in (3, 9, 35, 200):
        async with running(ground, offset + timedelta(days=days), companies):
            for company in companies:
                assert await differences(company, None, nps=days == 35) == []
