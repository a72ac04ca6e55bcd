"""The scenarios that take seconds, a few faults each, on one ground: what `python -m tests.faults` plays at length."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.faults.__main__ import SEED, play
from tests.faults.ground import Ground, ground
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Scenario
from tests.faults.table import lines
from tests.kafka import VERSION, NoKafka, merged, said

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.database]
SHORT = [one for one in SCENARIOS if one.short]


@pytest.fixture(scope="module")
def opened() -> Iterator[Ground]:
    """PostgreSQL, a broker and the four services of this file alone: all of them are killed in it."""
    with ExitStack() as stack:
        try:
            ready = stack.enter_context(ground())
        except NoKafka as reason:
            said.append(f"NO REAL KAFKA: the fault scenarios did not run. {reason}")
            pytest.skip(f"no real Kafka: {reason}")
        said[:] = merged([*said, f"Kafka: real broker {VERSION} from Maven jars at {ready.broker.bootstrap}"])
        yield ready


@pytest.mark.parametrize("scenario", SHORT, ids=[one.name for one in SHORT])
def test_what_is_promised_holds_through(scenario: Scenario, opened: Ground) -> None:
    with ThreadPoolExecutor(1) as apart:  # with a loop of its own, whatever loop pytest has
        row = apart.submit(play, scenario, opened, SEED, short=True).result()
    assert row.green, "\n".join(lines([row]))
