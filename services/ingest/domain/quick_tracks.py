"""The short way of the commonest calls of tracking SDKs: plain `track` messages, by columns, to their lines.

As `quick` does for /v1/events: it takes nothing that `admit_message` would refuse, and makes the lines that it would
make; messages among which any needs a second look are left to it all.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import TypeGuard, cast

from services.ingest.domain.checks import EARLIEST, micros_of, micros_of_all
from services.ingest.domain.message import Context, Message
from services.ingest.domain.quick import Columns, Lines, are_odd, has_escapes, putter
from services.ingest.domain.segment import MAX_ID, MAX_MESSAGE_ID, Surroundings, corrected, stamp_of
from services.ingest.domain.sent import NAME_LENGTH
from services.ingest.domain.verdict import Door, Refused, Rejected

_columns = attrgetter("messageId", "userId", "anonymousId", "event", "context")
_times = attrgetter("originalTimestamp", "timestamp", "sentAt")


def tracker(
    around: Surroundings, door: Door, partitions: int, lines: Lines
) -> Callable[[Sequence[Message | Rejected], Sequence[bytes]], Sequence[str] | None]:
    """A function that takes messages and their bytes, adds their lines to `lines` and gives their ids; None when
    `admit_message` is to judge."""
    put = putter(door, partitions, lines)

    def take(given: Sequence[Message | Rejected], raws: Sequence[bytes]) -> Sequence[str] | None:
        messages = [one for one in given if isinstance(one, Message) and one.type == "track"]
        if len(messages) < len(given) or has_escapes(raws):
            return None
        ids, users, strangers, events, contexts = zip(*map(_columns, messages), strict=True)
        people = [user or stranger for user, stranger in zip(users, strangers, strict=True)]
        if (
            not _are_texts(ids, MAX_MESSAGE_ID)
            or not _are_texts(people, MAX_ID)
            or not all(events)
            or max(map(len, events)) > NAME_LENGTH
        ):
            return None
        accounts = _accounts(contexts, raws, around)
        ats = _instants(messages, around, door)
        if accounts is None or ats is None:
            return None
        try:
            hashes = list(map(stamp_of, messages))
        except Refused:
            return None
        put(Columns(ats, people, events, accounts, [1] * len(ids), ids, hashes))
        return ids

    return take


def _are_texts(values: Sequence[object], most: int) -> TypeGuard[Sequence[str]]:
    """Whether all are ids in the form of text that nobody needs to look at again."""
    return {*map(type, values)} == {str} and not are_odd(cast("Sequence[str]", values), most)


def _accounts(
    contexts: Sequence[Context | None], raws: Sequence[bytes], around: Surroundings
) -> Sequence[str | None] | None:
    """The account that each message's context names; None when one takes a second look."""
    groups = [None if context is None else context.groupId for context in contexts]
    named = [group for group in groups if group is not None]
    if named and not _are_texts(named, MAX_ID):
        return None
    if len(named) < len(groups) and (around.context is not None or b"groupId" in b"".join(raws)):
        return None
    return cast("list[str | None]", groups)


def _instants(messages: Sequence[Message], around: Surroundings, door: Door) -> Sequence[int] | None:
    """When each happened, in µs; None when one does not say so plainly."""
    originals, stamps, own = zip(*map(_times, messages), strict=True)
    texts = [original or stamp for original, stamp in zip(originals, stamps, strict=True)]
    read = micros_of_all(texts) if all(texts) else None
    if read is None:
        return None
    sent = [micros_of(text) if text else around.sent for text in own] if any(own) else repeat(around.sent)
    ats = list(map(corrected, read, sent, repeat(door.received)))
    return ats if min(ats) >= EARLIEST else None
