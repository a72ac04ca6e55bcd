"""A record that Kafka refuses for its size: it keeps its place in the outbox, and nobody waits behind it."""

import asyncio
import random
import time
from collections.abc import Sequence

import asyncpg
import pytest
from structlog.testing import capture_logs

from shared import metrics
from shared.bus import BusUnavailable, RecordRefused, outbox
from shared.bus.detour import Detour
from shared.bus.kafka import KafkaBus
from shared.bus.outbox import Relay, put
from tests.contracts.bus.bodies import Shelf, read, reading, record
from tests.contracts.bus.test_kafka import set_limit
from tests.contracts.bus.test_outbox import at_work, waiting
from tests.kafka import Broker

LARGE = random.Random(3).randbytes(200_000).replace(b"\n", b" ")  # no compression makes it smaller
SMALL = 50_000  # the largest batch that the topic takes
TYPICAL = [b"%d" % index for index in range(20)]


async def comes_to(pool: asyncpg.Pool, count: int, seconds: float = 15) -> None:
    """Waits until so many records of the outbox are not on the log."""
    deadline = time.monotonic() + seconds
    while (left := await waiting(pool)) != count:
        assert time.monotonic() < deadline, f"{left} wait"
        await asyncio.sleep(0.05)


async def bodies_on(bus: KafkaBus, topic: str, count: int) -> Sequence[bytes]:
    """The bodies on the topic, in order of the log: all are of one partition."""
    async with reading(bus, topic, Shelf()) as consumer:
        return [one.body for one in await read(consumer, count)]


async def test_a_record_that_kafka_will_never_take_says_so(kafka: Broker, bus: KafkaBus, topic: str) -> None:
    await set_limit(kafka, topic, SMALL)
    with pytest.raises(RecordRefused, match="MessageSizeTooLarge"):
        await bus.publish([record(topic, 0, LARGE)], 5)
    assert issubclass(RecordRefused, BusUnavailable)  # who does not ask takes it for a log that is away


async def test_a_record_too_large_for_kafka_keeps_its_row_and_holds_up_no_other_and_goes_when_it_may(
    kafka: Broker, bus: KafkaBus, topic: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_limit(kafka, topic, SMALL)
    ways = [record(topic, 0, line) for line in TYPICAL]
    async with pool.acquire() as conn:
        await put(conn, [*ways[:5], record(topic, 0, LARGE), *ways[5:10]])
    with capture_logs() as told:
        async with at_work(Relay(bus, pool)):
            await comes_to(pool, 1)
            async with pool.acquire() as conn:
                await put(conn, ways[10:])
            await comes_to(pool, 1)
            assert await bodies_on(bus, topic, 20) == TYPICAL
            assert await pool.fetchval("SELECT body FROM bus.outbox WHERE shipped_to IS NULL") == LARGE
            assert metrics.OUTBOX_REFUSED._value.get() == 1
    [one] = [line for line in told if line["event"] == "outbox_record_refused"]
    assert (one["log_level"], one["topic"], one["part"], one["bytes"]) == ("error", topic, 0, len(LARGE))

    monkeypatch.setattr(outbox, "AGAIN_EVERY", 0.5)
    async with at_work(Relay(bus, pool)):  # the next start: still too large
        await asyncio.sleep(2)
        assert await waiting(pool) == 1
        await set_limit(kafka, topic, 1_000_000)
        await comes_to(pool, 0)
        assert metrics.OUTBOX_REFUSED._value.get() == 0
    assert await bodies_on(bus, topic, 21) == [*TYPICAL, LARGE]


async def test_what_kafka_refuses_of_a_request_is_accepted_into_the_outbox_with_all_that_came_along(
    kafka: Broker, bus: KafkaBus, topic: str, pool: asyncpg.Pool
) -> None:
    await set_limit(kafka, topic, SMALL)
    detour = Detour(bus, pool)
    await detour.publish([record(topic, 0, b"before"), record(topic, 0, LARGE), record(topic, 0, b"after")], 10)
    async with at_work(Relay(bus, pool)):
        await comes_to(pool, 1)
    assert {b"before", b"after"} <= set(await bodies_on(bus, topic, 2))
    assert await pool.fetchval("SELECT body FROM bus.outbox WHERE shipped_to IS NULL") == LARGE
    await detour.close()
