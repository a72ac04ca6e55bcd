"""The log's days: one that began before anybody made its partition gets it late, with all that lies in it."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg

from shared.bus import Outgoing
from shared.bus.postgres import PostgresBus, make_topics
from shared.facts import DEAD_TOPIC
from tests.conftest import TestDatabase

PART_OF = "SELECT tableoid::regclass::text FROM bus.log WHERE topic = $1 ORDER BY off"


async def test_a_day_that_began_without_its_partition_gets_it_with_its_records_and_can_be_dropped(
    database: TestDatabase,
) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await make_topics(owner, ["test.days"], 1)
    async with asyncpg.create_pool(database.worker_dsn, min_size=1, max_size=2) as pool:
        bus = PostgresBus(pool, 1)
        await bus.publish([Outgoing("test.days", 0, [b"first"], 1_700_000_000_000_000)], 5)
        assert [row[0] for row in await owner.fetch(PART_OF, "test.days")] == ["bus.log_other"]
        day = await owner.fetchval("SELECT day FROM bus.log WHERE topic = 'test.days'")
        for _ in range(2):
            await pool.execute("SELECT bus.add_days($1, 3)", day)
        await bus.publish([Outgoing("test.days", 0, [b"second"], 1_700_000_000_000_001)], 5)
        assert {row[0] for row in await owner.fetch(PART_OF, "test.days")} == {f"bus.log_{day:%Y%m%d}"}
        assert [one.body for one in await bus.read({("test.days", 0): 0})] == [b"first", b"second"]
        assert await pool.fetchval("SELECT bus.drop_days($1)", day + timedelta(days=1)) == 0  # nobody applied them
    await owner.close()
    assert day <= datetime.now(UTC).date() + timedelta(days=1)


async def test_a_day_is_made_while_records_are_appended_to_it_and_none_of_them_fails(database: TestDatabase) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await make_topics(owner, ["test.days", "test.busy"], 1)
    async with asyncpg.create_pool(database.worker_dsn, min_size=6, max_size=6) as pool:
        bus = PostgresBus(pool, 1)
        for number in range(20):  # as many young days
            received = 1_800_000_000_000_000 + number * 86_400_000_000
            day = datetime.fromtimestamp(received / 1_000_000, UTC).date()
            appending = [bus.publish([Outgoing("test.busy", 0, [b"x"], received)], 10) for _ in range(8)]
            making = pool.execute("SELECT bus.add_days($1, 1)", day)
            done = await asyncio.gather(*appending[:4], making, *appending[4:], return_exceptions=True)
            assert [one for one in done if isinstance(one, BaseException)] == []
    told = await owner.fetch("SELECT off FROM bus.log WHERE topic = 'test.busy' ORDER BY off")
    await owner.close()
    assert [row["off"] for row in told] == list(range(160))


async def test_a_day_goes_with_its_dead_letters_when_all_else_is_applied(database: TestDatabase) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await make_topics(owner, ["test.days", DEAD_TOPIC], 1)
    received, day = 1_500_000_000_000_000, date(2017, 7, 14)
    async with asyncpg.create_pool(database.worker_dsn, min_size=1, max_size=2) as pool:
        await pool.execute("SELECT bus.add_days($1, 1)", day)
        bus = PostgresBus(pool, 1)
        await bus.publish([Outgoing(DEAD_TOPIC, 0, [b"dead"], received)], 5)
        await bus.publish([Outgoing("test.days", 0, [b"old"], received)], 5)
        assert await pool.fetchval("SELECT bus.drop_days($1)", day + timedelta(days=1)) == 0  # nobody applied it
        applied = "INSERT INTO bus.position (bus, consumer, topic, part, next) VALUES ('pg', 'c', 'test.days', 0, 99)"
        await owner.execute(applied)
        assert await pool.fetchval("SELECT bus.drop_days($1)", day + timedelta(days=1)) == 1
    await owner.close()
