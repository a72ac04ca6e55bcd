"""The log's days: one that began before anybody made its partition gets it late, with all that lies in it."""

from datetime import UTC, datetime, timedelta

import asyncpg

from shared.bus import Outgoing
from shared.bus.postgres import PostgresBus, make_topics
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
