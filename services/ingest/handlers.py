"""What a door does with a request whose asker is known: admit, publish, note what was refused, answer."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from uuid import uuid4

import msgspec
from prometheus_client import Counter

from services.ingest.domain.cloudevents import Unwrap
from services.ingest.domain.intake import admit
from services.ingest.domain.message import Call
from services.ingest.domain.quick import Lines, lines_of, read_plain
from services.ingest.domain.quick_tracks import tracker
from services.ingest.domain.segment import admit_message, surroundings
from services.ingest.domain.split import TOO_DEEP, Items, Unsound, split_deep, too_deep
from services.ingest.domain.verdict import Accepted, Door, Rejected, to_lines
from services.ingest.publisher import Publisher
from services.ingest.rejections import Rejections
from shared.clock import Clock
from shared.errors import BadRequest, TooLarge
from shared.shares import Shares
from shared.tenancy import Principal

MAX_ITEMS: Final = 1_000
MAX_MESSAGES: Final = 2_500
MAX_LINES: Final = 32 * 1024 * 1024  # bytes: one contact with 500 accounts becomes 500 facts
_BREATH: Final = 100  # items judged before other requests get their turn
_MANY: Final = 4  # from so many items on the way by columns is the shorter one

# Items answered, by door and outcome; and why items were refused.
ITEMS: Final = Counter("genki_ingest_items", "Items answered", ("door", "outcome"))
REJECTED: Final = Counter("genki_ingest_rejected", "Items refused", ("code",))
_ACCEPTED: Final = {door: ITEMS.labels(door, "accepted") for door in ("events", "tracking")}


class Result(msgspec.Struct, omit_defaults=True):
    """The answer to one item of /v1/events."""

    id: str | None
    status: str
    code: str | None = None
    message: str | None = None


class Refused(msgspec.Struct, rename="camel"):
    """The answer to one refused message."""

    index: int
    message_id: str | None
    code: str
    message: str


Verdicts = list[str | Rejected]
"""Of each item the id under which it was accepted, or why it was refused."""
Judge = Callable[[slice], Sequence[str | Rejected]]
_encode: Final = msgspec.json.Encoder().encode
_Read = TypeVar("_Read")


def sound(read: _Read | Unsound) -> _Read:
    """What was read of a request. Raises BadRequest when nothing could be."""
    if isinstance(read, Unsound):
        raise BadRequest(f"The request is refused: {read.message}.", code=read.code)
    return read


class _Taken:
    """The lines of one request, by place. Raises TooLarge when they become too many."""

    def __init__(self, partitions: int) -> None:
        self.lines: Lines = {}
        self.careful = 0  # items that took the long way
        self._partitions, self._size = partitions, 0

    def add(self, verdict: Accepted | Rejected) -> str | Rejected:
        """Takes an item's lines."""
        self.careful += 1
        if isinstance(verdict, Rejected):
            return verdict
        for topic, part, line in to_lines(verdict.facts, self._partitions):
            self.lines.setdefault((topic, part), []).append(line)
            self._size += len(line)
        if self._size > MAX_LINES:
            raise TooLarge("The contacts of this request name too many accounts at once.")
        return verdict.id


class Doors:
    """Both doors of ingest, over one publisher. Every method answers only after the log has the facts, with the body
    of a 200."""

    def __init__(
        self, publisher: Publisher, rejections: Rejections, clock: Clock, partitions: int, shares: Shares
    ) -> None:
        """`partitions`: of each topic of the log; `shares`: of a tenant, in facts."""
        self._publisher, self._rejections, self._clock, self._partitions = publisher, rejections, clock, partitions
        self._shares = shares

    async def events(self, asker: Principal, body: bytes, route: str) -> bytes:
        """One result per item of this body, in order. Raises TooLarge, BadRequest, TooMany, Unavailable."""
        plain = read_plain(body, MAX_ITEMS)
        door = self._door(asker)
        lines = None if plain is None else lines_of(plain, door, self._partitions)
        if plain is None or lines is None:
            return await self._one_by_one(asker, body, sound(split_deep(body)), door, route)
        self._shares.take(asker.tenant, len(plain.ids))
        await self._publisher.put(lines, door.received)
        _ACCEPTED["events"].inc(len(plain.ids))
        return _all_accepted(plain.ids)

    async def _one_by_one(self, asker: Principal, body: bytes, items: Items, door: Door, route: str) -> bytes:
        taken = _Taken(self._partitions)

        def judge(some: slice) -> Sequence[str | Rejected]:
            if not taken.careful and too_deep(body, items.items):
                sound(TOO_DEEP)
            return [taken.add(admit(raw, door)) for raw in items.items[some]]

        return await self._events(asker, items, judge, taken, door, route)

    async def wrapped(self, asker: Principal, items: Items, unwrap: Unwrap, route: str) -> bytes:
        """As `events`; `unwrap` makes items of what are none yet."""
        door, taken = self._door(asker), _Taken(self._partitions)

        def one(raw: bytes) -> str | Rejected:
            item = unwrap(raw)
            return taken.add(item if isinstance(item, Rejected) else admit(item, door))

        def judge(some: slice) -> Sequence[str | Rejected]:
            return [one(raw) for raw in items.items[some]]

        return await self._events(asker, items, judge, taken, door, route)

    async def track(self, asker: Principal, call: Call, header_sent_at: str | None, route: str) -> bytes:
        """How many messages were accepted, and each that was not. Raises TooLarge, TooMany, Unavailable."""
        if len(call.messages) > MAX_MESSAGES:
            raise TooLarge(f"A batch may have {MAX_MESSAGES} messages.")
        self._shares.take(asker.tenant, len(call.messages))
        door, around, taken = self._door(asker), surroundings(call, header_sent_at), _Taken(self._partitions)
        take = tracker(around, door, self._partitions, taken.lines) if len(call.messages) >= _MANY else None

        def judge(some: slice) -> Sequence[str | Rejected]:
            messages = call.messages[some]
            ids = None if take is None else take(messages, call.raws[some])
            return ids or [
                taken.add(one if isinstance(one, Rejected) else admit_message(one, around, door)) for one in messages
            ]

        verdicts = await _by_parts(len(call.messages), judge)
        await self._publisher.put(taken.lines, door.received)
        refused = self._note("tracking", taken, asker, route, verdicts, call.raws)
        told = [Refused(index, why.id, why.code, why.message) for index, why, _ in refused]
        return b'{"success":true,"accepted":%d,"rejected":%b}' % (len(verdicts) - len(told), _encode(told))

    def _door(self, asker: Principal) -> Door:
        return Door(asker.tenant, asker.currency, asker.fx_currencies, self._clock.micros(), _new_id)

    async def _events(
        self, asker: Principal, items: Items, judge: Judge, taken: _Taken, door: Door, route: str
    ) -> bytes:
        if len(items.items) > MAX_ITEMS:
            raise TooLarge(f"A request may have {MAX_ITEMS} items.")
        self._shares.take(asker.tenant, len(items.items))
        verdicts = await _by_parts(len(items.items), judge)
        await self._publisher.put(taken.lines, door.received)
        self._note("events", taken, asker, route, verdicts, items.items)
        return _results(verdicts)

    def _note(
        self, door: str, taken: _Taken, asker: Principal, route: str, verdicts: Verdicts, raws: Sequence[bytes]
    ) -> list[tuple[int, Rejected, bytes]]:
        """Counts; the refused items with their places and bytes are noted for the list, and given back."""
        if not taken.careful:
            _ACCEPTED[door].inc(len(verdicts))
            return []
        refused = [(at, one, raws[at]) for at, one in enumerate(verdicts) if isinstance(one, Rejected)]
        _ACCEPTED[door].inc(len(verdicts) - len(refused))
        if refused:
            ITEMS.labels(door, "rejected").inc(len(refused))
            for _, why, _ in refused:
                REJECTED.labels(why.code).inc()
            self._rejections.note(asker.tenant, route, refused)
        return refused


async def _by_parts(count: int, judge: Callable[[slice], Sequence[str | Rejected]]) -> Verdicts:
    """Judges so many items, some at a time; other requests get their turn in between."""
    verdicts: Verdicts = []
    for start in range(0, count, _BREATH):
        if start:
            await asyncio.sleep(0)
        verdicts += judge(slice(start, start + _BREATH))
    return verdicts


def _all_accepted(ids: list[str]) -> bytes:
    """As `_results`, where every id is its own JSON: one from an item without escapes. Some there are."""
    told = '","status":"accepted"},{"id":"'.join(ids)
    return f'{{"results":[{{"id":"{told}","status":"accepted"}}]}}'.encode()


def _results(verdicts: Verdicts) -> bytes:
    return _encode({"results": [_result(verdict) for verdict in verdicts]})


def _result(verdict: str | Rejected) -> Result:
    if isinstance(verdict, str):
        return Result(verdict, "accepted")
    return Result(verdict.id, "rejected", verdict.code, verdict.message)


def _new_id() -> str:
    return str(uuid4())
