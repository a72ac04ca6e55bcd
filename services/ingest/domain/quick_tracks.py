"""The short way of the commonest calls of tracking SDKs: plain `track` messages, by columns, to their lines.

As `quick` does for /v1/events: it takes nothing that `admit_message` would refuse, and makes the lines that it would
make; messages among which any needs a second look are left to it all.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import TypeGuard, cast

import msgspec

from services.ingest.domain.checks import EARLIEST, micros_of, micros_of_all
from services.ingest.domain.message import Context, Message
from services.ingest.domain.quick import Columns, Lines, are_odd, has_escapes, putter
from services.ingest.domain.segment import MAX_ID, MAX_MESSAGE_ID, Surroundings, corrected, stamp_of
from services.ingest.domain.sent import NAME_LENGTH
from services.ingest.domain.verdict import Door, Refused, Rejected
from shared.facts import sent_hashes

_encode = msgspec.json.Encoder().encode


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
        ids, events = [one.messageId for one in messages], [one.event for one in messages]
        people = [one.userId or one.anonymousId for one in messages]
        if not _are_texts(ids, MAX_MESSAGE_ID) or not _are_texts(people, MAX_ID) or not _are_names(events):
            return None
        accounts = _accounts([one.context for one in messages], raws, around)
        ats = _instants(messages, around, door)
        if accounts is None or ats is None:
            return None
        hashes = _stamps(messages)
        if hashes is None:
            return None
        put(Columns(ats, people, events, accounts, [1] * len(ids), ids, hashes))
        return ids

    return take


def _are_names(values: Sequence[str | None]) -> TypeGuard[Sequence[str]]:
    return all(values) and max(map(len, cast("Sequence[str]", values))) <= NAME_LENGTH


def _are_texts(values: Sequence[object], most: int) -> TypeGuard[Sequence[str]]:
    """Whether all are ids in the form of text that nobody needs to look at again."""
    if {*map(type, values)} != {str}:
        return False
    texts = cast("Sequence[str]", values)
    return max(map(len, texts)) <= most and not are_odd(texts)


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
    texts = [one.originalTimestamp or one.timestamp for one in messages]
    read = micros_of_all(cast("list[str]", texts)) if all(texts) else None
    if read is None:
        return None
    own = [one.sentAt for one in messages]
    if any(own):
        sent = [micros_of(text) if text else around.sent for text in own]
        ats = list(map(corrected, read, sent, repeat(door.received)))
    else:
        late = 0 if around.sent is None else door.received - around.sent
        ats = [min(at + late, door.received) for at in read]
    return ats if min(ats) >= EARLIEST else None


def _stamps(messages: Sequence[Message]) -> Sequence[int] | None:
    """The conflict hash of each; None when one holds what cannot be kept."""
    try:
        if {*[one.sentAt for one in messages], *[one.writeKey for one in messages]} == {None}:
            return sent_hashes(map(_encode, messages))
        return list(map(stamp_of, messages))
    except (Refused, UnicodeError, msgspec.EncodeError, OverflowError):
        return None
