"""The house of scoring's tests: one a module, on a fresh database."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.conftest import TestDatabase
from tests.services.scoring.harness import House, open_house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(database: TestDatabase) -> AsyncIterator[House]:
    """Scoring, driven by hand."""
    async with open_house(database) as opened:
        yield opened
