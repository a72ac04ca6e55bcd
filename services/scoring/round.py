"""One tenant's share of one round of the assessment: its waiting accounts read set by set, judged, and written."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, TypeVar

from services.scoring.account import AccountAt, Moment
from services.scoring.assessment import EARLIER_DAYS, Assessment, Stand, assess, stand_at, stand_of, with_changes
from services.scoring.facts.read import Reader
from services.scoring.facts.store import merge
from services.scoring.facts.tables import DIRTY, DUE
from services.scoring.gather import SHARDS
from services.scoring.health.snapshots import keep_bands, keep_day
from services.scoring.joins.store import account_members
from services.scoring.rulebook import AGO, Terms
from services.scoring.state import COUNTER, OLD_COLUMNS, STANDING, UPSERT_STATE, Counts, Place, Row, difference, row_of
from services.scoring.stream.store import write as tell_changes
from shared.postgres import Connection

YIELD_EVERY: Final = 100  # accounts judged before other tasks get a turn
ABSENT: Final = Stand(0, None, None, None)
One = TypeVar("One")
Made = TypeVar("Made")
_OLD: Final = f"SELECT {', '.join(OLD_COLUMNS)} FROM account_state WHERE tenant = $1 AND account = ANY($2)"
_STANDING: Final = (
    "SELECT account, ago, day, value, tier, score, band FROM standing WHERE tenant = $1 AND account = ANY($2)"
)


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
        stale = {ago: asked for ago in AGO if (asked := self._stale(ago, kept))}
        for ago, known in (await self._read(stale, kept)).items():
            if ago == 0:
                live = await self._live(known)
                stands = {key: stand_of(one) for key, one in live.items()}
            else:
                stands = await self._stands(ago, known)
            for account in stale[ago]:
                standing[account, ago] = self._standing(account, ago, stands.get(account, ABSENT))
        changed_money = _money_changed(kept, standing)
        await merge(self.conn, STANDING, (row for key, row in standing.items() if kept.get(key) != row))
        await self._write(live, {**kept, **standing})
        return changed_money

    async def _live(self, known: Mapping[int, AccountAt]) -> dict[int, Assessment]:
        moment = self.moments[0]
        rules = self.terms.live_rules(0, moment)
        return await in_turns(known, lambda _, one: assess(one, moment, rules))

    async def _stands(self, ago: int, known: Mapping[int, AccountAt]) -> dict[int, Stand]:
        moment = self.moments[ago]
        rules = self.terms.live_rules(ago, moment)
        return await in_turns(known, lambda _, one: stand_at(one, moment, rules))

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
        await merge(self.conn, COUNTER, await self._counters(old, dict.fromkeys(old)))
        for table in ("account_state", "standing"):
            await self.conn.execute(f"DELETE FROM {table} WHERE tenant = $1 AND account = ANY($2)", tenant, gone)
        return True

    async def _read(
        self, stale: Mapping[int, list[int]], kept: Mapping[tuple[int, int], tuple]
    ) -> dict[int, dict[int, AccountAt]]:
        """What is known at each moment of the accounts to be judged there: all moments by the same statements."""
        asked = {ago: [one for one in some if not self._absent(one, ago, kept)] for ago, some in stale.items()}
        agos = [ago for ago, some in asked.items() if some]
        if not agos:
            return {ago: {} for ago in stale}
        reader = Reader(self.conn, self.terms, *(self.moments[ago] for ago in agos))
        found = await reader.each(stale[0], [asked[ago] for ago in agos])
        return {ago: {} for ago in stale} | dict(zip(agos, found, strict=True))

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
        rows = await in_turns(live, lambda account, one: self._row(account, one, standing))
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
        await merge(self.conn, COUNTER, await self._counters(old, changed))
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

    async def _counters(self, old: Mapping[int, Any], changed: Mapping[int, Row | None]) -> list[tuple]:
        differences = await in_turns(changed, lambda account, row: difference(old.get(account), row))
        return [(self.terms.tenant, *place, *sums) for place, sums in summed(differences).items() if any(sums)]


def _money_changed(kept: Mapping[tuple[int, int], tuple], standing: Mapping[tuple[int, int], tuple]) -> bool:
    """Whether the order of values that provisional amounts are read from is another one."""
    return any((kept[key][4] if key in kept else 0) != row[4] for key, row in standing.items())


async def in_turns(accounts: Mapping[int, One], work: Callable[[int, One], Made]) -> dict[int, Made]:
    """The work of each account, with turns for other tasks in between: what answers requests may share this loop."""
    done: dict[int, Made] = {}
    for count, (account, one) in enumerate(accounts.items(), 1):
        done[account] = work(account, one)
        if count % YIELD_EVERY == 0:
            await asyncio.sleep(0)
    return done


def summed(differences: Mapping[int, Mapping[Place, Counts]]) -> dict[tuple[str, str, str, int], list[int]]:
    """Counts by (dim, key, tier, shard). Most differences are of few counts, and the same in all places."""
    totals: dict[tuple[str, str, str, int], list[int]] = {}
    for account, places in differences.items():
        told: Counts = ()
        parts: list[tuple[int, int]] = []
        for place, delta in places.items():
            if delta is not told:
                told, parts = delta, [(index, value) for index, value in enumerate(delta) if value]
            sums = totals.setdefault((*place, account % SHARDS), [0] * len(delta))
            for index, value in parts:
                sums[index] += value
    return totals
