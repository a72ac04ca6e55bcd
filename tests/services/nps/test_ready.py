"""Services say ready while Kafka is away: they answer on, and what they have to say waits in the outbox."""

from typing import Any

import pytest

from services.nps.app import open_nps
from services.nps.settings import NpsSettings
from services.scoring.app import open_scoring
from services.scoring.settings import ScoringSettings
from shared.bus import BusUnavailable
from shared.bus.postgres import PostgresBus
from shared.http.health import is_good
from shared.tenancy import Keyring
from tests.services.nps.conftest import Post


class Away:
    """A cluster that does not answer."""

    id, partitions = "kafka-1", 4

    async def ping(self) -> None:
        raise BusUnavailable("Kafka does not answer")


class Closed(PostgresBus):
    """The log in a database that does not answer."""

    async def ping(self) -> None:
        raise BusUnavailable("PostgreSQL does not answer")


@pytest.mark.parametrize(("kafka", "ready"), [(True, True), (False, False)])
async def test_only_a_log_in_the_database_takes_them_out_of_service(post: Post, kafka: bool, ready: bool) -> None:
    house = post.house
    bus: Any = Away() if kafka else Closed(house.database.worker, 4)
    keyring = Keyring(house.database, house.clock)
    async with open_scoring(ScoringSettings(workers=False), bus, house.database, keyring, house.clock) as scoring:
        told = await scoring.ready()
        assert (told["database"], is_good(told["bus"])) == ("ok", ready)
        assert ("Kafka is away" in told["bus"]) is kafka
    async with open_nps(NpsSettings(), bus, house.database, keyring, house.clock, house.http) as nps:
        told = await nps.ready()
        assert (told["database"], is_good(told["log"])) == ("ok", ready)
