"""The tenants that exist, with their zones: what the fold and the ticker must know before they open a transaction."""

import time
from collections.abc import Iterable
from typing import Final

import asyncpg

from services.scoring.gather import TenantTerms
from shared.clock import Days, zone
from shared.postgres import connection
from shared.tenant_settings import TenantSettings

_ALL: Final = "SELECT tenant, time_zone, currency FROM access.tenant ORDER BY tenant"
MAX_AGE: Final = 5.0  # seconds; a zone cannot change once the tenant has facts


class Tenants:
    """A copy of the tenant list, at most 5 s old."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._read_at = float("-inf")
        self.terms: dict[int, TenantTerms] = {}

    def known(self, tenant: int) -> bool:
        """Whether the tenant exists."""
        return tenant in self.terms

    async def refresh_if_old(self) -> None:
        """Reads the list again when it is older than 5 s."""
        if time.monotonic() - self._read_at > MAX_AGE:
            await self.refresh()

    async def refresh(self) -> None:
        """Reads the list; day caches of unchanged zones are kept."""
        async with connection(self._pool) as conn:
            rows = await conn.fetch(_ALL)
        terms: dict[int, TenantTerms] = {}
        for row in rows:
            tz = zone(row["time_zone"])
            old = self.terms.get(row["tenant"])
            if old is None or old.tz is not tz:
                base = TenantSettings(time_zone=row["time_zone"], currency=row["currency"])
                old = TenantTerms(tz, Days(tz), base)
            terms[row["tenant"]] = old
        self.terms = terms
        self._read_at = time.monotonic()

    async def meet(self, tenants: Iterable[int]) -> None:
        """Makes sure that these, read from a table, are in `terms`: one of them may be younger than the copy."""
        if not self.terms.keys() >= set(tenants):
            await self.refresh()
