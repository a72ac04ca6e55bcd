"""What a door does with a request whose asker is known: admit, publish, note what was refused, answer."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import msgspec
from prometheus_client import Counter

from services.ingest.domain.cloudevents import Unwrap
from services.ingest.domain.intake import admit
from services.ingest.domain.message import Call, Message
from services.ingest.domain.segment import Surroundings, admit_message
from services.ingest.domain.split import Items
from services.ingest.domain.verdict import Accepted, Door, Line, Rejected, to_lines
from services.ingest.publisher import Publisher
from services.ingest.rejections import Rejections
from shared.clock import Clock
from shared.errors import TooLarge
from shared.tenancy import Principal

MAX_ITEMS: Final = 1_000
MAX_MESSAGES: Final = 2_500
MAX_LINES: Final = 32 * 1024 * 1024  # bytes: one contact with 500 accounts becomes 500 facts
_BREATH: Final = 100  # items judged before other requests get their turn

# Items answered, by door and outcome; and why items were refused.
ITEMS: Final = Counter("genki_ingest_items", "Items answered", ("door", "outcome"))
REJECTED: Final = Counter("genki_ingest_rejected", "Items refused", ("code",))


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


Verdicts = list[Accepted | Rejected]


class Doors:
    """Both doors of ingest, over one publisher. Every method answers only after the log has the facts."""

    def __init__(self, publisher: Publisher, rejections: Rejections, clock: Clock, partitions: int) -> None:
        """`partitions`: of each topic of the log."""
        self._publisher, self._rejections, self._clock, self._partitions = publisher, rejections, clock, partitions

    async def events(self, asker: Principal, items: Items, route: str, unwrap: Unwrap | None = None) -> dict[str, Any]:
        """One result per item, in order; `unwrap` makes items of what are none yet. Raises TooLarge, TooMany,
        Unavailable."""
        if len(items.items) > MAX_ITEMS:
            raise TooLarge(f"A request may have {MAX_ITEMS} items.")
        door = self._door(asker)

        def judge(raw: bytes) -> Accepted | Rejected:
            item = raw if unwrap is None else unwrap(raw)
            return item if isinstance(item, Rejected) else admit(item, door)

        verdicts = await self._through(items.items, judge, door)
        self._note("events", asker, route, verdicts, items.items)
        return {"results": [_result(verdict) for verdict in verdicts]}

    async def track(self, asker: Principal, call: Call, header_sent_at: str | None, route: str) -> dict[str, Any]:
        """How many messages were accepted, and each that was not. Raises TooLarge, TooMany, Unavailable."""
        if len(call.messages) > MAX_MESSAGES:
            raise TooLarge(f"A batch may have {MAX_MESSAGES} messages.")
        door, around = self._door(asker), Surroundings(call.sent_at or header_sent_at, call.context)

        def judge(message: Message | Rejected) -> Accepted | Rejected:
            return message if isinstance(message, Rejected) else admit_message(message, around, door)

        verdicts = await self._through(call.messages, judge, door)
        self._note("tracking", asker, route, verdicts, call.raws)
        refused = [Refused(i, one.id, one.code, one.message) for i, one in _refused(verdicts)]
        return {"success": True, "accepted": len(verdicts) - len(refused), "rejected": refused}

    def _door(self, asker: Principal) -> Door:
        return Door(asker.tenant, asker.currency, asker.fx_currencies, self._clock.micros(), _new_id)

    async def _through(self, items: Sequence[Any], judge: Callable[[Any], Accepted | Rejected], door: Door) -> Verdicts:
        """Judges every item, then waits until the facts of all are on the log."""
        verdicts: Verdicts = []
        lines: list[Line] = []
        size = 0
        for index, item in enumerate(items):
            if index % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
            verdict = judge(item)
            verdicts.append(verdict)
            if isinstance(verdict, Accepted):
                added = to_lines(verdict.facts, self._partitions)
                size += sum(len(line) for _, _, line in added)
                lines += added
            if size > MAX_LINES:
                raise TooLarge("The contacts of this request name too many accounts at once.")
        await self._publisher.publish(lines, door.received)
        return verdicts

    def _note(self, door: str, asker: Principal, route: str, verdicts: Verdicts, raws: Sequence[bytes]) -> None:
        refused = [(index, why, raws[index]) for index, why in _refused(verdicts)]
        ITEMS.labels(door, "accepted").inc(len(verdicts) - len(refused))
        if refused:
            ITEMS.labels(door, "rejected").inc(len(refused))
            for _, why, _ in refused:
                REJECTED.labels(why.code).inc()
            self._rejections.note(asker.tenant, route, refused)


def _refused(verdicts: Verdicts) -> Iterator[tuple[int, Rejected]]:
    return ((index, one) for index, one in enumerate(verdicts) if isinstance(one, Rejected))


def _result(verdict: Accepted | Rejected) -> Result:
    if isinstance(verdict, Accepted):
        return Result(verdict.id, "accepted")
    return Result(verdict.id, "rejected", verdict.code, verdict.message)


def _new_id() -> str:
    return str(uuid4())
