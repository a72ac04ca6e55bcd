"""Rows `fold` and `many`: usage facts from the PostgreSQL log into the state, beside a bare loop over the same lines,
beside one transaction per event, and beside itself with very many accounts."""

import asyncio
import time
import urllib.request
from dataclasses import dataclass

import asyncpg

from tests.bench import made
from tests.bench.grown import grown, without_indexes
from tests.bench.house import Base, House, Worker
from tests.bench.log import drained, held_back, records
from tests.bench.table import Row, Sample, compared, say

EVENTS = 3_000  # of a round's facts, for one transaction each
BATCH = 20_000  # alone in its process; beside other services Genki folds 5,000 at once
# Ids known before: one statement into the real table, its index built anew after it.
_KNOWN = """
INSERT INTO scoring_state.fact_seen SELECT md5('known ' || i)::uuid, $1, current_date, i
FROM generate_series(1, $2::int) AS i
"""


@dataclass(frozen=True)
class Told:
    """How many facts a round and contestant, how many ids known before, how many accounts, how many are very many."""

    count: int
    known: int
    accounts: int
    many: int


def very_many(house: House, rounds: int, told: Told) -> list[Row]:
    """The whole of scoring at a few accounts and at very many, both told by facts and copied; at very many once with
    facts of all accounts, which leaves as many to judge as there are facts, and once with facts of those few."""
    workers = {accounts: _at_size(house, accounts, told.known) for accounts in (told.accounts, told.many)}
    contests = ((told.accounts, told.accounts), (told.many, told.many), (told.many, told.accounts))
    samples: dict[tuple[int, int], list[Sample]] = {contest: [] for contest in contests}
    for number in range(rounds + 1):
        say(f"fold: {told.accounts:,} and {told.many:,} accounts, round {number} of {rounds}")
        for turn, (size, busy) in enumerate(contests):
            base, worker = workers[size]
            facts = list(made.usage(base.tenant.tenant, 3000 + number * len(contests) + turn, told.count, busy))
            sample = asyncio.run(_fold(house, base, worker, facts, assessed=True))
            if number:
                samples[size, busy].append(sample)
    few, many, same = (samples[contest] for contest in contests)
    notes = (
        f"{told.many:,} accounts beside {told.accounts:,}, {told.known:,} ids known in each; a round: {told.count:,}",
        "an account has 6 fields, 3 usage rows, 0.8 contacts; all but 10,000 accounts were copied by INSERT … SELECT",
    )
    return [
        compared("fold at very many accounts, all busy", many, few, *notes),
        compared("fold at very many, the same busy", same, few, f"facts of the same {told.accounts:,} accounts"),
    ]


def _at_size(house: House, accounts: int, known: int) -> tuple[Base, Worker]:
    base = grown(house, accounts)
    asyncio.run(_know(base, known))
    worker = house.genki(base, "scoring", GENKI_SCORING_BATCH_FACTS=str(BATCH))
    worker.meter.process.suspend()
    return base, worker


def fold(house: House, rounds: int, told: Told) -> list[Row]:
    """Every contestant folds the same facts, each into a database of its own."""
    count, known, accounts = told.count, told.known, told.accounts
    template = house.base()
    say(f"fold: {known:,} ids already known")
    asyncio.run(_know(template, known))
    bases = [house.base(template=template) for _ in range(4)]
    batch = str(BATCH)
    whole = house.genki(bases[0], "scoring", GENKI_SCORING_BATCH_FACTS=batch)
    alone = house.spawn("tests.bench.fold_alone", batch, **bases[1].environment)
    bare = house.spawn("tests.bench.baselines.fold", bases[2].settings.url, batch)
    each = house.spawn("tests.bench.baselines.per_event", bases[3].settings.url)
    for worker in (whole, alone, bare, each):
        worker.meter.process.suspend()
    samples: list[tuple[Sample, Sample, Sample, Sample]] = []
    assessed: list[float] = []
    for number in range(rounds + 1):  # the first fills the key maps and is not counted
        say(f"fold: round {number} of {rounds}")
        facts = list(made.usage(template.tenant.tenant, 1000 + number, count, accounts))
        before = _assessed(whole)
        one = asyncio.run(_fold(house, bases[0], whole, facts, assessed=True))
        done = _assessed(whole) - before
        two = asyncio.run(_fold(house, bases[1], alone, facts, assessed=False))
        three, four = _bare(house, bare, facts), _bare(house, each, facts[:EVENTS])
        if number:
            samples.append((one, two, three, four))
            assessed.append(done)
    return _rows(samples, assessed, told)


def _rows(samples: list[tuple[Sample, Sample, Sample, Sample]], assessed: list[float], told: Told) -> list[Row]:
    ours, alone, bare, each = (list(column) for column in zip(*samples, strict=True))
    rate = sum(assessed) / sum(one.seconds for one in ours)
    notes = (
        f"{told.known:,} ids known (INSERT … SELECT), {told.accounts:,} accounts, skewed; {told.count:,} facts a round",
        f"{rate:,.0f} accounts assessed a second beside it, {sum(assessed) / len(assessed):,.0f} a round",
    )
    single = f"a transaction per event: id, count, account's person; {EVENTS:,} events a round"
    return [
        compared("fold + assessment ÷ bare loop", ours, bare, *notes),
        compared("fold alone ÷ bare loop", alone, bare, f"batches of {BATCH:,} facts"),
        compared("fold + assessment ÷ per event", ours, each, single),
    ]


async def _know(base: Base, known: int) -> None:
    conn = await asyncpg.connect(base.settings.url)
    await conn.execute("SET synchronous_commit = off; SET maintenance_work_mem = '256MB'")
    again = await without_indexes(conn, "scoring_state.fact_seen")
    await conn.execute(_KNOWN, base.tenant.tenant, known, timeout=900)
    for statement in again:
        await conn.execute(statement, timeout=900)
    await conn.execute("VACUUM ANALYZE scoring_state.fact_seen", timeout=900)
    await conn.execute("CHECKPOINT", timeout=900)
    await conn.close()


async def _fold(house: House, base: Base, worker: Worker, told: list, *, assessed: bool) -> Sample:
    """Everything is on the log already when the process wakes up; done when nothing waits."""
    async with held_back(base, records(told)) as conn:
        with worker.awake():
            cpu, postgres, began = worker.meter.cpu(), house.postgres.cpu(), time.perf_counter()
            await conn.execute("COMMIT")
            ended = await drained(conn, assessed=assessed)
            spent, stored = worker.meter.cpu() - cpu, house.postgres.cpu() - postgres
    return Sample(len(told), spent, ended - began, stored, worker.meter.peak_mb())


def _bare(house: House, worker: Worker, told: list) -> Sample:
    file = house.folder / "lines"
    file.write_bytes(b"\n".join(line for record in records(told) for line in record.lines))
    with worker.awake():
        postgres = house.postgres.cpu()
        found = worker.talk({"file": str(file)})
        stored = house.postgres.cpu() - postgres
    return Sample(found["facts"], found["cpu"], found["seconds"], stored, found["peak_mb"])


def _assessed(worker: Worker) -> float:
    """How many assessments the process has counted."""
    with worker.awake(), urllib.request.urlopen(f"{worker.url}/metrics", timeout=10) as reply:  # noqa: S310 our own
        text = reply.read().decode()
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith("genki_scoring_assessed_total"))
