"""How long a connection may take for what it is about, and how much it may bring. Pure: the time is handed in."""

from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What a connection is about."""

    HEAD = "head"  # a request's line and headers are awaited, or have begun
    BODY = "body"  # its body is coming
    ANSWER = "answer"  # its answer is made, or being read by the client
    REST = "rest"  # it is answered, but its body has not ended
    IDLE = "idle"  # it is answered, and the next may come


@dataclass(frozen=True)
class Limits:
    """Of one process. Seconds are told by the guard's clock, which has a grain of one second."""

    connections: int = 4_096
    connections_per_address: int = 2_048  # a proxy is one address
    head_seconds: float = 10  # from the connection, or the first byte of a later request
    head_bytes: int = 65_536
    headers: int = 200
    address_bytes: int = 16_384
    body_seconds: float = 20  # in so many seconds …
    body_bytes: int = 10_000  # … so much of a body must come
    rest_seconds: float = 10
    unread_seconds: float = 60  # an answer of which the client takes nothing
    idle_seconds: float = (
        30  # longer than our own gateway keeps a connection (15 s): it is never closed under a request
    )


class Reading:
    """What was seen of one connection: since when it is about the same thing, and how far it has come."""

    __slots__ = ("_about", "_done", "_since")

    def __init__(self, now: float) -> None:
        """Nothing yet, at `now`."""
        self._about: tuple[Phase, int] | None = None
        self._done = 0
        self._since = now

    def overdue(self, limits: Limits, phase: Phase, request: int, done: int, now: float, *, ours: bool) -> str | None:
        """Why the connection should end, or None. `request`: its number on this connection; `done` counts bytes that
        came (of an answer: that the client has not taken yet); `ours`: it is not the client who is waited for."""
        about = (phase, request)
        if about != self._about and not (self._about is None and phase is Phase.HEAD):
            self._since, self._done = now, done
        self._about = about
        if ours:
            self._since, self._done = now, done
            return None
        return self._judge(limits, phase, done, now)

    def _judge(self, limits: Limits, phase: Phase, done: int, now: float) -> str | None:
        waited = now - self._since
        if phase is Phase.BODY:
            if done - self._done >= limits.body_bytes:
                self._since, self._done = now, done
            return "slow_body" if waited >= limits.body_seconds else None
        if phase is Phase.ANSWER:
            if done < self._done:
                self._since, self._done = now, done
            return "unread_answer" if waited >= limits.unread_seconds else None
        if phase is Phase.HEAD:
            return "slow_head" if waited >= limits.head_seconds else None
        if phase is Phase.REST:
            return "slow_rest" if waited >= limits.rest_seconds else None
        return "idle" if waited >= limits.idle_seconds else None
