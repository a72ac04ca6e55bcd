"""What a door does with a request whose asker is known: admit, publish, note what was refused, answer."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar
from uuid import uuid4

import msgspec
from prometheus_client import Counter

from services.ingest.domain.cloudevents import Unwrap
from services.ingest.domain.intake import admit
from services.ingest.domain.message import Call, Message
from services.ingest.domain.quick import Lines, taker
from services.ingest.domain.segment import Surroundings, admit_message
from services.ingest.domain.split import TOO_DEEP, Items, Unsound, too_deep
from services.ingest.domain.verdict import Accepted, Door, Rejected, to_lines
from services.ingest.publisher import Publisher
from services.ingest.rejections import Rejections
from shared.clock import Clock
from shared.errors import BadRequest, TooLarge
from shared.tenancy import Principal

MAX_ITEMS: Final = 1_000
MAX_MESSAGES: Final = 2_500
MAX_LINES: Final = 32 * 1024 * 1024  # bytes: one contact with 500 accounts becomes 500 facts
_BREATH: Final = 100  # items judged before other requests get their turn

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

    def __init__(self, publisher: Publisher, rejections: Rejections, clock: Clock, partitions: int) -> None:
        """`partitions`: of each topic of the log."""
        self._publisher, self._rejections, self._clock, self._partitions = publisher, rejections, clock, partitions

    async def events(self, asker: Principal, body: bytes, items: Items, route: str) -> bytes:
        """One result per item of this body, in order. Raises TooLarge, BadRequest, TooMany, Unavailable."""
        door, taken = self._door(asker), _Taken(self._partitions)
        take = taker(door, self._partitions, taken.lines)

        def judge(raw: bytes) -> str | Rejected:
            fact_id = take(raw)
            if fact_id is not None:
                return fact_id
            if not taken.careful and too_deep(body, items.items):
                sound(TOO_DEEP)
            return taken.add(admit(raw, door))

        verdicts = await self._events(asker, items, judge, taken, door, route)
        return _results(verdicts) if taken.careful else _all_accepted([str(one) for one in verdicts])

    async def wrapped(self, asker: Principal, items: Items, unwrap: Unwrap, route: str) -> bytes:
        """As `events`; `unwrap` makes items of what are none yet."""
        door, taken = self._door(asker), _Taken(self._partitions)

        def judge(raw: bytes) -> str | Rejected:
            item = unwrap(raw)
            return taken.add(item if isinstance(item, Rejected) else admit(item, door))

        return _results(await self._events(asker, items, judge, taken, door, route))

    async def track(self, asker: Principal, call: Call, header_sent_at: str | None, route: str) -> bytes:
        """How many messages were accepted, and each that was not. Raises TooLarge, TooMany, Unavailable."""
        if len(call.messages) > MAX_MESSAGES:
            raise TooLarge(f"A batch may have {MAX_MESSAGES} messages.")
        door, around = self._door(asker), Surroundings(call.sent_at or header_sent_at, call.context)
        taken = _Taken(self._partitions)

        def judge(message: Message | Rejected) -> str | Rejected:
            return taken.add(message if isinstance(message, Rejected) else admit_message(message, around, door))

        verdicts = await _each(call.messages, judge)
        await self._publisher.put(taken.lines, door.received)
        self._note("tracking", asker, route, verdicts, call.raws)
        refused = [Refused(i, one.id, one.code, one.message) for i, one in _refused(verdicts)]
        return b'{"success":true,"accepted":%d,"rejected":%b}' % (len(verdicts) - len(refused), _encode(refused))

    def _door(self, asker: Principal) -> Door:
        return Door(asker.tenant, asker.currency, asker.fx_currencies, self._clock.micros(), _new_id)

    async def _events(
        self,
        asker: Principal,
        items: Items,
        judge: Callable[[bytes], str | Rejected],
        taken: _Taken,
        door: Door,
        route: str,
    ) -> Verdicts:
        if len(items.items) > MAX_ITEMS:
            raise TooLarge(f"A request may have {MAX_ITEMS} items.")
        verdicts = await _each(items.items, judge)
        await self._publisher.put(taken.lines, door.received)
        self._note("events", asker, route, verdicts, items.items)
        return verdicts

    def _note(self, door: str, asker: Principal, route: str, verdicts: Verdicts, raws: Sequence[bytes]) -> None:
        refused = [(index, why, raws[index]) for index, why in _refused(verdicts)]
        _ACCEPTED[door].inc(len(verdicts) - len(refused))
        if refused:
            ITEMS.labels(door, "rejected").inc(len(refused))
            for _, why, _ in refused:
                REJECTED.labels(why.code).inc()
            self._rejections.note(asker.tenant, route, refused)


_Item = TypeVar("_Item")


async def _each(items: Sequence[_Item], judge: Callable[[_Item], str | Rejected]) -> Verdicts:
    """Judges every item; other requests get their turn now and then."""
    verdicts = [judge(item) for item in items[:_BREATH]]
    for start in range(_BREATH, len(items), _BREATH):
        await asyncio.sleep(0)
        verdicts += [judge(item) for item in items[start : start + _BREATH]]
    return verdicts


def _refused(verdicts: Verdicts) -> Iterator[tuple[int, Rejected]]:
    return ((index, one) for index, one in enumerate(verdicts) if isinstance(one, Rejected))


def _all_accepted(ids: list[str]) -> bytes:
    """As `_results`, where every id is its own JSON: one from an item without escapes."""
    if not ids:
        return b'{"results":[]}'
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
