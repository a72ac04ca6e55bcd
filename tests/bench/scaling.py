"""Row `scaling`: one, two and three scoring processes of a Kafka group, each time with as many facts to fold."""

import asyncio
import time
from statistics import median
from typing import Final

import asyncpg

from shared.bus import Bus, Outgoing
from shared.bus.kafka import open_kafka
from shared.facts import CONSUMED_TOPICS
from tests.bench import made
from tests.bench.house import Base, BenchFailed, House, Worker
from tests.bench.log import WAITING, records
from tests.bench.table import Row, Sample, compared, say

PROCESSES: Final = (1, 2, 3)
_BEHIND: Final = """
SELECT count(*) FROM unnest($2::text[], $3::int[], $4::bigint[]) AS e(topic, part, ends)
LEFT JOIN bus.position p ON p.bus = $1 AND p.topic = e.topic AND p.part = e.part
WHERE coalesce(p.next, 0) < e.ends
"""
_APPLIED: Final = "SELECT coalesce(sum(facts), 0) FROM scoring.archive"


def scaling(house: House, rounds: int, count: int, accounts: int) -> list[Row]:
    """`count` facts a round; every contestant starts with an empty database and an empty log."""
    samples: dict[int, list[Sample]] = {number: [] for number in PROCESSES}
    notes: dict[int, str] = {}
    for turn in range(rounds):
        for number in PROCESSES:
            say(f"scaling: {number} of {PROCESSES[-1]} processes, round {turn + 1} of {rounds}")
            sample, notes[number] = _round(house, number, count, accounts, turn)
            samples[number].append(sample)
    return [_row(samples, number, notes[number]) for number in PROCESSES]


def _row(samples: dict[int, list[Sample]], number: int, note: str) -> Row:
    gain = median(one.per_second / alone.per_second for one, alone in zip(samples[number], samples[1], strict=True))
    notes = f"{gain:.2f} × one process by the wall clock", note
    return compared(f"scoring, {number} of a group", samples[number], samples[1], *notes, figures={"wall": gain})


def _round(house: House, number: int, count: int, accounts: int, turn: int) -> tuple[Sample, str]:
    base = house.base(kafka=True)
    facts = records(made.usage(base.tenant.tenant, 1000 + turn, count, accounts))
    workers = [house.genki(base, "scoring", kafka=True, GENKI_SCORING_BATCH_FACTS="20000") for _ in range(number)]
    time.sleep(4)  # until the group has settled
    cpu, postgres = [worker.meter.cpu() for worker in workers], house.postgres.cpu()
    seconds = asyncio.run(_fold(house, base, facts))
    spent = [worker.meter.cpu() - before for worker, before in zip(workers, cpu, strict=True)]
    stored = house.postgres.cpu() - postgres
    peak = sum(worker.meter.peak_mb() for worker in workers)
    _end(workers)
    shares = " + ".join(f"{one / seconds * 100:.0f}" for one in spent)
    note = f"CPU {shares} % of a core, PostgreSQL {stored / seconds * 100:.0f} %; {count:,} facts in {seconds:.1f} s"
    return Sample(count, sum(spent), seconds, stored, peak), note


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        worker.end()


async def _fold(house: House, base: Base, facts: list[Outgoing]) -> float:
    """Seconds from the first record on the log until every account is assessed. Raises BenchFailed."""
    bus = await open_kafka(house.kafka.bootstrap, CONSUMED_TOPICS)
    conn = await asyncpg.connect(base.settings.url)
    try:
        began = time.perf_counter()
        for start in range(0, len(facts), 200):
            await bus.publish(facts[start : start + 200], 60)
        return await _drained(bus, conn, sum(len(one.lines) for one in facts)) - began
    finally:
        await conn.close()
        await bus.close()


async def _drained(bus: Bus, conn: asyncpg.Connection, count: int) -> float:
    ends = sorted((await bus.ends(CONSUMED_TOPICS)).items())
    for _ in range(12_000):
        if not await conn.fetchval(_BEHIND, bus.id, *_columns(ends)) and not await conn.fetchval(WAITING):
            ended = time.perf_counter()
            if await conn.fetchval(_APPLIED) != count:
                raise BenchFailed(f"{await conn.fetchval(_APPLIED)} of {count} facts were applied")
            return ended
        await asyncio.sleep(0.05)
    raise BenchFailed("the group did not come to rest in ten minutes")


def _columns(ends: list[tuple[tuple[str, int], int]]) -> tuple[list[str], list[int], list[int]]:
    return [place[0] for place, _ in ends], [place[1] for place, _ in ends], [end for _, end in ends]
