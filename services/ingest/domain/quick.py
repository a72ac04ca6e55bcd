"""The short way of the commonest item, a plain usage fact: from its bytes to its line, with no step too many.

It takes nothing that `admit` would refuse, and makes the line that `admit` would make; whatever needs a second look
(an escape, a short id, nesting, another type, a fault) it leaves to `admit`.
"""

import zlib
from collections.abc import Callable
from typing import Final

import msgspec

from services.ingest.domain.checks import EARLIEST, micros_of
from services.ingest.domain.intake import MAX_ITEM
from services.ingest.domain.sent import ABSENT, SentUsage
from services.ingest.domain.verdict import Door, tenant_crc
from shared.facts import USAGE_TOPIC, Usage, encode, sent_hash

Lines = dict[tuple[str, int], list[bytes]]
"""Lines of NDJSON by (topic, partition)."""
_BACKSLASH: Final = 92
_LEAST: Final = 10  # characters from which on an id is no placeholder
_decode = msgspec.json.Decoder(SentUsage).decode
_encode = msgspec.json.Encoder().encode


def taker(door: Door, partitions: int, lines: Lines) -> Callable[[bytes], str | None]:
    """A function that takes an item, adds its line to `lines` and gives its id; None when `admit` is to judge."""
    tenant, received, latest = door.tenant, door.received, door.latest
    start = tenant_crc(tenant)
    places = [(USAGE_TOPIC, part) for part in range(partitions)]

    def take(raw: bytes) -> str | None:
        if len(raw) > MAX_ITEM or raw.find(_BACKSLASH) >= 0:  # without escapes no text holds NUL or a lone surrogate
            return None
        try:
            sent = _decode(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        fact_id, person, account = sent.id, sent.person_id, sent.account_id
        at = micros_of(sent.at)
        if (
            fact_id is None
            or _odd(fact_id)
            or _odd(person)
            or (account is not None and _odd(account))
            or at is None
            or not EARLIEST <= at <= latest
            or not (sent.properties is ABSENT or _is_flat(bytes(sent.properties)))
        ):
            return None
        stamp = sent_hash(_encode(sent))
        place = places[zlib.crc32(person.encode(), start) % partitions]
        line = encode(
            Usage(
                tenant=tenant, id=fact_id, received=received, hash=stamp, at=at, person_id=person, event=sent.event,
                account_id=account, count=sent.count or 1,
            )
        )  # fmt: skip
        held = lines.get(place)
        if held is None:
            lines[place] = [line]
        else:
            held.append(line)
        return fact_id

    return take


def _odd(text: str) -> bool:
    """Whether an id may be one that no door lets in; what may be is looked at again."""
    return len(text) < _LEAST or "#" in text or text[0] <= " " or text[-1] <= " "


def _is_flat(raw: bytes) -> bool:
    """Whether JSON is an object that holds no other object and no array."""
    return raw[0] == 123 and raw.find(b"{", 1) < 0 and raw.find(b"[") < 0
