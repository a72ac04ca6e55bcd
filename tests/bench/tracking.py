"""Row `tracking`: Segment calls durable through /v1/batch and /v1/track, beside a quick route without checks."""

import asyncio

from services.cli.prepare import PARTITIONS
from shared.bus.kafka import create_topics
from tests.bench.baselines.tracker import TOPIC
from tests.bench.door import BATCH, Door
from tests.bench.house import House
from tests.bench.table import Row, compared


def tracking(house: House, rounds: int, seconds: float) -> list[Row]:
    """Requests of 100 calls, and of one, `seconds` a round and contestant."""
    base = house.base(kafka=True)
    boot = house.kafka.bootstrap
    asyncio.run(create_topics(boot, [TOPIC], PARTITIONS))
    ours = house.genki(base, "ingest", kafka=True)
    quick = house.spawn("tests.bench.baselines.tracker", boot)
    door = Door(house, "track", base.tenant.keys["write"])
    for worker in (ours, quick):
        door.round(worker, BATCH, 1.0, quiet=True)
    batches = door.rounds([ours, quick], BATCH, rounds, seconds)
    single = door.rounds([ours, quick], 1, rounds, seconds)
    told = "beside Starlette + msgspec, one Kafka record a request, no key check, no answers per call"
    return [
        compared("tracking 100 ÷ Starlette", batches[0], batches[1], f"{door.told(BATCH)}; {told}"),
        compared("tracking single ÷ Starlette", single[0], single[1], door.told(1)),
    ]
