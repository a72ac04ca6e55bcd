"""Scoring's fold loop in a process of its own, without assessment, ticker and routes. Argument: facts a batch."""

import asyncio
import os
import signal
import sys

import uvloop

from services.cli.prepare import PARTITIONS
from services.scoring.consumer import NAME, FoldLoop
from services.scoring.positions import StoredPositions
from shared import facts
from shared import log as logging_setup
from shared.bus.postgres import PostgresBus
from shared.clock import Clock
from shared.postgres import DatabaseSettings, open_database


async def run(batch: int) -> None:
    """Until SIGTERM."""
    url, app, worker = (os.environ[f"GENKI_{name}"] for name in ("DATABASE_URL", "APP_PASSWORD", "WORKER_PASSWORD"))
    database = await open_database(DatabaseSettings(url, app, worker))
    bus = PostgresBus(database.worker, PARTITIONS)
    positions = StoredPositions(database.worker, bus.id, NAME)
    consumer = bus.consumer(NAME, facts.CONSUMED_TOPICS, positions)
    work = asyncio.create_task(FoldLoop(bus, consumer, database, positions, Clock(), batch).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.wait([work])
    await database.close()
    if not work.cancelled():
        work.result()


if __name__ == "__main__":
    logging_setup.configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(int(sys.argv[1])))
