"""All dead letters of a log, with what became of their ids since; and putting them back."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from services.scoring.dead.letters import APPLIED, READABLE, UNREADABLE, Letter, read
from services.scoring.ledger import log as logs
from shared import facts
from shared.bus import Bus, Outgoing, Place, cut
from shared.postgres import Connection, DatabaseSettings

_TENANTS = "SELECT tenant, tenant_id FROM access.tenant"
_SEEN = "SELECT key FROM fact_seen WHERE key = ANY($1::uuid[])"


@dataclass(frozen=True, slots=True)
class Case:
    """A letter, its tenant's public id if there is such a tenant, and whether it is readable, unreadable or applied."""

    letter: Letter
    tenant_id: str | None
    state: str


async def cases(settings: DatabaseSettings, kafka: str | None) -> list[Case]:
    """Every letter that the log still holds, in its order. Raises BusUnavailable, BusBroken."""
    async with _connection(settings) as (conn, tenants):
        log = await logs.look(conn, kafka)
        letters: list[Letter] = []
        async for _, part, offset, body in logs.bodies(conn, kafka, log, (facts.DEAD_TOPIC,)):
            letters += read(body, part, offset, tenants.__contains__)
        seen = await _seen(conn, letters)
    letters.sort(key=lambda one: (one.part, one.offset, one.number))
    return [Case(one, tenants.get(one.tenant or 0), _state(one, seen)) for one in letters]


@asynccontextmanager
async def _connection(settings: DatabaseSettings) -> AsyncIterator[tuple[Connection, dict[int, str]]]:
    """The owner's connection in a transaction that sees every tenant, and their ids."""
    conn = await asyncpg.connect(settings.url, server_settings={"search_path": settings.state})
    try:
        async with conn.transaction(readonly=True):
            tenants: dict[int, str] = dict(await conn.fetch(_TENANTS))
            await conn.execute(f"SET LOCAL app.tenants = '{','.join(str(int(one)) for one in tenants)}'")
            yield conn, tenants
    finally:
        await conn.close()


async def _seen(conn: Connection, letters: Iterable[Letter]) -> set[bytes]:
    keys = [UUID(bytes=key) for one in letters if (key := _key(one)) is not None]
    return {row["key"].bytes for row in await conn.fetch(_SEEN, keys)}


def _key(letter: Letter) -> bytes | None:
    fact = letter.fact
    return None if fact is None else facts.seen_key(fact.tenant, facts.type_of(fact), fact.id)


def _state(letter: Letter, seen: set[bytes]) -> str:
    if letter.fact is None:
        return UNREADABLE
    return APPLIED if _key(letter) in seen else READABLE


async def put_back(bus: Bus, told: Sequence[Case], received: int) -> int:
    """Publishes these lines again, as they came, on the partitions on which they died: what they say, the times they
    happened and were accepted included, is untouched, and an id that is known changes nothing. `received`: now, in µs.
    How many. Raises BusUnavailable: then some may be on the log, and doing it again is safe."""
    lines: dict[Place, list[bytes]] = {}
    for case in told:
        lines.setdefault(case.letter.dead.place, []).append(case.letter.dead.raw)
    records: list[Outgoing] = [one for place in sorted(lines) for one in cut(place, lines[place], received)]
    for begun in range(0, len(records), 20):
        await bus.publish(records[begun : begun + 20], timeout=30)
    return len(told)
