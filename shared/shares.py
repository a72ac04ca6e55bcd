"""What one asker may take of a process: so much a second, and what was not taken is saved up for a while."""

import time
from collections.abc import Callable, Hashable
from math import ceil
from typing import Final

from shared.errors import TooMany

SAVED_SECONDS: Final = 30.0
_MOST: Final = 10_000  # askers remembered; those who owe nothing are forgotten first


class Shares:
    """One bucket for each asker. Whoever has anything left may take, also more than is left, and then waits until the
    debt is paid: so a large request is as good as many small ones."""

    def __init__(
        self, a_second: float, saved: float = SAVED_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`a_second`: what flows into each bucket; it holds that of `saved` seconds."""
        self._rate, self._most, self._now = a_second, a_second * saved, monotonic
        self._held: dict[Hashable, tuple[float, float]] = {}  # what was left, and when

    def take(self, asker: Hashable, amount: int) -> None:
        """Raises TooMany, with the seconds until something is left, for this asker and no other."""
        now = self._now()
        held = self._held.get(asker)
        if held is None:
            left = self._most
            if len(self._held) >= _MOST:
                self._forget(now)
        else:
            left = min(self._most, held[0] + (now - held[1]) * self._rate)
            if left <= 0:
                wait = max(1, ceil(-left / self._rate))
                raise TooMany(
                    "This key or its tenant asks for more than its share.", code="over_share", retry_after=wait
                )
        self._held[asker] = left - amount, now

    def _forget(self, now: float) -> None:
        full = [one for one, (left, then) in self._held.items() if left + (now - then) * self._rate >= self._most]
        for one in full or list(self._held)[: _MOST // 2]:
            del self._held[one]
