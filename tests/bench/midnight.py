"""Row `midnight`: a new day begins and every account is judged again, with its scores of 1, 7 and 28 days ago."""

import asyncio
import time
from typing import Final

import asyncpg

from services.scoring.assess import TENANT_LOCK
from tests.bench.grown import grown
from tests.bench.house import Base, House, Worker
from tests.bench.log import drained
from tests.bench.table import Row, Sample, compared, say

_CLASS: Final = "$1 # hashtext('scoring_state'), $2"
_HOLD: Final = f"SELECT pg_advisory_lock({_CLASS})"
_LET_GO: Final = f"SELECT pg_advisory_unlock({_CLASS})"
_NEW_DAY: Final = "SELECT count(*) FROM scoring_state.recheck WHERE kind = 'all'"
_JUDGED: Final = "SELECT count(DISTINCT day), count(*) FROM scoring_state.account_state"
_KEPT: Final = "SELECT count(*) FROM scoring_state.standing"


def midnight(house: House, rounds: int, accounts: int) -> list[Row]:
    """One process with all workers of scoring; each round is one day later."""
    base = grown(house, accounts)
    samples: list[Sample] = []
    for number in range(1, rounds + 1):
        say(f"midnight: night {number} of {rounds}")
        samples.append(asyncio.run(_night(house, base, number)))
    seconds = max(one.seconds for one in samples)
    note = (
        f"{accounts:,} accounts in at most {seconds:.1f} s, all four scores of each, the tenant's job too; all but "
        "10,000 accounts were copied by INSERT … SELECT"
    )
    return [compared("midnight, accounts", samples, [], note, figures={"seconds": seconds})]


async def _night(house: House, base: Base, number: int) -> Sample:
    """The tenant is held still until the process is up and has seen the new day."""
    conn = await asyncpg.connect(base.settings.url)
    tenant = base.tenant.tenant
    await conn.execute(_HOLD, TENANT_LOCK, tenant)
    offset = f"{24 * number}h"
    worker = await asyncio.to_thread(
        house.spawn, "services", "up", "--port", "0", "--only", "scoring", "--clock-offset", offset, **base.environment
    )
    while not await conn.fetchval(_NEW_DAY):  # noqa: ASYNC110 another process sees it
        await asyncio.sleep(0.1)
    sample = await _judged(house, conn, worker, tenant)
    await conn.close()
    worker.end()
    return sample


async def _judged(house: House, conn: asyncpg.Connection, worker: Worker, tenant: int) -> Sample:
    cpu, postgres, began = worker.meter.cpu(), house.postgres.cpu(), time.perf_counter()
    await conn.execute(_LET_GO, TENANT_LOCK, tenant)
    ended = await drained(conn, assessed=True)
    spent, stored = worker.meter.cpu() - cpu, house.postgres.cpu() - postgres
    days, accounts = await conn.fetchrow(_JUDGED) or (0, 0)
    assert days == 1, f"accounts stand at {days} different days"
    assert await conn.fetchval(_KEPT) == 4 * accounts
    return Sample(accounts, spent, ended - began, stored, worker.meter.peak_mb())
