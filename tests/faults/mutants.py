"""Genki with one promise broken: `python -m tests.faults.mutants MUTANT up …`. The product has no such switch.

`lazy`: the position is taken before the facts are applied, without fence. `autocommit`: Kafka's group remembers the
position, by time. `no-dedupe`: whatever comes is applied. `answer-first`: the door answers, then publishes.
`open_policies` breaks a promise that lies in the database: that tenants do not see one another.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from asyncpg.pgproto.pgproto import UUID

from services.ingest.publisher import Publisher
from services.scoring import fold
from services.scoring.batch import Batch, Line
from services.scoring.consumer import FoldLoop
from shared import facts
from shared.bus import Place
from shared.bus.kafka.consumer import KafkaConsumer
from shared.errors import Refusal
from shared.postgres import Connection, connection

LATE: Final = 0.7  # seconds between the promise and its keeping: time enough for a kill
PROMISED: Final = "promised and not yet kept"  # told where a kill now loses something
_TAKE: Final = """
INSERT INTO bus.position AS p (bus, consumer, topic, part, next) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (bus, consumer, topic, part) DO UPDATE SET next = greatest(p.next, excluded.next)
"""
_POLICIES: Final = """
SELECT format('ALTER POLICY %I ON %s USING (true) WITH CHECK (true)', polname, polrelid::regclass) FROM pg_policy
WHERE polname = 'tenant'
"""
_background: set[asyncio.Task[None]] = set()


def lazy() -> None:
    """At most once: the position moves, and what it passed is applied a moment later."""
    apply = FoldLoop._apply

    async def taken_first(self: FoldLoop, batch: Batch) -> None:
        async with connection(self._database.worker) as conn:
            await _take(conn, batch, self._bus.id)
        await _linger()
        await apply(self, batch)

    async def no_fence(*_: Any) -> None:
        """Whoever stands where."""

    _put(FoldLoop, _apply=taken_first)
    _put(fold, _fence=no_fence)


def autocommit() -> None:
    """Kafka's own memory of the position, moved by time in the background; the database's is never asked."""
    apply = FoldLoop._apply

    async def late(self: FoldLoop, batch: Batch) -> None:
        await asyncio.sleep(LATE)  # meanwhile the group's position moves, seven times over
        await _linger()
        await apply(self, batch)

    async def noted(conn: Connection, batch: Batch, bus: str, consumer: str) -> None:
        await _take(conn, batch, bus)

    async def as_they_come(_: FoldLoop, records: Sequence[Any]) -> list[Any]:
        return list(records)

    async def nothing(*_: Any) -> None:
        """Not looked at."""

    _put(FoldLoop, _apply=late, _in_order=as_they_come, _compare=nothing, _seek_stored=nothing)
    _put(KafkaConsumer, _member=_self_committing, _place=_where_the_group_is, committed=nothing)
    _put(fold, _fence=noted)


def _self_committing(self: KafkaConsumer) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=self._bootstrap, group_id=f"genki-{self._name}", enable_auto_commit=True,
        auto_commit_interval_ms=100, auto_offset_reset="earliest", fetch_max_wait_ms=250, session_timeout_ms=6_000,
        heartbeat_interval_ms=1_000,
    )  # fmt: skip


async def _where_the_group_is(self: KafkaConsumer) -> None:
    for topic, part in self.assignment() - self._next.keys():
        with suppress(TimeoutError):
            place = TopicPartition(topic, part)
            self._next[topic, part] = await asyncio.wait_for(self._consumer.position(place), 5)


async def _take(conn: Connection, batch: Batch, bus: str) -> None:
    moved: Mapping[Place, tuple[int, int, int]] = batch.intervals()
    rows = [(bus, "scoring", topic, part, span[1]) for (topic, part), span in sorted(moved.items())]
    await conn.executemany(_TAKE, rows)


def no_dedupe() -> None:
    """Ids are noted and nobody minds."""
    offer = fold._offer

    async def all_new(conn: Connection, lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
        keys = (facts.seen_key(one.fact.tenant, facts.type_of(one.fact), one.fact.id) for one in lines)
        await offer(conn, {UUID(key): line for key, line in zip(keys, lines, strict=True)})
        return list(lines), []

    _put(fold, _new_lines=all_new)


def answer_first() -> None:
    """200 as soon as the facts are in memory."""
    put = Publisher.put

    async def soon(self: Publisher, lines: Mapping[Place, list[bytes]], received: int) -> None:
        async def later() -> None:
            await asyncio.sleep(LATE)
            with suppress(Refusal):
                await put(self, lines, received)

        task = asyncio.create_task(later())
        _background.add(task)
        task.add_done_callback(_background.discard)

    _put(Publisher, put=soon)


async def _linger() -> None:
    sys.stderr.write(f"{PROMISED}\n")
    await asyncio.sleep(LATE)


def _put(where: Any, **others: Any) -> None:
    for name, other in others.items():
        getattr(where, name)  # it must be there to be replaced
        setattr(where, name, other)


async def open_policies(owner_dsn: str) -> None:
    """Every tenant's policy of a database lets everything through."""
    conn = await asyncpg.connect(owner_dsn)
    try:
        for row in await conn.fetch(_POLICIES):
            await conn.execute(row[0])
    finally:
        await conn.close()


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "lazy": lazy, "autocommit": autocommit, "no-dedupe": no_dedupe, "answer-first": answer_first,
}  # fmt: skip


def main() -> None:
    """Breaks one promise, then runs the command."""
    MUTANTS[sys.argv[1]]()
    from services.__main__ import main as genki

    genki(sys.argv[2:])


if __name__ == "__main__":
    main()
