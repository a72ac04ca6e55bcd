"""Health, series and time by an independent recomputation, on one running scoring that is driven by hand."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from services.ingest.domain.intake import admit
from services.ingest.domain.verdict import Accepted, Door
from shared import facts
from shared.clock import to_micros
from tests.oracle.book import Book, base_after, write_book
from tests.oracle.book.pen import Fact
from tests.oracle.compare import Comparison
from tests.oracle.differences import equal
from tests.oracle.oracle import Oracle
from tests.services.scoring.dump import dump
from tests.services.scoring.harness import House, TestTenant, stamp

pytestmark = pytest.mark.slow
FEATURES = {"report": ["report_viewed", "report_printed"], "share": ["shared"], "export": ["exported"]}
COMPANIES = {"Asia/Tokyo": "JPY", "America/New_York": "USD"}
FX = {"USD": "150.25"}
OWN_RULES = {  # New York has its own: windows of days, other targets, fewer channels; (of the API, of the oracle)
    "high": ("P30D", 0.85, 0, 30, ["phone", "video", "meeting"], ["reached", "replied"]),
    "low": ("P45D", 0.65, 0, 45, ["phone", "video", "meeting", "chat", "email"], ["reached"]),
    "tech": ("P3M", 0.5, 3, 0, ["email", "event", "tech_touch"], ["reached", "replied"]),
}
WORTH = {"report": (3, 1), "share": (1, 0.5), "export": (2, 0.25)}  # weight, share
PORTION = 900
BASE = base_after(datetime(2026, 11, 1, tzinfo=UTC))
INSIDE = ("alias", "response", "invitation_sent", "invitation_bounced")
BEFORE, LEAP_DAY = date(BASE.year, 1, 31), date(BASE.year, 2, 29)


@dataclass
class Company:
    """A tenant that was told its book, and the program that read the same book."""

    tenant: TestTenant
    book: Book
    oracle: Oracle

    def at(self, as_of: str | None = None) -> Comparison:
        return Comparison(self.tenant.get, self.oracle, as_of)


def wire(book: Book, tenant: TestTenant, order: int) -> list[facts.AnyFact]:
    """What the doors make of the book, shuffled and doubled."""
    numbers = count()
    fx = frozenset(FX) if tenant.currency == "JPY" else frozenset[str]()
    door = Door(tenant.number, tenant.currency, fx, to_micros(book.base), lambda: str(next(numbers)))
    made: list[facts.AnyFact] = []
    for fact in book.arrival(order):
        if fact["type"] in INSIDE:
            made.append(inside(fact, tenant, to_micros(book.base)))
            continue
        verdict = admit(json.dumps(fact).encode(), door)
        assert isinstance(verdict, Accepted), (fact, verdict)
        made += verdict.facts
    return made


def inside(fact: Fact, tenant: TestTenant, received: int) -> facts.AnyFact:
    """What has no public door for days gone by, as it comes on the log."""
    kind = {"response": "survey_response"}.get(fact["type"], fact["type"])
    at = to_micros(datetime.fromisoformat(fact["at"]))
    return facts.decode(
        json.dumps({**fact, "type": kind, "at": at, "tenant": tenant.number, "received": received}).encode()
    )


async def tell(house: House, zone: str, order: int) -> Company:
    """A tenant of 80 accounts that was told its book in one of many orders."""
    currency = COMPANIES[zone]
    book = write_book(BASE, zone, currency, accounts=76, seed=2, invited=True)
    tenant = await house.tenant(zone, currency)
    features = [
        {"feature": name, "weight": WORTH[name][0], "share": WORTH[name][1], "events": events}
        for name, events in FEATURES.items()
    ]
    rules, own = None, {}
    if currency == "USD":
        rules = {
            tier: (str(target), months, days, window, channels, outcomes)
            for tier, (window, target, months, days, channels, outcomes) in OWN_RULES.items()
        }
        names = ("target", "window", "channels", "outcomes")
        own = {tier: dict(zip(names, (float(one[0]), *one[3:]), strict=True)) for tier, one in rules.items()}
    await tenant.settings(value_features=features, **({"coverage": own} if own else {"fx": FX}))
    arriving = wire(book, tenant, order)
    for begun in range(0, len(arriving), PORTION):  # what comes later finds figures that were made without it
        await tenant.tell(*arriving[begun : begun + PORTION])
    return Company(tenant, book, Oracle(book.facts, zone, currency, rules, FEATURES, FX, WORTH))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def companies(house: House) -> list[Company]:
    """One in Tokyo, one in New York, a moment after the end of their books."""
    house.clock.set(BASE + timedelta(minutes=1))
    return [await tell(house, zone, 1) for zone in COMPANIES]


async def test_a_series_of_sixty_days_is_sixty_single_answers_and_what_another_program_counts(
    companies: list[Company],
) -> None:
    first, last = BEFORE, BEFORE + timedelta(days=59)
    for company, by in zip(companies, ("team", "tier"), strict=True):
        asked = company.at()
        await asked.series(first, last, by)
        assert asked.found.lines == []
    for company, by in zip(companies[:1], ("team",), strict=True):
        for item in (await company.tenant.get(f"/v1/coverage/series?from={first}&to={last}&by={by}"))["items"]:
            single = await company.tenant.get(f"/v1/coverage?by={by}&as_of={item['day']}")
            names = ("key", "eligible", "covered", "rate")
            assert item["groups"] == [{name: group[name] for name in names} for group in single["groups"]]


async def test_every_score_says_why_as_another_program_counts_it(companies: list[Company]) -> None:
    for company in companies:
        for as_of in (None, LEAP_DAY.isoformat()):
            asked = company.at(as_of)
            assert await asked.everything(earlier=True) == []
            if as_of is None:
                await asked.filters()
            scores = company.oracle.scores()
            some = list(scores) if as_of is None else list(scores)[::5]
            await asked.healths(some)
            await asked.gaps(some)
            await asked.details(some)
            await asked.nps(BEFORE, BEFORE + timedelta(days=25))
            assert asked.found.lines == []
            assert len({health.band for health in scores.values()}) == 4
            rows = {name for health in scores.values() for name in health.contributions}
            assert rows >= {"trend", "sentiment"} | ({"cap"} if as_of is None else set())


async def test_what_moved_between_two_days_sums_to_the_difference(companies: list[Company]) -> None:
    for company in companies:
        company.oracle.stand_at(company.oracle.end_of(BEFORE))
        was = company.oracle.scores()
        company.oracle.stand_at(company.oracle.end_of(LEAP_DAY))
        now = company.oracle.scores()
        for account in list(was)[::4]:
            told = await company.tenant.get(f"/v1/accounts/{account}/health/explain?since={BEFORE}&as_of={LEAP_DAY}")
            both = (was[account].score, now[account].score)
            assert equal([told["score_from"], told["score_to"]], both), account
            if None in both:
                assert told["difference"] is None
                continue
            rows = {row["name"]: (row["from"] or 0.0, row["to"] or 0.0) for row in told["dimensions"]}
            for name, pair in rows.items():
                said = tuple(one[account].contributions.get(name, 0.0) for one in (was, now))
                assert equal(pair, said), (account, name)
            assert equal(sum(row["difference"] for row in told["dimensions"]), told["difference"])
            assert equal(told["difference"], float(both[1] or 0) - float(both[0] or 0))


async def test_a_recomputed_history_is_the_answer_of_each_day(companies: list[Company]) -> None:
    first, last = LEAP_DAY - timedelta(days=3), LEAP_DAY + timedelta(days=2)
    for company in companies:
        scores: dict[date, Any] = {}
        for ahead in range((last - first).days + 1):
            day = first + timedelta(days=ahead)
            company.oracle.stand_at(company.oracle.end_of(day))
            scores[day] = company.oracle.scores()
        for account in sorted(scores[first])[5:80:25]:
            path = f"/v1/accounts/{account}/health/history?from={first}&to={last}&recompute=true"
            points = (await company.tenant.get(path))["items"]
            assert [point["day"] for point in points] == [day.isoformat() for day in scores]
            for point in points:
                told = await company.tenant.get(f"/v1/accounts/{account}/health?as_of={point['day']}")
                same = ("score", "band", "effective_band", "confidence", "model")
                assert {name: point[name] for name in same} == {name: told[name] for name in same}
                counted = scores[date.fromisoformat(point["day"])][account]
                assert equal([point["score"], point["confidence"]], [counted.score, counted.confidence])


async def test_another_order_of_arrival_gives_equal_documents(house: House, companies: list[Company]) -> None:
    one, other = companies[0], await tell(house, "Asia/Tokyo", 2)
    said, again = [await dump(house.owner, company.tenant.number) for company in (one, other)]
    assert sum(len(rows) for rows in said.values()) > 1_000
    for table, rows in said.items():
        assert again[table] == rows, table
    for account in list(one.oracle.scores())[::3]:
        first, second = [await company.tenant.get(f"/v1/accounts/{account}/health") for company in (one, other)]
        assert {**first, "computed_at": 0, "as_of": 0, "fresh_to": 0} == {
            **second, "computed_at": 0, "as_of": 0, "fresh_to": 0
        }  # fmt: skip


async def test_what_lies_minutes_ahead_counts_from_its_minute_on(house: House, companies: list[Company]) -> None:
    begun = house.clock.now()
    told = [await company.tenant.get("/v1/accounts?limit=500") for company in companies]
    for seconds in (30, 150, 300):
        house.clock.set(begun + timedelta(seconds=seconds))
        await house.settle()
        for company in companies:
            assert await company.at().everything() == []
    again = [await company.tenant.get("/v1/accounts?limit=500") for company in companies]
    assert all(one["items"] != other["items"] for one, other in zip(told, again, strict=True))


async def test_a_manual_band_never_hides_the_computed_one_and_ends_by_itself(
    house: House, companies: list[Company]
) -> None:
    company = companies[0]
    company.oracle.stand_at(house.clock.now())
    account, counted = next((name, one) for name, one in company.oracle.scores().items() if one.band == "red")
    before, ends = house.clock.now(), house.clock.now() + timedelta(days=2)
    house.clock.move(seconds=1)
    wish = {"band": "green", "reason": "they are moving house", "expires_at": stamp(ends)}
    answer = await company.tenant.call("POST", f"/v1/accounts/{account}/health/override", wish)
    assert answer.status_code in (200, 201), answer.text
    await house.settle()
    for ahead, shown in ((timedelta(), "green"), (timedelta(days=1), "green"), (timedelta(days=3), None)):
        house.clock.set(before + ahead + timedelta(seconds=2))
        await house.settle()
        told = await company.tenant.get(f"/v1/accounts/{account}/health")
        company.oracle.stand_at(house.clock.now())
        counted = company.oracle.scores()[account]
        company.oracle.by_hand = {account: shown} if shown else {}
        assert equal(told["score"], counted.score)
        assert (told["band"], told["effective_band"]) == (counted.band, shown or counted.band)
        assert await company.at().everything() == []
    past = await company.tenant.get(f"/v1/accounts/{account}/health?as_of={stamp(before + timedelta(days=1))}")
    assert past["effective_band"] == "green"
    earlier = await company.tenant.get(f"/v1/accounts/{account}/health?as_of={stamp(before)}")
    assert earlier["effective_band"] == earlier["band"] == "red"


async def test_live_figures_follow_time_alone(house: House, companies: list[Company]) -> None:
    """With no fact at all, over midnights of both zones, ends of months, the first day of a tier policy, and contracts
    and plans that lie ahead."""
    begun = house.clock.now()
    for company in companies:
        since = (begun + timedelta(days=15)).date()
        review = (await company.tenant.call("POST", "/v1/tiers/reviews", {})).json()
        wish = {"effective_from": since.isoformat(), "high_amount": "40000", "low_amount": "12000", "note": "as agreed"}
        answer = await company.tenant.call("POST", f"/v1/tiers/reviews/{review['id']}/publish", wish)
        assert answer.status_code == 200, answer.text
        company.oracle.policies.append((since, "40000", "12000"))
    for ahead in (4, 8, 20.2, 20.6, 21, 51, 113, 200):
        house.clock.set(begun + timedelta(days=ahead))
        await house.settle()
        for company in companies:
            assert await company.at().everything() == []
    for company in companies:
        now = stamp(house.clock.now() - timedelta(days=1))
        assert await company.at(now).everything() == []
