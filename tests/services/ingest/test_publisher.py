"""Group commit over a log that records, delays and fails on purpose: what is the publisher's own, not a log's."""

import asyncio
from collections.abc import Sequence

import pytest

from services.ingest.publisher import Publisher, cut
from shared.bus import RECORD_BYTES, Bus, BusUnavailable, Outgoing
from shared.errors import TooMany, Unavailable


class Slate:
    """Records what it is given; `delay` seconds first, and an error for a partition in `broken`."""

    def __init__(self, bus_id: str = "slate") -> None:
        self.id, self.partitions = bus_id, 12
        self.calls: list[list[Outgoing]] = []
        self.delay = 0.0
        self.broken: set[int] = set()

    async def publish(self, records: Sequence[Outgoing], timeout: float) -> None:
        await asyncio.sleep(self.delay)
        self.calls.append(list(records))
        if self.broken & {record.part for record in records}:
            raise BusUnavailable("broken on purpose")

    @property
    def records(self) -> list[Outgoing]:
        return [record for call in self.calls for record in call]


def publisher(slate: Slate, **options: float) -> Publisher:
    bus: Bus = slate  # pyright: ignore[reportAssignmentType] the rest of the port is never asked
    return Publisher(bus, **({"timeout": 1.0} | options))  # pyright: ignore[reportArgumentType]


async def test_concurrent_requests_travel_as_one_record_a_partition() -> None:
    slate = Slate()
    one = publisher(slate)
    await asyncio.gather(*(one.publish([("t", n % 2, b"%d" % n)], 100 + n) for n in range(10)))
    found = sorted((record.part, sorted(record.lines), record.received) for record in slate.records)
    assert found == [(0, [b"0", b"2", b"4", b"6", b"8"], 100), (1, [b"1", b"3", b"5", b"7", b"9"], 101)]
    assert one.in_flight == 0


async def test_the_postgresql_log_gets_a_group_in_one_commit_and_kafka_each_record_alone() -> None:
    lines = [("t", part, b"x") for part in range(3)]
    for bus_id, calls in (("pg", 1), ("a-cluster", 3)):
        slate = Slate(bus_id)
        await publisher(slate).publish(lines, 1)
        assert (len(slate.calls), len(slate.records)) == (calls, 3)


async def test_nothing_is_published_for_nothing() -> None:
    slate = Slate()
    await publisher(slate).publish([], 1)
    assert slate.calls == []


async def test_a_request_returns_only_after_its_records_are_durable() -> None:
    slate = Slate()
    slate.delay = 0.1
    waiting = asyncio.create_task(publisher(slate).publish([("t", 0, b"x")], 1))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await waiting
    assert len(slate.records) == 1


async def test_a_failed_partition_fails_only_those_who_wait_for_it() -> None:
    slate = Slate()
    slate.broken = {1}
    one = publisher(slate)
    answers = await asyncio.gather(
        one.publish([("t", 0, b"a")], 1),
        one.publish([("t", 1, b"b")], 1),
        one.publish([("t", 0, b"c"), ("t", 1, b"d")], 1),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None), Unavailable, Unavailable]
    assert one.in_flight == 0


async def test_a_log_that_does_not_answer_in_time_is_said_to_be_away() -> None:
    slate = Slate()
    slate.delay = 0.3
    one = publisher(slate, timeout=0.05)
    with pytest.raises(Unavailable) as refused:
        await one.publish([("t", 0, b"x")], 1)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
    assert one.in_flight == 1 + 1  # still under way: nobody knows whether it is stored
    await asyncio.sleep(0.4)
    assert one.in_flight == 0


async def test_bytes_under_way_are_bounded() -> None:
    slate = Slate()
    slate.delay = 0.1
    one = publisher(slate, max_bytes=100)
    first = asyncio.create_task(one.publish([("t", 0, b"x" * 90)], 1))
    await asyncio.sleep(0)
    with pytest.raises(TooMany):
        await one.publish([("t", 0, b"x" * 90)], 1)
    await first
    await one.publish([("t", 0, b"x" * 90)], 1)


async def test_one_request_larger_than_the_bound_still_passes_alone() -> None:
    slate = Slate()
    await publisher(slate, max_bytes=10).publish([("t", 0, b"x" * 90)], 1)
    assert len(slate.records) == 1


async def test_a_client_that_leaves_does_not_take_the_group_along() -> None:
    slate = Slate()
    slate.delay = 0.05
    one = publisher(slate)
    leaving = asyncio.create_task(one.publish([("t", 0, b"a")], 1))
    staying = asyncio.create_task(one.publish([("t", 0, b"b")], 1))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await staying
    assert slate.records == [Outgoing("t", 0, [b"a", b"b"], 1)]
    assert one.in_flight == 0


async def test_closing_sends_what_has_gathered_and_takes_nothing_more() -> None:
    slate = Slate()
    one = publisher(slate, linger=0.05)
    waiting = asyncio.create_task(one.publish([("t", 0, b"a")], 1))
    await asyncio.sleep(0)
    await one.close(1.0)
    await waiting
    assert len(slate.records) == 1
    with pytest.raises(Unavailable):
        await one.publish([("t", 0, b"b")], 1)


async def test_closing_is_bounded_and_tells_those_who_wait_that_nothing_is_known() -> None:
    slate = Slate()
    slate.delay = 60
    one = publisher(slate, timeout=30)
    waiting = asyncio.create_task(one.publish([("t", 0, b"a")], 1))
    await asyncio.sleep(0.02)
    async with asyncio.timeout(2):
        await one.close(0.05)
    with pytest.raises(Unavailable):
        await waiting


def test_a_record_is_cut_at_256_kilobytes_and_no_line_is_lost() -> None:
    lines = [b"%05d" % n * 200 for n in range(1_000)]
    records = cut(("t", 3), lines, 9)
    assert [line for record in records for line in record.lines] == lines
    assert all(len(b"\n".join(record.lines)) <= RECORD_BYTES for record in records)
    assert len(records) == 4
    assert {(record.topic, record.part, record.received) for record in records} == {("t", 3, 9)}


def test_a_line_longer_than_a_record_travels_alone() -> None:
    records = cut(("t", 0), [b"a", b"b" * (RECORD_BYTES + 1), b"c"], 1)
    assert [len(record.lines) for record in records] == [1, 1, 1]
