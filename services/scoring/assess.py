"""The assessment: every quarter second each shard's waiting accounts are read set by set, judged, and written.

One writer per shard (an advisory lock) and the tenant held still against its own job (a shared lock): so no row is hot,
nothing deadlocks, and a crash between the fold's commit and this one loses nothing, because `dirty` was committed with
the fold and is deleted here in the same transaction as the figures.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import structlog

from services.scoring.account import Moment
from services.scoring.assessment import EARLIER_DAYS, Assessment, Stand, assess, stand_at, stand_of, with_changes
from services.scoring.facts.read import Reader
from services.scoring.facts.store import merge
from services.scoring.facts.tables import DIRTY, DUE
from services.scoring.gather import EVER, SHARDS
from services.scoring.health.snapshots import keep_bands, keep_day
from services.scoring.joins.store import account_members
from services.scoring.rulebook import AGO, Terms, read_terms
from services.scoring.state import (
    COUNTER,
    OLD_COLUMNS,
    STANDING,
    UPSERT_STATE,
    Row,
    difference,
    row_of,
)
from services.scoring.stream.store import write as tell_changes
from services.scoring.tenants import Tenants
from shared.clock import Clock, day_of
from shared.errors import Unavailable
from shared.metrics import ACCOUNTS_ASSESSED, ASSESS_SECONDS
from shared.postgres import Connection, Database, connection, tenant_transaction

log = structlog.get_logger()
TICK: Final = 0.25
ROUND: Final = 4_000  # waiting rows taken at once
TOGETHER: Final = 1_000  # waiting rows up to which shards are read and written as one: fewer statements where few wait
# Advisory lock classes, mixed with the name of the state: one that is being rebuilt beside it waits for nobody.
SHARD_LOCK: Final = 7_310  # key = shard
TENANT_LOCK: Final = 7_311  # key = tenant
ABSENT: Final = Stand(0, None, None, None)
_TAKE: Final = """
DELETE FROM dirty WHERE ctid = ANY (ARRAY(SELECT ctid FROM dirty WHERE shard = ANY($1) ORDER BY received LIMIT $2))
RETURNING tenant, account, received, since
"""
_WAITING: Final = "SELECT shard, count(*) AS rows FROM dirty GROUP BY shard ORDER BY shard"
_OLD: Final = f"SELECT {', '.join(OLD_COLUMNS)} FROM account_state WHERE tenant = $1 AND account = ANY($2)"
_STANDING: Final = (
    "SELECT account, ago, day, value, tier, score, band FROM standing WHERE tenant = $1 AND account = ANY($2)"
)
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
    snapshots are kept of it and no listener is told."""

    def __init__(self, database: Database, clock: Clock, tenants: Tenants, *, shown: bool = True) -> None:
        self._database, self._clock, self._tenants, self._shown = database, clock, tenants, shown

    async def run(self) -> None:
        """Every tick; PostgreSQL away means waiting, nothing is skipped."""
        while True:
            started = asyncio.get_running_loop().time()
            try:
                while await self.round() >= ROUND // 2:  # noqa: ASYNC110 not a wait: the next round has work
                    await asyncio.sleep(0)
            except (Unavailable, OSError, TimeoutError) as problem:
                log.warning("assessment_waits", reason=str(problem))
            took = asyncio.get_running_loop().time() - started
            await asyncio.sleep(max(0.01, TICK - took))

    async def round(self) -> int:
        """One pass over all shards: how many waiting rows were taken."""
        await self._tenants.refresh_if_old()
        taken = 0
        async with connection(self._database.worker) as conn:
            waiting = [(row["shard"], row["rows"]) for row in await conn.fetch(_WAITING)]
        for shards in in_groups(waiting, TOGETHER):
            taken += await self._shards(shards)
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
        for tenant, account, received, since in await conn.fetch(_TAKE, free, ROUND) if free else ():
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


@dataclass(slots=True)
class Waiting:
    """The waiting accounts of one tenant and shard, each with the earliest day a change reaches back to; `received` is
    the oldest acceptance among them."""

    received: datetime
    since: dict[int, date] = field(default_factory=dict)
    rows: int = 0

    def add(self, account: int, received: datetime, since: date) -> None:
        """One row of `dirty`."""
        self.received = min(self.received, received)
        self.since[account] = min(self.since.get(account, since), since)
        self.rows += 1


@dataclass(slots=True)
class Round:
    """One tenant's share of one round, inside its transaction."""

    conn: Connection
    terms: Terms
    moments: Mapping[int, Moment]
    waiting: Waiting
    now: datetime
    shown: bool = True

    async def run(self) -> bool:
        """Judges and writes; whether any account's money, standing or tier order changed at one of the moments."""
        kept = await self._kept(sorted(self.waiting.since))
        live: dict[int, Assessment] = {}
        standing: dict[tuple[int, int], tuple] = {}
        for ago in AGO:
            stale = self._stale(ago, kept)
            asked = [account for account in stale if not self._absent(account, ago, kept)]
            at = await self._reader(ago).accounts(asked) if asked else {}
            rules = self.terms.live_rules(ago, self.moments[ago])
            if ago == 0:
                live = {key: assess(one, self.moments[ago], rules) for key, one in at.items()}
                stands = {key: stand_of(one) for key, one in live.items()}
            else:
                stands = {key: stand_at(one, self.moments[ago], rules) for key, one in at.items()}
            for account in stale:
                standing[account, ago] = self._standing(account, ago, stands.get(account, ABSENT))
            await asyncio.sleep(0)
        changed_money = _money_changed(kept, standing)
        await merge(self.conn, STANDING, (row for key, row in standing.items() if kept.get(key) != row))
        await self._write(live, {**kept, **standing})
        return changed_money

    async def absorb(self) -> bool:
        """Accounts that another stands for now: their own rows go, that other waits instead. Whether there were any."""
        tenant, since = self.terms.tenant, self.waiting.since
        stands_for = await account_members(self.conn, tenant, sorted(since))
        gone = sorted(account for account in since if stands_for[account] != account)
        if not gone:
            return False
        instead: dict[int, date] = {}
        for account in gone:
            other = stands_for[account]
            instead[other] = min(instead.get(other, date.max), since.pop(account))
        received = self.waiting.received
        await merge(
            self.conn, DIRTY, ((other % SHARDS, tenant, other, received, day) for other, day in instead.items())
        )
        old = {row["account"]: row for row in await self.conn.fetch(_OLD, tenant, gone)}
        await merge(self.conn, COUNTER, self._counters(old, dict.fromkeys(old)))
        for table in ("account_state", "standing"):
            await self.conn.execute(f"DELETE FROM {table} WHERE tenant = $1 AND account = ANY($2)", tenant, gone)
        return True

    def _reader(self, ago: int) -> Reader:
        return Reader(self.conn, self.terms, self.moments[ago])

    def _stale(self, ago: int, kept: Mapping[tuple[int, int], tuple]) -> list[int]:
        """Now is always judged again; an earlier day only when a change reaches back to it, or the days moved on."""
        since, day = self.waiting.since, self.moments[ago].day
        if ago == 0:
            return sorted(since)
        rows = ((account, kept.get((account, ago))) for account in sorted(since))
        return [account for account, row in rows if row is None or row[3] != day or since[account] <= day]

    def _absent(self, account: int, ago: int, kept: Mapping[tuple[int, int], tuple]) -> bool:
        """Whether it surely did not exist then: never judged before, and every fact of it is of a later day."""
        return ago != 0 and (account, ago) not in kept and self.waiting.since[account] > self.moments[ago].day

    async def _kept(self, accounts: Sequence[int]) -> dict[tuple[int, int], tuple]:
        tenant = self.terms.tenant
        rows = await self.conn.fetch(_STANDING, tenant, accounts)
        return {(row["account"], row["ago"]): (tenant, *row) for row in rows}

    def _standing(self, account: int, ago: int, one: Stand) -> tuple:
        """A row of `standing`; an account that did not exist then has no value and no score."""
        tenant, day = self.terms.tenant, self.moments[ago].day
        return tenant, account, ago, day, one.value, one.tier, one.score, one.band or "none"

    async def _write(self, live: Mapping[int, Assessment], standing: Mapping[tuple[int, int], tuple]) -> None:
        old = {row["account"]: row for row in await self.conn.fetch(_OLD, self.terms.tenant, sorted(live))}
        rows = {account: self._row(account, one, standing) for account, one in live.items()}
        changed = {
            account: row
            for account, row in rows.items()
            if account not in old or old[account]["digest"] != row["digest"]
        }
        if self.shown:
            await keep_day(self.conn, self.terms.tenant, old, self.moments[1].day, self.moments[1].at)
        await merge(self.conn, UPSERT_STATE, (tuple(row.values()) for row in changed.values()))
        if self.shown:
            await keep_bands(self.conn, self.terms.tenant, old, changed, self.now)
        await merge(self.conn, DUE, self._ends(live))
        await merge(self.conn, COUNTER, self._counters(old, changed))
        if self.shown:
            await tell_changes(self.conn, self.terms.tenant, old, changed, self.now)

    def _ends(self, live: Mapping[int, Assessment]) -> list[tuple]:
        """When manual bands end by themselves. Written here and not by who gives them: a rebuilt state knows it too."""
        held = [(one.override.expires_at, account) for account, one in live.items() if one.override]
        return [(at, self.terms.tenant, "account", str(account)) for at, account in held]

    def _row(self, account: int, one: Assessment, standing: Mapping[tuple[int, int], tuple]) -> Row:
        earlier = {ago: standing[account, ago][6] for ago in EARLIER_DAYS}
        full = with_changes(one, earlier)
        band_7d = standing[account, 7][7]
        shown = None if band_7d == "none" else band_7d
        return row_of(full, self.terms.tenant, account, account % SHARDS, self.moments[0].day, shown, self.now)

    def _counters(self, old: Mapping[int, Any], changed: Mapping[int, Row | None]) -> list[tuple]:
        totals: dict[tuple[str, str, str, int], list[int]] = {}
        for account, row in changed.items():
            for place, delta in difference(old.get(account), row).items():
                sums = totals.setdefault((*place, account % SHARDS), [0] * len(delta))
                for index, value in enumerate(delta):
                    sums[index] += value
        return [(self.terms.tenant, *place, *sums) for place, sums in totals.items() if any(sums)]


def _money_changed(kept: Mapping[tuple[int, int], tuple], standing: Mapping[tuple[int, int], tuple]) -> bool:
    """Whether the order of values that provisional amounts are read from is another one."""
    return any((kept[key][4] if key in kept else 0) != row[4] for key, row in standing.items())
