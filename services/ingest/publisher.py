"""Group commit: facts of concurrent requests travel together, each request is answered when its own are durable."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from services.ingest.domain.verdict import Line
from shared.bus import Bus, BusUnavailable, Outgoing, Place, cut
from shared.errors import TooMany, Unavailable
from shared.patience import Deadlines

LINGER: Final = 0.003  # s; how long the first request of a group waits for company
TIMEOUT: Final = 5.0  # s until a request is told that nothing is known
MAX_BYTES: Final = 64 * 1024 * 1024  # of lines taken and not yet settled; beyond it requests are put off
_log = structlog.get_logger("genki.ingest")

# Records and bytes handed to the log, and how long the log took to make a group durable, in seconds.
RECORDS: Final = Counter("genki_ingest_records", "Records sent to the log", ("outcome",))
_DURABLE: Final = RECORDS.labels("durable")
_UNKNOWN: Final = RECORDS.labels("unknown")
PUBLISH_SECONDS: Final = Histogram("genki_ingest_publish_seconds", "Until a group of records was durable")
# Bytes of lines that requests still wait for (or that the log has not settled after they gave up).
IN_FLIGHT: Final = Gauge("genki_ingest_bytes_in_flight", "Bytes taken and not yet settled")


class _Waiter:
    """One request: it is answered when none of its places is left."""

    __slots__ = ("done", "left")

    def __init__(self, done: asyncio.Future[None], left: int) -> None:
        self.done, self.left = done, left


class _Group:
    """What gathers while the linger lasts: lines by partition, and who waits for which partition."""

    def __init__(self) -> None:
        self.lines: dict[Place, list[bytes]] = {}
        self.received: dict[Place, int] = {}
        self.waiters: dict[Place, list[_Waiter]] = {}
        self.bytes = 0

    def add(self, lines: Mapping[Place, list[bytes]], received: int, size: int, done: asyncio.Future[None]) -> None:
        waiter = _Waiter(done, len(lines))
        for place, some in lines.items():
            held = self.lines.get(place)
            if held is None:
                self.lines[place] = [*some]
                self.received[place] = received
                self.waiters[place] = [waiter]
            else:
                held += some
                self.received[place] = min(self.received[place], received)
                self.waiters[place].append(waiter)
        self.bytes += size

    def settle(self, places: Iterable[Place], error: BaseException | None) -> None:
        """Answers those who waited for nothing but these places and, on an error, all who waited for one of them."""
        for place in places:
            for waiter in self.waiters.pop(place, ()):
                waiter.left -= 1
                if waiter.done.done():
                    continue
                if error is not None:
                    waiter.done.set_exception(error)
                elif not waiter.left:
                    waiter.done.set_result(None)


class Publisher:
    """`publish` returns when the lines are durable. One per process; `close` drains what is under way."""

    def __init__(
        self, bus: Bus, *, linger: float = LINGER, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES
    ) -> None:
        """`linger` and `timeout` in seconds, `max_bytes` of lines not yet settled."""
        self._bus = bus
        self._linger, self._timeout, self._max_bytes = linger, timeout, max_bytes
        # The PostgreSQL log takes a group in one commit, so there it goes as one; Kafka settles each record alone.
        self._whole = bus.id == "pg"
        self._slots = asyncio.Semaphore(2 if self._whole else 8)
        self._group: _Group | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._deadlines = Deadlines(timeout)
        self._loop: asyncio.AbstractEventLoop | None = None
        IN_FLIGHT.set_function(lambda: self._in_flight)
        self._failing = False
        self._closing = False

    @property
    def in_flight(self) -> int:
        """Bytes of lines taken and not yet settled."""
        return self._in_flight

    async def publish(self, lines: Sequence[Line], received: int) -> None:
        """Returns when every line is on the log. `received` is their accept time in µs since 1970. Raises as `put`."""
        sorted_lines: dict[Place, list[bytes]] = {}
        for topic, part, line in lines:
            sorted_lines.setdefault((topic, part), []).append(line)
        await self.put(sorted_lines, received)

    async def put(self, lines: Mapping[Place, list[bytes]], received: int) -> None:
        """As `publish`, of lines that lie by partition already; no place without a line.

        Raises TooMany when too much is under way (nothing was sent), Unavailable when the log did not confirm in time:
        then nothing is known, and sending again is safe.
        """
        if not lines:
            return
        size = sum(sum(map(len, some)) + len(some) for some in lines.values())
        self._refuse_if_full(size)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = self._loop.create_future()
        self._join(lines, received, size, done)
        self._deadlines.add(done, self._loop)
        try:
            await done
        except (TimeoutError, BusUnavailable):
            self._failing = True
            raise Unavailable("The log did not confirm in time; send again.", code="log_unavailable") from None

    async def close(self, timeout: float = 5.0) -> None:
        """Takes nothing more, sends what has gathered, and waits `timeout` seconds at most for the log."""
        self._closing = True
        tasks = set(self._tasks)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=timeout)
        for task in late:
            task.cancel()
        if late:
            _log.warning("publisher_cut_off", groups=len(late), bytes=self._in_flight)
            await asyncio.wait(late, timeout=1.0)

    def _refuse_if_full(self, size: int) -> None:
        if self._closing:
            raise Unavailable("This process is about to end; send again.", code="closing")
        if self._in_flight + size > self._max_bytes and self._in_flight:
            if self._failing:
                raise Unavailable("The log does not answer.", code="log_unavailable", retry_after=5)
            raise TooMany("More facts are under way than the log takes.", code="overloaded", retry_after=1)

    def _join(self, lines: Mapping[Place, list[bytes]], received: int, size: int, done: asyncio.Future[None]) -> None:
        self._in_flight += size
        if self._group is None:
            self._group = _Group()
            task = asyncio.get_running_loop().create_task(self._send(self._group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._group.add(lines, received, size, done)

    def _release(self, group: _Group, size: int) -> None:
        group.bytes -= size
        self._in_flight -= size

    async def _send(self, group: _Group) -> None:
        try:
            if not self._closing:
                await asyncio.sleep(self._linger)
            async with self._slots:  # while the log is busy the group goes on growing
                self._leave(group)
                with PUBLISH_SECONDS.time():
                    await self._ship(group)
        except asyncio.CancelledError:
            group.settle([*group.waiters], BusUnavailable("cut off at shutdown"))
            raise
        except Exception as error:  # noqa: BLE001 whatever it was: nobody may wait for ever, and nobody may be told "stored"
            _log.error("publish_failed", exc_info=error)
            group.settle([*group.waiters], BusUnavailable(str(error)))
        finally:
            self._leave(group)
            self._release(group, group.bytes)

    def _leave(self, group: _Group) -> None:
        if self._group is group:
            self._group = None

    async def _ship(self, group: _Group) -> None:
        records = {place: cut(place, lines, group.received[place]) for place, lines in sorted(group.lines.items())}
        if self._whole:
            await self._store(group, [one for some in records.values() for one in some], [*records])
            return
        await asyncio.gather(*(self._store(group, some, (place,)) for place, some in records.items()))

    async def _store(self, group: _Group, records: Sequence[Outgoing], places: Sequence[Place]) -> None:
        try:
            async with asyncio.timeout(self._timeout + 1):  # the port's own limit comes first, should it be kept
                await self._bus.publish(records, self._timeout)
        except (BusUnavailable, TimeoutError) as error:
            _UNKNOWN.inc(len(records))
            self._release(group, _bytes(records))
            group.settle(places, BusUnavailable(str(error) or "no answer in time"))
            return
        _DURABLE.inc(len(records))
        self._failing = False
        self._release(group, _bytes(records))
        group.settle(places, None)


def _bytes(records: Sequence[Outgoing]) -> int:
    return sum(sum(map(len, record.lines)) + len(record.lines) for record in records)
