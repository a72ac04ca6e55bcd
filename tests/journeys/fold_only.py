"""A scoring process that folds and never assesses: killed, it has died between the fold's commit and the assessment."""

import asyncio
import os
import sys

from services.scoring.consumer import NAME, FoldLoop
from services.scoring.positions import StoredPositions
from shared.bus.postgres import PostgresBus
from shared.clock import Clock
from shared.facts import CONSUMED_TOPICS
from shared.postgres import DatabaseSettings, open_database


async def main() -> None:
    """Until killed; says `folded` whenever nothing waits."""
    settings = DatabaseSettings(
        os.environ["GENKI_DATABASE_URL"], os.environ["GENKI_APP_PASSWORD"], os.environ["GENKI_WORKER_PASSWORD"]
    )
    database = await open_database(settings)
    async with database.worker.acquire() as conn:
        partitions = int(await conn.fetchval("SELECT value FROM bus.setting WHERE name = 'partitions'"))
    bus = PostgresBus(database.worker, partitions)
    positions = StoredPositions(database.worker, bus.id, NAME)
    consumer = bus.consumer(NAME, CONSUMED_TOPICS, positions)
    await consumer.start()
    fold = FoldLoop(bus, consumer, database, positions, Clock())
    while True:
        if not await fold.step(0.1):
            sys.stdout.write("folded\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
