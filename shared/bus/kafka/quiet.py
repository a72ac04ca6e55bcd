"""aiokafka writes one line per retry; of a line that repeats itself, one a minute is enough."""

import logging
import time
from typing import Final

_EVERY: Final = 60.0
_NAMES: Final = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.consumer",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.producer",
    "aiokafka.producer.sender",
)


class Seldom(logging.Filter):
    """Lets the same message template of a logger through once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """True for the first of its kind within a minute."""
        kind, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._last.get(kind, -_EVERY) < _EVERY:
            return False
        self._last[kind] = now
        return True


_SELDOM: Final = Seldom()


def quieten() -> None:
    """Installs the filter on aiokafka's loggers; a second call changes nothing."""
    for name in _NAMES:
        logging.getLogger(name).addFilter(_SELDOM)
