"""One `genki up`, with one tenant, and raw connections to it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from tests.journeys.running import Ground


@dataclass
class Prey:
    """A running Genki: its address, its tenant's keys, its process."""

    ground: Ground
    host: str
    port: int
    keys: dict[str, str]
    process: psutil.Process

    @property
    def url(self) -> str:
        """Its door."""
        return self.ground.door

    def rss(self) -> int:
        """Bytes of memory."""
        return self.process.memory_info().rss


@pytest.fixture(scope="session")
def prey(new_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prey]:
    """All of Genki in one process, with the tenant "Prey"."""
    ground = Ground(new_database(), tmp_path_factory.mktemp("security"))
    ground.restart()
    made = json.loads(ground.command("tenant", "create", "Prey", "--json"))
    host, _, port = ground.door.removeprefix("http://").rpartition(":")
    yield Prey(ground, host, int(port), made["keys"], psutil.Process(ground.processes[-1].handle.pid))
    ground.stop_all()
