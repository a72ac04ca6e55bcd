"""`python -m tests.bench.explain [accounts]`: what each question reads at that size, as the request's role; a table."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import structlog

from services.scoring.app import open_scoring
from services.scoring.settings import ScoringSettings
from shared.bus.postgres import PostgresBus
from shared.clock import Clock
from shared.postgres import open_database
from shared.tenancy import Keyring
from tests.bench import made
from tests.bench.big import kept
from tests.bench.house import Base, open_house
from tests.bench.table import write
from tests.plans import Plan, explaining

ORDERS = ("", "health", "-health", "acv", "-acv", "renewal_on", "-renewal_on")
FILTERS = (
    "", "tier=high", "tier=tech", "rank=A", "rank=D", "tenure=c", "band=red", "band=green", "csm=csm-3", "csm=pool",
    "team=team-1-3", "team=pooled", "status=active", "status=onboarding", "status=churned", "priority=High",
    "priority=Low", "q=acct-0012", "q=customer%2077",
)  # fmt: skip
# What every tenant has a handful of, and CSMs.
SMALL = {
    "account_join", "person_join", "amounts", "first_facts", "settings", "tier_policy", "newest_fact", "csm_attribute",
    "keep_reason", "feature_key", "counter",
}  # fmt: skip
ONE = f"/v1/accounts/{made.account_id(7)}"
OTHERS = (
    "/v1/coverage/worklist", "/v1/coverage/worklist?within_days=0", "/v1/summary", "/v1/summary?csm=csm-3",
    *(f"/v1/coverage?by={by}" for by in ("tenant", "tier", "csm", "team", "rank")), "/v1/matrix", "/v1/contact-rate",
    "/v1/tiers", "/v1/tiers/exceptions", "/v1/load", "/v1/keep-list", "/v1/keep-list?csm=csm-3", "/v1/contacts/planned",
    "/v1/contacts/planned?csm=csm-3", "/v1/activity", "/v1/usage", "/v1/usage?account_id=acct-000007", "/v1/nps",
    "/v1/responses", "/v1/accounts?sort=name", "/v1/accounts?sort=change_28d&csm=csm-3", "/v1/accounts?q=c",
    "/v1/accounts?tier=high&csm=csm-3", "/v1/ingest/unassigned", ONE, f"{ONE}/health", f"{ONE}/timeline",
    f"{ONE}/usage", f"{ONE}/people", f"{ONE}/talking-points", f"{ONE}/nps", f"{ONE}/contracts",
)  # fmt: skip


def main() -> None:
    """One line a question: status, statements, PostgreSQL's time, rows read by the busiest node, rows removed."""
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with open_house() as house:
        asyncio.run(_explain(kept(house, accounts)))


async def _explain(base: Base) -> None:
    clock, database = Clock(), await open_database(base.settings)
    async with open_scoring(
        ScoringSettings(workers=False), PostgresBus(database.worker, 12), database, Keyring(database, clock), clock
    ) as service:
        head = {"authorization": f"Bearer {base.tenant.keys['admin']}"}
        transport = httpx2.ASGITransport(app=service.http)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://scoring", headers=head, timeout=300
        ) as client:
            write(f"{'question':54}{'status':>7}{'stmts':>6}{'ms':>9}{'read':>9}{'removed':>8}{'blocks':>8}  scanned")
            for path in _questions():
                await _one(client, path)
    await database.close()


def _questions() -> Iterator[str]:
    for order in ORDERS:
        for some in FILTERS:
            asked = "&".join(part for part in (f"sort={order}" if order else "", some) if part)
            yield f"/v1/accounts?{asked}" if asked else "/v1/accounts"
    yield from OTHERS


async def _one(client: Any, path: str) -> None:
    with explaining() as plans:
        answer = await client.get(path)
        write(_line(path, answer, plans))
        cursor = answer.json().get("next_cursor") if answer.status_code == 200 else None
        if cursor:
            del plans[:]
            write(_line("  … and the next page", await client.get(path, params=_with(path, cursor)), plans))


def _with(path: str, cursor: str) -> dict[str, str]:
    asked = httpx2.QueryParams(path.partition("?")[2])
    return {**dict(asked.multi_items()), "cursor": cursor}


def _line(path: str, answer: Any, plans: list[Plan]) -> str:
    scanned = sorted({name for plan in plans for name in plan.scanned()} - SMALL)
    code = f" {answer.json().get('code', '')}" if answer.status_code != 200 else ""
    return (
        f"{path:54}{answer.status_code:>7}{len(plans):>6}{sum(plan.ms for plan in plans):>9.2f}"
        f"{max((plan.read() for plan in plans), default=0):>9.0f}"
        f"{max((plan.removed() for plan in plans), default=0):>8.0f}"
        f"{sum(plan.buffers() for plan in plans):>8}  {' '.join(scanned)}{code}"
    )


if __name__ == "__main__":
    main()
