"""A question at T: live figures are read as they stand, past ones computed again from the facts by today's rules."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from services.scoring.account import Amounts, Moment
from services.scoring.assessment import EARLIER_DAYS, Assessment, assess, stand_at, with_changes
from services.scoring.facts.read import Reader
from services.scoring.lifecycle.rules import lifecycle
from services.scoring.positions import Freshness
from services.scoring.rulebook import Joined, Terms, read_settings, read_terms
from services.scoring.tiers.rules import amounts
from shared.clock import Clock, end_of_day, zone
from shared.errors import Invalid
from shared.http import parse_as_of
from shared.postgres import Connection, Database, tenant_transaction
from shared.tenancy import Principal
from shared.tenant_settings import TenantSettings

MAX_ACCOUNTS: Final = 100_000
BELIEVED: Final = 1.0  # seconds that a tenant's settings are believed to be those in force, in a live answer
MOST_KNOWN: Final = 4_096  # tenants whose settings are remembered
_COUNT: Final = "SELECT coalesce(sum(accounts), 0) FROM counter WHERE dim = 'status' AND tenant = $1"


class TooManyAccounts(Invalid):
    """A past figure over more than 100,000 accounts is not computed on request."""

    code = "too_many_accounts"


@dataclass(frozen=True, slots=True)
class Question:
    """One request's view: the tenant's transaction, its terms, and T."""

    conn: Connection
    asker: Principal
    terms: Terms
    at: datetime
    live: bool
    fresh_to: datetime | None

    @property
    def tenant(self) -> int:
        """The asker's tenant."""
        return self.asker.tenant

    @property
    def moment(self) -> Moment:
        """T with what the tenant's facts say by then."""
        return self.terms.moment(self.at)

    @property
    def day(self) -> date:
        """T's day in the tenant's zone."""
        return self.moment.day

    def stamped(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer with `as_of`, and `fresh_to` when live or `computed` when not."""
        told = {"fresh_to": self.fresh_to} if self.live else {"computed": "scan"}
        return {"as_of": self.at, **told, **body}


@dataclass(frozen=True, slots=True)
class Desk:
    """What every route of scoring has at hand."""

    database: Database
    clock: Clock
    freshness: Freshness
    known: dict[int, tuple[float, TenantSettings]] = field(default_factory=dict)

    @asynccontextmanager
    async def glance(self, asker: Principal, *, settings: bool = False) -> AsyncIterator[Question]:
        """A question about now whose answer rests on rows alone, and with `settings` on what the tenant has set: its
        terms hold nothing else. Raises Unavailable."""
        now, fresh_to = self.clock.now(), self.freshness.fresh_to()
        base = base_settings(asker.time_zone, asker.currency)
        async with tenant_transaction(self.database.app, asker.tenant) as conn:
            held = await self._settings(conn, asker.tenant, base) if settings else base
            yield Question(conn, asker, _bare(asker.tenant, held), now, True, fresh_to)

    def forget(self, tenant: int) -> None:
        """The tenant's settings were changed by this process."""
        self.known.pop(tenant, None)

    async def _settings(self, conn: Connection, tenant: int, base: TenantSettings) -> TenantSettings:
        until, held = self.known.get(tenant, (0.0, base))
        if until < time.monotonic():
            _, held = await read_settings(conn, tenant, base)
            if len(self.known) > MOST_KNOWN:
                self.known.clear()
            self.known[tenant] = (time.monotonic() + BELIEVED, held)
        return held

    @asynccontextmanager
    async def question(
        self, asker: Principal, as_of: str | None = None, name: str = "as_of"
    ) -> AsyncIterator[Question]:
        """Opens the asker's transaction. `name`: the query parameter, or the pointer of the body's member, that `as_of`
        came in. Raises Invalid for an `as_of` that is no past time, Unavailable."""
        now = self.clock.now()
        base = base_settings(asker.time_zone, asker.currency)
        at = parse_as_of(as_of, now, zone(base.time_zone), name)
        fresh_to = self.freshness.fresh_to()  # before the figures are read: they are at least this fresh
        async with tenant_transaction(self.database.app, asker.tenant) as conn:
            terms = await read_terms(conn, asker.tenant, base)
            yield Question(conn, asker, terms, at, at == now, fresh_to)


def _bare(tenant: int, settings: TenantSettings) -> Terms:
    """Terms of a glance."""
    return Terms(tenant, settings, 0, (), (), {}, None, None, Joined(False, False))


@lru_cache(maxsize=1024)
def base_settings(time_zone: str, currency: str) -> TenantSettings:
    """The settings a tenant begins with."""
    return TenantSettings(time_zone=time_zone, currency=currency)


async def past(
    conn: Connection, terms: Terms, at: datetime, accounts: Sequence[int] | None = None, *, changes: bool = False
) -> dict[int, Assessment]:
    """Accounts as they stood at T by their integer key, all or those asked for that existed. Raises TooManyAccounts."""
    if accounts is None:
        await refuse_too_many(conn, terms.tenant)
    found = await _assessed(conn, terms, at, accounts)
    if not changes:
        return found
    day = terms.moment(at).day
    earlier: dict[int, dict[int, float | None]] = {}
    for ago in EARLIER_DAYS:
        then = end_of_day(day - timedelta(days=ago), terms.tz)
        for account, score in (await _scores(conn, terms, then, sorted(found))).items():
            earlier.setdefault(account, {})[ago] = score
    return {account: with_changes(one, earlier.get(account, {})) for account, one in found.items()}


async def refuse_too_many(conn: Connection, tenant: int) -> None:
    """Raises TooManyAccounts above 100,000."""
    if (await conn.fetchval(_COUNT, tenant) or 0) > MAX_ACCOUNTS:
        raise TooManyAccounts


async def _assessed(
    conn: Connection, terms: Terms, at: datetime, accounts: Sequence[int] | None
) -> dict[int, Assessment]:
    moment = terms.moment(at)
    rules = terms.rules(await amounts_at(conn, terms, moment))
    known = await Reader(conn, terms, moment).accounts(accounts)
    return {account: assess(one, moment, rules) for account, one in known.items()}


async def _scores(
    conn: Connection, terms: Terms, at: datetime, accounts: Sequence[int] | None
) -> dict[int, float | None]:
    moment = terms.moment(at)
    rules = terms.rules(await amounts_at(conn, terms, moment))
    known = await Reader(conn, terms, moment).accounts(accounts)
    return {account: stand_at(one, moment, rules).score for account, one in known.items()}


async def amounts_at(conn: Connection, terms: Terms, moment: Moment) -> Amounts:
    """The tier amounts that answer at T: the published ones in force that day, else computed from the accounts at T."""
    published = terms.published(moment.day)
    if published is not None:
        return published
    await refuse_too_many(conn, terms.tenant)
    known = await Reader(conn, terms, moment).values()
    lives = (lifecycle(one, moment) for one in known.values())
    return amounts((life.value for life in lives if not life.churned), terms.settings.tiers)
