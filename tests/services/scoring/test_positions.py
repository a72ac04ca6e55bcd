"""How fresh answers are: never fresher than a fact that is on its way."""

from datetime import UTC, datetime

import asyncpg
import pytest

from services.scoring.positions import Freshness
from shared.bus.postgres import PostgresBus, make_topics
from shared.clock import Clock
from shared.postgres import DatabaseSettings, open_database
from tests.conftest import TestDatabase

OLD, NEW = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
TOPIC, CONSUMER = "genki.responses.v1", "scoring"


@pytest.mark.parametrize(
    ("shipped_to", "reached", "fresh_to"),
    [
        (None, 9, OLD),  # it waits in the outbox
        (8, 7, OLD),  # it is on the log, and newer records before it were applied
        (8, 8, NEW),  # it was applied too
    ],
)
async def test_a_fact_of_the_outbox_holds_freshness_back_until_it_was_applied(
    database: TestDatabase, shipped_to: int | None, reached: int, fresh_to: datetime
) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await make_topics(owner, [TOPIC], 1)
    await owner.execute("DELETE FROM bus.outbox; DELETE FROM bus.position; UPDATE bus.head SET next = 9")
    await owner.execute(
        "INSERT INTO bus.outbox (topic, part, received, facts, body, shipped_to) VALUES ($1, 0, $2, 1, '', $3)",
        TOPIC, OLD, shipped_to,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO bus.position (bus, consumer, topic, part, next, applied_received)"
        " VALUES ('pg', $1, $2, 0, $3, $4)",
        CONSUMER, TOPIC, reached, NEW,
    )  # fmt: skip
    await owner.close()
    settings = DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password)
    pools = await open_database(settings)
    looker = Freshness(pools.worker, PostgresBus(pools.worker, 1), CONSUMER, [TOPIC], Clock())
    await looker.look()
    await pools.close()
    found = looker.fresh_to()
    assert found is not None
    assert found.astimezone(UTC) == fresh_to
