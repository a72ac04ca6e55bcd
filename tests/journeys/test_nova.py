"""The Nova history, unmoved, on tenants of its own: the same state in any order, and figures equal to DuckDB's."""

import csv
import gzip
import random
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from services.scoring.asof import base_settings, past
from services.scoring.assessment import Assessment
from services.scoring.health.calibration import auc
from services.scoring.rulebook import read_terms
from shared import facts
from shared.clock import end_of_day, zone
from shared.postgres import tenant_transaction
from tests.oracle.nova import EVENTS, Nova
from tests.services.scoring.dump import dump
from tests.services.scoring.harness import House, TestTenant

pytestmark = pytest.mark.slow
PAST_DATES = (date(2012, 2, 29), date(2014, 12, 31), date(2017, 6, 15))
WINDOWS = (1, 7, 30, 90)
CUTS = [
    date(year, month, 1) - timedelta(days=1)
    for year in range(2011, 2018)
    for month in (1, 4, 7, 10)
    if date(2011, 7, 1) <= date(year, month, 1) <= date(2017, 7, 1)
]


def read() -> list[dict[str, str]]:
    """The rows in order of arrival (when they were merged, not when they were written)."""
    with gzip.open(EVENTS, "rt", encoding="utf-8") as file:
        return sorted(csv.DictReader(file), key=lambda row: (int(row["commit_ts"]), row["event_id"]))


def told(tenant: TestTenant, rows: Sequence[dict[str, str]]) -> list[facts.Usage]:
    return [
        facts.Usage(
            tenant=tenant.number,
            id=row["event_id"],
            received=tenant.house.clock.micros(),
            at=int(row["ts"]) * 10**6,
            person_id=row["user_id"],
            event=row["event"],
            account_id=row["account"],
        )
        for row in rows
    ]


async def fed(house: House, rows: Sequence[dict[str, str]]) -> TestTenant:
    tenant = await house.tenant(time_zone="UTC")
    told_facts = told(tenant, rows)
    for start in range(0, len(told_facts), 1000):
        await house.publish(told_facts[start : start + 1000])
    await house.settle()
    return tenant


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return read()


@pytest.fixture(scope="module")
def nova() -> Nova:
    return Nova()


async def test_arrival_order_shuffled_and_twice_over_give_one_state_and_duckdbs_figures(
    house: House, rows: list[dict[str, str]], nova: Nova
) -> None:
    shuffled = random.Random(7).sample(rows, len(rows))
    tenants = [await fed(house, rows), await fed(house, shuffled), await fed(house, [*rows, *shuffled])]
    states = [await dump(house.owner, tenant.number) for tenant in tenants]
    assert states[1] == states[0]
    assert states[2] == states[0]
    assert states[0]["seen"] == [(len(rows),)]
    for day in PAST_DATES:
        for days in WINDOWS:
            answer = await tenants[0].get(f"/v1/usage?days={days}&as_of={day}")
            counted = (answer["events"], answer["active_users"], answer["active_accounts"])
            assert counted == nova.usage(day, days), (day, days)
    scores = await scored(house, tenants[0])
    separation(scores, nova)


async def scored(house: House, tenant: TestTenant) -> dict[date, list[Assessment]]:
    found: dict[date, list[Assessment]] = {}
    async with tenant_transaction(house.database.app, tenant.number) as conn:
        terms = await read_terms(conn, tenant.number, base_settings("UTC", "JPY"))
        for cut in CUTS:
            at = await past(conn, terms, end_of_day(cut, zone("UTC")))
            found[cut] = list(at.values())
    return found


def separation(scores: dict[date, list[Assessment]], nova: Nova) -> None:
    """The default model tells silent churn better than the plain count of events does."""
    model: list[tuple[float | None, bool]] = []
    without_trend: list[tuple[float | None, bool]] = []
    count: list[tuple[float | None, bool]] = []
    for cut in CUTS:
        assert cut + timedelta(days=180) <= nova.last_day()
        labels = nova.silent_churn(cut)
        of = {one.account_id: one for one in scores[cut]}
        assert labels.keys() <= of.keys()
        for account, (events, silent) in labels.items():
            model.append((of[account].score, silent))
            without_trend.append((_without(of[account], "trend"), silent))
            count.append((float(events), silent))
    found, plain, rest = auc(model), auc(count), auc(without_trend)
    told = f"AUC of {found.n} ({found.churned} churned): model {found.auc}, without trend {rest.auc}"
    sys.stdout.write(f"\n{told}, count of events {plain.auc}\n")
    assert found.auc is not None
    assert plain.auc is not None
    assert found.auc >= 0.85
    assert found.auc > plain.auc


def _without(one: Assessment, name: str) -> float | None:
    """The score as if the model had no such dimension: the rest renormalised, a cap that bit still bites."""
    rest: list[dict[str, Any]] = [
        row for row in one.dimensions if row.get("value") is not None and row["name"] not in (name, "cap")
    ]
    if not rest:
        return None
    weight = sum(row["model_weight"] for row in rest)
    score = sum(row["model_weight"] * row["value"] for row in rest) / weight
    capped = any(row["name"] == "cap" for row in one.dimensions)
    return min(score, one.score) if capped and one.score is not None else score
