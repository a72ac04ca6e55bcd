"""What stands before the server: a connection that gives nothing, or too much, is ended before it costs anything.

uvicorn has no read deadlines and httptools no limit of headers. The hot path only counts bytes; one look a second at
every connection finds those that take too long."""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable
from typing import Any, ClassVar, Final, cast
from uuid import uuid4

import msgspec
import structlog
from prometheus_client import Counter, Gauge
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.http.limits import Limits, Phase, Reading
from shared.http.passage import CONNECTION
from shared.refusals import BadRequest, Refusal, Unavailable, problem

# Connections of this process, and those that were ended for what they did or did not do.
OPEN: Final = Gauge("genki_connections_open", "Open connections")
ENDED: Final = Counter("genki_connections_ended", "Connections ended by the guard", ("reason",))
LOOK_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 2.0  # what still comes is dropped meanwhile: a reset would swallow the answer
_CROWDED: Final = 10  # of a full house one idle connection in so many is closed at a time
_log = structlog.get_logger("genki.guard")


class SlowRequest(Refusal):
    """The request did not arrive in time."""

    status = 408


class LargeHead(Refusal):
    """The headers are larger or more than this server takes."""

    status = 431


class LongAddress(Refusal):
    """The address is longer than this server takes."""

    status = 414


class Watch:
    """Looks after every connection of a process: how many there are, from where, and for how long nothing came."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held: dict[Guarded, None] = {}  # in the order in which they came
        self.clock = 0.0  # seconds in which this process could have read: not those in which it was stopped
        self._from: Tally[str] = Tally()
        self._ended: Tally[str] = Tally()
        self._timer: asyncio.TimerHandle | None = None
        self._looked = 0.0

    def admit(self, one: "Guarded") -> bool:
        """Takes a connection in, unless there are too many, of all or of one address."""
        if len(self.held) >= self.limits.connections:
            self._make_room()
        if len(self.held) >= self.limits.connections or self._from[one.peer] >= self.limits.connections_per_address:
            self.note("crowded")
            return False
        self.held[one] = None
        self._from[one.peer] += 1
        OPEN.set(len(self.held))
        if self._timer is None:
            self._looked = one.loop.time()
            self._timer = one.loop.call_later(LOOK_SECONDS, self.look, one.loop)
        return True

    def leave(self, one: "Guarded") -> None:
        """A connection has ended."""
        if one in self.held:
            del self.held[one]
            self._from[one.peer] -= 1
            if not self._from[one.peer]:
                del self._from[one.peer]
            OPEN.set(len(self.held))

    def note(self, reason: str) -> None:
        """Counts a connection that is ended."""
        ENDED.labels(reason).inc()
        self._ended[reason] += 1

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a second: ends what has been waited for long enough."""
        now = loop.time()
        self.clock += min(now - self._looked, 2 * LOOK_SECONDS)
        self._looked = now
        for one in list(self.held):
            one.look(self.clock)
        if self._ended:
            _log.info("connections_ended", open=len(self.held), **self._ended)
            self._ended.clear()
        self._timer = loop.call_later(LOOK_SECONDS, self.look, loop) if self.held else None

    def _make_room(self) -> None:
        """Ends some of those that ask nothing at the moment, the oldest first."""
        idle = [one for one in self.held if one.phase() is Phase.IDLE]
        for one in idle[: max(1, len(idle) // _CROWDED)]:
            self.note("made_room")
            one.transport.close()
            self.leave(one)


class Guarded(HttpToolsProtocol):
    """uvicorn's connection with limits. `guarded` gives each server a class with its own `watch`."""

    # Slots: with more than thirty attributes Python would no longer share the keys of uvicorn's own.
    __slots__ = ("_ended", "_head", "_heads", "_most", "_now", "_reading", "_refusal", "_taken", "peer")
    watch: ClassVar[Watch]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer = ""
        self._taken = 0  # bytes, of all requests
        self._head = 0  # bytes read of a head that had not ended
        self._now = 0  # bytes of the piece in hand
        self._heads = 0  # that have ended
        self._ended = False
        self._refusal: Refusal = BadRequest("This is no HTTP/1.1 request.", code="bad_http")
        self._reading = Reading(self.watch.clock)
        limits = self.watch.limits
        self._most = limits.head_bytes, limits.headers, limits.address_bytes

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Refuses at once where there are too many."""
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else ""
        if not self.watch.admit(self):
            self._end(Unavailable("Too many connections.", code="too_many_connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Counted out."""
        self.watch.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts; a head that grows without end is refused."""
        self._now = len(data)
        self._taken += self._now
        HttpToolsProtocol.data_received(self, data)  # by name: once a request, and `super()` costs
        cycle = self.cycle
        if (cycle is None or cycle.scope is not self.scope) and not self._ended:
            # The first piece of a later request may hold the end of an earlier one.
            self._head += self._now if self._head or not self._heads else 1
            if self._head > self.watch.limits.head_bytes:
                self._end(self._too_large())

    def on_headers_complete(self) -> None:
        """The head has ended: weighed exactly only when what was read could be too much. Trailers go nowhere: they
        would be headers that nobody weighed, in a request that has been judged."""
        head, headers, address = self._most
        large = self._head + self._now > head and self._weight() > head
        if large or len(self.headers) > headers or len(self.url) > address:
            self._refusal = self._too_large()
            raise self._refusal  # the parser stops, and asks for an answer below
        self._head = 0
        self._heads += 1
        HttpToolsProtocol.on_headers_complete(self)
        self.headers = _NOWHERE
        cast("Scope", self.scope)[CONNECTION] = self

    def answer(self, scope: Scope, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """A 200 in one piece: uvicorn writes head and body apart, and each write costs the kernel as much as a small
        request costs us. `headers` are ours, in lower case, with the length of `body`. False: nothing was written, as
        this is not the plain case, and the answer goes uvicorn's way."""
        cycle = self.cycle
        if (
            cycle.scope is not scope
            or cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or self.flow.write_paused
        ):
            return False
        told = b"".join([b"%b: %b\r\n" % pair for pair in (*cycle.default_headers, *headers)])
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[200], told, body))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def send_400_response(self, msg: str) -> None:
        """What could not be read, or was refused while it was read."""
        self._end(self._refusal)

    def phase(self) -> Phase:
        """What this connection is about at the moment."""
        cycle = self.cycle
        if cycle is None or cycle.scope is not self.scope:
            return Phase.HEAD
        if cycle.more_body:
            return Phase.REST if cycle.response_complete else Phase.BODY
        return Phase.IDLE if cycle.response_complete else Phase.ANSWER

    def look(self, now: float) -> None:
        """Ends the connection when what it is about takes too long. `now`: the watch's seconds."""
        if self._ended:
            return
        phase = self.phase()
        if phase is Phase.ANSWER:
            done = self.transport.get_write_buffer_size() if self.flow.write_paused else -1
        else:
            done = self._taken
        reason = self._reading.overdue(
            self.watch.limits, phase, self._heads, done, now, ours=self.flow.read_paused or done < 0
        )
        if reason is None:
            return
        if phase is Phase.BODY or (phase is Phase.HEAD and self.scope is not None):
            self._end(SlowRequest(), reason)
        else:
            self.watch.note(reason)
            self.transport.abort()

    def _weight(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> Refusal:
        return LongAddress() if len(self.url or b"") > self.watch.limits.address_bytes else LargeHead()

    def _end(self, refusal: Refusal, reason: str | None = None) -> None:
        """The last answer, if none has begun; what still comes is dropped, and soon the connection too."""
        self._ended = True
        self.watch.note(reason or refusal.code)
        cycle = self.cycle
        begun = cycle is not None and not cycle.response_complete and cycle.response_started
        if begun or len(self.connections) > 2 * self.watch.limits.connections:
            self.transport.abort()  # an answer in the middle of another would be part of it
            return
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        self.transport.write(_answer(refusal))
        self.transport.set_protocol(_Deaf(self))
        if self.transport.can_write_eof():
            self.transport.write_eof()


class _Nowhere(list[tuple[bytes, bytes]]):
    """Headers that are dropped."""

    def append(self, _: tuple[bytes, bytes]) -> None:
        """Keeps nothing."""


_NOWHERE: Final = _Nowhere()


class _Deaf(asyncio.Protocol):
    """What a connection is after its last answer: everything that still comes is dropped, for a while."""

    def __init__(self, was: Guarded) -> None:
        self._was = was
        self._end = was.loop.call_later(LINGER_SECONDS, was.transport.abort)

    def eof_received(self) -> None:
        """The client has heard: the connection closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._end.cancel()
        self._was.connection_lost(exc)


def guarded(watch: Watch) -> type[Guarded]:
    """The class of connections that this watch looks after."""
    return type("WatchedConnection", (Guarded,), {"watch": watch})


def _answer(refusal: Refusal) -> bytes:
    request_id = uuid4().hex
    body = msgspec.json.encode(problem(refusal, request_id))
    told = {
        **refusal.headers,
        "content-type": "application/problem+json",
        "content-length": str(len(body)),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
        "connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return STATUS_LINE[refusal.status] + head.encode("ascii") + b"\r\n" + body
