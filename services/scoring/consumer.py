"""The loop that carries records from the log into the fold, once each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import asyncpg
import structlog

from services.scoring import fold
from services.scoring.batch import Batch, Dead, read_record
from services.scoring.dead.letters import letter
from services.scoring.erasure import store as erasures
from services.scoring.erasure.lines import scrub
from services.scoring.erasure.rules import Erased
from services.scoring.gather import Wanted
from services.scoring.keys import Keys
from services.scoring.tenants import Tenants
from shared import facts
from shared.bus import Bus, BusBroken, BusUnavailable, Consumer, Outgoing, Place, Positions, Record
from shared.clock import Clock
from shared.errors import Unavailable
from shared.metrics import FACTS_FOLDED
from shared.postgres import Database, tenant_transaction

log = structlog.get_logger()
Result = TypeVar("Result")
NAME: Final = "scoring"
SHARED_LOOP_FACTS: Final = 5_000  # a batch beside other services in one loop: reads keep their p99
YIELD_EVERY: Final = 1_000  # facts decoded before other tasks get a turn
FEW_FACTS: Final = 500  # a batch below this is followed by the rest of a pause:
PACE: Final = 0.1  # seconds between the starts of small batches; a transaction costs as much for one fact as for fifty
TELL_EVERY: Final = 1.0  # seconds between two words to the lag tools
COMPARE_EVERY: Final = 1.0  # seconds between two looks at the stored positions while nothing comes
FULL: Final = 0.8  # of what a batch may hold: from there on more waits behind it
DEAD_RUN: Final = 100  # dead lines of one batch beyond which, when they are most of it, we stop: a bad deploy
BACKOFF: Final = (0.1, 0.5, 1, 2, 5, 5, 10)
_TRANSIENT: Final = (
    Unavailable,
    BusUnavailable,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    TimeoutError,
    OSError,
)


class _ListGrew(fold.Fenced):
    """The batch may name somebody who was erased: it is undone and fetched again."""


class FoldLoop:
    """Fetches, decodes, applies; drops what was applied before; stops loudly when the log contradicts the state."""

    def __init__(
        self, bus: Bus, consumer: Consumer, database: Database, positions: Positions, clock: Clock,
        max_facts: int = SHARED_LOOP_FACTS,
    ) -> None:  # fmt: skip
        self._bus, self._consumer, self._database, self._clock = bus, consumer, database, clock
        self._positions, self._max_facts = positions, max_facts
        self._keys = Keys(database.worker)
        self._tenants = Tenants(database.worker)
        self._erased = Erased()
        self._next: dict[Place, int] = {}
        self._sought: set[Place] = set()
        self._untold: dict[Place, int] = {}
        self._told_at = self._compared_at = float("-inf")
        self._lost = False
        self._lag = 0.0

    def lag(self) -> float:
        """How many seconds ago the oldest fact of the last batch was accepted, if more waits behind it; else 0."""
        return self._lag

    async def run(self) -> None:
        """Until cancelled. Raises BusBroken when a person must look."""
        await self._retrying(self._consumer.start)
        clock = asyncio.get_running_loop().time
        try:
            while True:
                began = clock()
                if await self._retrying(self.step) < FEW_FACTS:
                    await asyncio.sleep(max(0.0, began + PACE - clock()))
        finally:
            await self._consumer.close()

    async def _retrying(self, work: Callable[[], Awaitable[Result]]) -> Result:
        attempt = 0
        while True:
            try:
                return await work()
            except _TRANSIENT as problem:
                log.warning("fold_waits", reason=f"{type(problem).__name__}: {problem}"[:300], attempt=attempt)
                self._lost = True
                await asyncio.sleep(BACKOFF[min(attempt, len(BACKOFF) - 1)])
                attempt += 1

    async def step(self, wait: float = 0.25) -> int:
        """One fetch and its transaction; how many facts, repeats too. 0 when nothing waited."""
        if self._lost:  # after a failed step what the database holds decides, not what we remember
            await self._seek_stored(set(self._next))
            self._lost = False
        records = await self._in_order(await self._consumer.fetch(self._max_facts, wait))
        full = sum(record.facts for record in records) >= FULL * self._max_facts
        self._lag = (self._clock.micros() - min(record.received for record in records)) / 1e6 if full else 0.0
        if not records:
            await self._tell({})
            await self._compare()
            return 0
        batch = await self._decode(records)
        if too_many_dead(batch):
            raise BusBroken(f"{len(batch.dead)} of {len(batch.lines) + len(batch.dead)} facts cannot be read")
        await self._bury(batch.dead)
        try:
            await self._apply(batch)
        except fold.Fenced as problem:
            log.warning("fold_fenced", reason=str(problem))
            await self._seek_stored({(record.topic, record.part) for record in records})
        return sum(record.facts for record in records)

    async def _in_order(self, records: Sequence[Record]) -> list[Record]:
        """Drops what was applied before; a partition that begins too late is sought to its stored position once."""
        await self._learn({(record.topic, record.part) for record in records})
        expected = dict(self._next)
        kept: list[Record] = []
        late: set[Place] = set()
        for record in records:
            place = (record.topic, record.part)
            if place not in late and record.offset == expected[place]:
                kept.append(record)
                expected[place] += 1
            elif record.offset > expected[place]:
                late.add(place)
        self._sought -= {(record.topic, record.part) for record in kept}
        await self._seek_late(late)
        return kept

    async def _seek_late(self, late: set[Place]) -> None:
        again = late & self._sought
        if again:
            raise BusBroken(f"records are missing before the fetched ones of {sorted(again)}")
        self._sought |= late
        if late:
            await self._seek_stored(late)

    async def _learn(self, places: set[Place]) -> None:
        new = places - set(self._next)
        if new:
            self._next.update(await self._positions(new))

    async def _seek_stored(self, places: set[Place]) -> None:
        for place, offset in (await self._positions(places)).items():
            self._next[place] = offset
            self._consumer.seek(place, offset)

    async def _compare(self) -> None:
        """While nothing comes: a database that a crash set back asks again for what its last commits had."""
        now = asyncio.get_running_loop().time()
        if now - self._compared_at < COMPARE_EVERY or not self._next:
            return
        self._compared_at = now
        stored = await self._positions(set(self._next))
        if any(stored[place] != offset for place, offset in self._next.items()):
            log.warning("positions_set_back")
            self._lost = True

    async def _decode(self, records: Sequence[Record]) -> Batch:
        batch = Batch(records)
        await self._tenants.refresh_if_old()
        done = 0
        for record in records:
            read_record(batch, record, self._tenants.known)
            done += record.facts
            if done >= YIELD_EVERY:
                done = 0
                await asyncio.sleep(0)
        if any("no such tenant" in dead.reason for dead in batch.dead):
            await self._tenants.refresh()
            batch = self._decode_again(records)
        return batch

    def _decode_again(self, records: Sequence[Record]) -> Batch:
        """A tenant made a moment ago is known now; a line that is still dead stays so."""
        batch = Batch(records)
        for record in records:
            read_record(batch, record, self._tenants.known)
        return batch

    async def _apply(self, batch: Batch) -> None:
        scrub(batch, self._erased)
        wanted = Wanted.of(batch.lines)
        resolved = await self._keys.resolve(wanted, self._tenants.terms)
        tenants = sorted({line.fact.tenant for line in batch.lines})
        # A power cut that loses this commit loses the positions with it: the log gives the same records again.
        try:
            async with tenant_transaction(self._database.worker, *tenants, durable=False) as conn:
                done = await fold.apply(conn, batch, resolved, self._bus.id, NAME)
                if await erasures.version(conn) != self._erased.version:
                    raise _ListGrew("persons were erased since the list of them was read")
        except _ListGrew:
            await self._forget(wanted.persons)
            raise
        self._count(done, len(batch.dead))
        moved = {place: span[1] for place, span in batch.intervals().items()}
        self._next.update(moved)
        await self._tell(moved)

    async def _forget(self, named: Iterable[tuple[int, str]]) -> None:
        """Reads the list of erased persons again; ids of theirs that were only just given a key lose it."""
        self._erased = await erasures.read_list(self._database.worker)
        theirs = [one for one in named if self._erased.alias(*one) is not None]
        async with tenant_transaction(self._database.worker, *{tenant for tenant, _ in theirs}) as conn:
            await erasures.drop_keys(conn, theirs)

    async def _tell(self, moved: Mapping[Place, int]) -> None:
        self._untold |= moved
        now = asyncio.get_running_loop().time()
        if not self._untold or now - self._told_at < TELL_EVERY:
            return
        told, self._untold, self._told_at = self._untold, {}, now
        try:
            await self._consumer.committed(told)
        except BusUnavailable as problem:  # for lag tools only: the positions that count are stored
            log.info("positions_not_shown", reason=str(problem))

    def _count(self, done: fold.Applied, dead: int) -> None:
        FACTS_FOLDED.labels("applied").inc(done.applied)
        FACTS_FOLDED.labels("duplicate").inc(done.duplicates)
        FACTS_FOLDED.labels("conflict").inc(done.conflicts)
        FACTS_FOLDED.labels("dead").inc(dead)

    async def _bury(self, dead: Sequence[Dead]) -> None:
        """Dead letters must be durable before the batch's positions move on."""
        if not dead:
            return
        lines = [letter(one) for one in dead]
        part = facts.partition(0, dead[0].place[0] + str(dead[0].place[1]), self._bus.partitions)
        received = self._clock.micros()
        await self._bus.publish([Outgoing(facts.DEAD_TOPIC, part, lines, received)], timeout=10)
        log.error("facts_dead", count=len(dead), first_reason=dead[0].reason)


def too_many_dead(batch: Batch) -> bool:
    """Whether this looks like our own fault rather than the lines': then nothing may go to the dead letters."""
    return len(batch.dead) > DEAD_RUN and len(batch.dead) > len(batch.lines)
