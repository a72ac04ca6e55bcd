"""Row `fold`: usage facts from the PostgreSQL log into the state, beside a bare loop over the same lines, beside one
transaction per event, and beside itself with very many accounts."""

import asyncio
import time
import urllib.request
from dataclasses import dataclass

import asyncpg

from tests.bench import made
from tests.bench.grown import grown
from tests.bench.house import Base, House, Worker
from tests.bench.log import drained, held_back, records
from tests.bench.table import Row, Sample, compared, say

EVENTS = 5_000  # of a round's facts, for one transaction each
BATCH = 20_000  # alone in its process; beside other services Genki folds 5,000 at once
_KNOWN = """
INSERT INTO scoring_state.fact_seen SELECT md5('known ' || i)::uuid, $1, current_date, i
FROM generate_series($2::int, $3::int) AS i ORDER BY 1
"""


@dataclass(frozen=True)
class Told:
    """How many facts a round and contestant, how many ids known before, how many accounts; `many` accounts (0: none)
    of the same fold beside it."""

    count: int
    known: int
    accounts: int
    many: int


def fold(house: House, rounds: int, told: Told) -> list[Row]:
    """Every contestant folds the same facts, each into a database of its own."""
    rows = _beside_loops(house, rounds, told.count, told.known, told.accounts)
    return rows + (_beside_itself(house, rounds, told) if told.many else [])


def _beside_itself(house: House, rounds: int, told: Told) -> list[Row]:
    """The whole of scoring at a few accounts and at very many, both told by facts and copied."""
    samples: dict[int, list[Sample]] = {}
    workers: dict[int, tuple[Base, Worker]] = {}
    for accounts in (told.accounts, told.many):
        base = grown(house, accounts)
        asyncio.run(_know(base, told.known))
        workers[accounts] = base, house.genki(base, "scoring", GENKI_SCORING_BATCH_FACTS=str(BATCH))
        workers[accounts][1].meter.process.suspend()
        samples[accounts] = []
    for number in range(rounds + 1):
        say(f"fold: {told.accounts:,} and {told.many:,} accounts, round {number} of {rounds}")
        for accounts, (base, worker) in workers.items():
            facts = list(made.usage(base.tenant.tenant, 3000 + number, told.count, accounts))
            sample = asyncio.run(_fold(house, base, worker, facts, assessed=True))
            if number:
                samples[accounts].append(sample)
    few, many = samples[told.accounts], samples[told.many]
    note = f"{told.many:,} accounts beside {told.accounts:,}, with 6 fields, 3 usage rows and 0.8 contacts each"
    return [compared("fold, very many accounts", many, few, note, "all but 10,000 accounts copied by SQL")]


def _beside_loops(house: House, rounds: int, count: int, known: int, accounts: int) -> list[Row]:
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
        told = list(made.usage(template.tenant.tenant, 1000 + number, count, accounts))
        before = _assessed(whole)
        one = asyncio.run(_fold(house, bases[0], whole, told, assessed=True))
        done = _assessed(whole) - before
        two = asyncio.run(_fold(house, bases[1], alone, told, assessed=False))
        three, four = _bare(house, bare, told), _bare(house, each, told[:EVENTS])
        if number:
            samples.append((one, two, three, four))
            assessed.append(done)
    return _rows(samples, assessed, known, accounts)


def _rows(
    samples: list[tuple[Sample, Sample, Sample, Sample]], assessed: list[float], known: int, accounts: int
) -> list[Row]:
    ours, alone, bare, each = (list(column) for column in zip(*samples, strict=True))
    seconds = sum(one.seconds for one in ours)
    note = f"{known:,} ids known, {accounts:,} accounts, skewed; {sum(assessed) / seconds:,.0f} accounts assessed/s"
    return [
        compared("fold + assessment ÷ bare loop", ours, bare, note),
        compared("fold alone ÷ bare loop", alone, bare, f"batches of {BATCH:,} facts"),
        compared("fold + assessment ÷ per event", ours, each, "a transaction per event: id, count, account's person"),
    ]


async def _know(base: Base, known: int) -> None:
    conn = await asyncpg.connect(base.settings.url)
    for start in range(0, known, 250_000):
        await conn.execute(_KNOWN, base.tenant.tenant, start, min(known, start + 250_000) - 1)
    await conn.execute("VACUUM ANALYZE scoring_state.fact_seen")
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
