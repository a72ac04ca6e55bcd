"""The assessment: every quarter second each shard's waiting accounts are read set by set, judged, and written.

One writer per shard (an advisory lock) and the tenant held still against its own job (a shared lock): so no row is hot,
nothing deadlocks, and a crash between the fold's commit and this one loses nothing, because `dirty` was committed with
the fold and is deleted here in the same transaction as the figures.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import structlog

from services.scoring.account import Moment
from services.scoring.gather import EVER
from services.scoring.round import Round, Waiting
from services.scoring.rulebook import Terms, read_terms
from services.scoring.tenants import Tenants
from shared.clock import Clock, day_of
from shared.errors import Unavailable
from shared.metrics import ACCOUNTS_ASSESSED, ASSESS_SECONDS
from shared.postgres import Connection, Database, connection, tenant_transaction

log = structlog.get_logger()
TICK: Final = 0.25
ROUND: Final = 1_500  # waiting rows taken at once
TOGETHER: Final = 1_500  # waiting rows up to which shards are read and written as one: fewer statements where few wait
TURNS: Final = 4  # lots of one shard in a round
LANES: Final = 3  # transactions side by side: while PostgreSQL works for two, we compute for the third
REST: Final = 4.0  # while the fold is behind: how long we rest after a round, in rounds
# Advisory lock classes, mixed with the name of the state: one that is being rebuilt beside it waits for nobody.
SHARD_LOCK: Final = 7_310  # key = shard
TENANT_LOCK: Final = 7_311  # key = tenant
_OLDEST: Final = "SELECT account FROM dirty WHERE shard = ANY($1) ORDER BY received LIMIT $2"
# All that waits for these accounts, so that each is judged once. Keys of accounts are unique among all tenants.
_TAKE: Final = """
DELETE FROM dirty WHERE shard = ANY($1) AND account = ANY($2) RETURNING tenant, account, received, since
"""
_WAITING: Final = "SELECT shard, count(*) AS rows FROM dirty GROUP BY shard ORDER BY shard"
_FIRST_USAGE: Final = "SELECT min(first_day) FROM account_user WHERE tenant = $1 AND account = ANY($2)"
_FIRST_CONTACT: Final = "SELECT min(at) FROM contact WHERE tenant = $1 AND account = ANY($2) AND at <= $3"
_FIRSTS: Final = """
INSERT INTO first_facts AS f (tenant, usage_day, contact_at) VALUES ($1, $2, $3)
ON CONFLICT (tenant) DO UPDATE SET usage_day = least(f.usage_day, excluded.usage_day),
  contact_at = least(f.contact_at, excluded.contact_at)
"""
_FREE: Final = """
SELECT shard, pg_try_advisory_xact_lock($1 # hashtext(current_schema()), shard) AS free
FROM unnest($2::int[]) AS w(shard)
"""
_WITH_OTHERS: Final = "SELECT pg_advisory_xact_lock_shared($1 # hashtext(current_schema()), $2)"
_RECHECK: Final = "INSERT INTO recheck (tenant, kind, key, since, received) VALUES ($1, $2, '', $3, $4)"


class Assessor:
    """Works through the shards. `run` until cancelled; `round` once. `shown` False: nobody has seen this state, so no
    snapshots are kept of it and no listener is told. `lag`: by how many seconds the fold beside us is behind; then most
    of what we judge would soon be judged again, and our time is better spent by it."""

    def __init__(
        self, database: Database, clock: Clock, tenants: Tenants, *, shown: bool = True,
        lag: Callable[[], float] = lambda: 0.0,
    ) -> None:  # fmt: skip
        self._database, self._clock, self._tenants, self._shown = database, clock, tenants, shown
        self._lag = lag

    async def run(self) -> None:
        """Every tick; PostgreSQL away means waiting, nothing is skipped."""
        while True:
            started = asyncio.get_running_loop().time()
            try:
                while await self.round() >= ROUND // 2 and not self._lag():  # noqa: ASYNC110 each round has work
                    await asyncio.sleep(0)
            except (Unavailable, OSError, TimeoutError) as problem:
                log.warning("assessment_waits", reason=str(problem))
            took = asyncio.get_running_loop().time() - started
            await self._rest(took)

    async def _rest(self, took: float) -> None:
        """Until the next tick. While the fold is behind longer, though no longer than it is behind: what is answered is
        that old in any case."""
        clock = asyncio.get_running_loop().time
        ended = clock()
        await asyncio.sleep(max(0.01, TICK - took))
        while clock() - ended < min(REST * took, self._lag()):  # noqa: ASYNC110 the fold sets nobody's event
            await asyncio.sleep(TICK)

    async def round(self) -> int:
        """One pass over all shards, a few where more waits than is taken at once: how many waiting rows were taken."""
        await self._tenants.refresh_if_old()
        async with connection(self._database.worker) as conn:
            waiting = [(row["shard"], row["rows"]) for row in await conn.fetch(_WAITING)]
        groups: deque[tuple[Sequence[int], int]] = deque((shards, 1) for shards in in_groups(waiting, TOGETHER))
        done = await asyncio.gather(*(self._lane(groups) for _ in range(LANES)), return_exceptions=True)
        for problem in done:
            if isinstance(problem, BaseException):
                raise problem
        return sum(taken for taken in done if isinstance(taken, int))

    async def _lane(self, groups: deque[tuple[Sequence[int], int]]) -> int:
        """Works off what the other lanes have not begun. Where as much was taken as may be, more may wait: that comes
        again after the others, so that no lane stands still at the end of each pass. Not for ever: who has come to wait
        since is seen by the next round."""
        taken = 0
        while groups:
            shards, turn = groups.popleft()
            found = await self._shards(shards)
            taken += found
            if found >= ROUND and turn < TURNS and not self._lag():
                groups.append((shards, turn + 1))
        return taken

    async def _shards(self, shards: Sequence[int]) -> int:
        # A crash that loses this commit loses the deletion from `dirty` with it: all is judged again.
        async with tenant_transaction(self._database.worker, durable=False) as conn:
            taken = await self._take(conn, shards)
            for tenant, waiting in taken.items():
                with ASSESS_SECONDS.time():
                    await self._tenant(conn, tenant, waiting)
        return sum(waiting.rows for waiting in taken.values())

    async def _take(self, conn: Connection, shards: Sequence[int]) -> dict[int, "Waiting"]:
        free = [row["shard"] for row in await conn.fetch(_FREE, SHARD_LOCK, shards) if row["free"]]
        taken: dict[int, Waiting] = {}
        oldest = sorted({row["account"] for row in await conn.fetch(_OLDEST, free, ROUND)}) if free else []
        for tenant, account, received, since in await conn.fetch(_TAKE, free, oldest) if oldest else ():
            taken.setdefault(tenant, Waiting(received)).add(account, received, since)
        if any(tenant not in self._tenants.terms for tenant in taken):
            await self._tenants.refresh()
        listed = ",".join(str(tenant) for tenant in taken)
        await conn.execute("SELECT set_config('app.tenants', $1, true)", listed)
        return dict(sorted(taken.items()))

    async def _tenant(self, conn: Connection, tenant: int, waiting: "Waiting") -> None:
        await conn.execute(_WITH_OTHERS, TENANT_LOCK, tenant)
        terms = await read_terms(conn, tenant, self._tenants.terms[tenant].base)
        now = self._clock.now()
        moments = terms.moments(now)
        if await self._first_facts(conn, terms, waiting, moments[0]):
            await conn.execute(_RECHECK, tenant, "all", EVER, waiting.received)
        round_ = Round(conn, terms, moments, waiting, now, self._shown)
        absorbed = await round_.absorb() if terms.joined.accounts else False
        ACCOUNTS_ASSESSED.inc(len(waiting.since))
        if await round_.run() or absorbed:
            await conn.execute(_RECHECK, tenant, "money", moments[0].day, waiting.received)

    async def _first_facts(self, conn: Connection, terms: Terms, waiting: "Waiting", now: Moment) -> bool:
        """Whether the tenant's earliest usage or contact is earlier than was known: then all its accounts differ. What
        reaches back to no earlier day cannot be."""
        tenant, accounts, since = terms.tenant, sorted(waiting.since), min(waiting.since.values())
        usage = contact = None
        if terms.first_usage_day is None or since < terms.first_usage_day:
            usage = await conn.fetchval(_FIRST_USAGE, tenant, accounts)
        if terms.first_contact_at is None or since <= day_of(terms.first_contact_at, terms.tz):
            contact = await conn.fetchval(_FIRST_CONTACT, tenant, accounts, now.at)
        earlier = _earlier(usage, terms.first_usage_day) or _earlier(contact, terms.first_contact_at)
        if earlier:
            await conn.execute(_FIRSTS, tenant, usage, contact)
        return earlier


def in_groups(waiting: Iterable[tuple[int, int]], most: int) -> list[list[int]]:
    """Shards, given with how many rows wait in each, in groups of at most so many rows or of one shard."""
    groups: list[list[int]] = []
    room = 0
    for shard, rows in waiting:
        if not groups or rows > room:
            groups.append([])
            room = most
        groups[-1].append(shard)
        room -= rows
    return groups


def _earlier(found: Any, known: Any) -> bool:
    return found is not None and (known is None or found < known)
