"""Text ids ↔ integer surrogate keys, filled in short transactions of their own before a batch."""

from collections.abc import Iterable, Mapping
from typing import Final

import asyncpg

from services.scoring.gather import Resolved, TenantTerms, Wanted
from shared.postgres import tenant_transaction

Id = tuple[int, str]  # tenant, text id
_LIMIT: Final = 250_000  # ids kept in memory per map: about 50 MB when full, and what was forgotten is asked for again


class KeyMap:
    """One map of one table. A key-map row is not yet an account or a person: only facts make those."""

    def __init__(self, pool: asyncpg.Pool, table: str, text: str, number: str) -> None:
        self._pool = pool
        self._cache: dict[Id, int] = {}
        self._find = f"""SELECT w.tenant, w.id, k.{number} FROM unnest($1::int[], $2::text[]) AS w(tenant, id)
            JOIN {table} k ON k.tenant = w.tenant AND k.{text} = w.id"""
        self._add = f"""INSERT INTO {table} (tenant, {text})
            SELECT tenant, id FROM unnest($1::int[], $2::text[]) AS w(tenant, id)
            ORDER BY 1, 2 ON CONFLICT DO NOTHING RETURNING tenant, {text}, {number}"""

    async def of(self, wanted: Iterable[Id]) -> dict[Id, int]:
        """The key of each id, made if new."""
        ids = set(wanted)
        cache = self._cache
        missing = sorted(one for one in ids if one not in cache)
        if missing:
            if len(cache) + len(missing) > _LIMIT:
                cache.clear()
                missing = sorted(ids)
            await self._load(missing)
        return {one: cache[one] for one in ids}

    async def _load(self, missing: list[Id]) -> None:
        tenants = sorted({tenant for tenant, _ in missing})
        found: dict[Id, int] = {}
        # Durable, and remembered only then: a key that a crash takes back must never be used, another would get it.
        async with tenant_transaction(self._pool, *tenants) as conn:
            for statement in (self._find, self._add, self._find):
                rest = [one for one in missing if one not in found]
                if not rest:
                    break
                rows = await conn.fetch(statement, [tenant for tenant, _ in rest], [text for _, text in rest])
                found.update({(row[0], row[1]): row[2] for row in rows})
        self._cache.update(found)


class Keys:
    """The three maps that the fold needs."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.accounts = KeyMap(pool, "scoring.account_key", "account_id", "account")
        self.persons = KeyMap(pool, "scoring.person_key", "person_id", "person")
        self.features = KeyMap(pool, "scoring.feature_key", "event", "feature")

    async def resolve(self, wanted: Wanted, terms: Mapping[int, TenantTerms]) -> Resolved:
        """Everything that a batch names by its key, made if new; `terms` by tenant."""
        return Resolved(
            await self.accounts.of(wanted.accounts),
            await self.persons.of(wanted.persons),
            await self.features.of(wanted.features),
            terms,
        )
