"""Journeys through scoring use its house; the others a ground of their own, where processes are started."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TestDatabase
from tests.journeys.running import Ground
from tests.services.scoring.conftest import house

__all__ = ["ground", "house"]


@pytest.fixture
def ground(new_database: Any, tmp_path: Path) -> Iterator[Ground]:
    """A migrated database, and a folder; what was started there is ended."""
    made: TestDatabase = new_database()
    opened = Ground(made, tmp_path)
    opened.command("migrate")
    yield opened
    opened.stop_all()
