"""A dead letter as the fold wrote it and as it is read back: the line to the byte, where it stood, and why it died."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from services.scoring.batch import Batch, Dead, read_record
from shared import facts
from shared.bus import Record

READABLE: Final = "readable"  # it would be applied now
UNREADABLE: Final = "unreadable"
APPLIED: Final = "applied"  # its id is known: it has been replayed, or the client sent a sound one
_SHOWN: Final = ("type", "id", "at", "effective_on")


def letter(dead: Dead) -> bytes:
    """One line of the dead-letter topic. `raw` is the line for people; what is no UTF-8 stands in `base64` too."""
    topic, part = dead.place
    told = {"topic": topic, "partition": part, "offset": dead.offset, "line": dead.number, "reason": dead.reason}
    told["raw"] = dead.raw.decode(errors="backslashreplace")
    if told["raw"].encode() != dead.raw:
        told["base64"] = base64.b64encode(dead.raw).decode()
    return msgspec.json.encode(told)


@dataclass(frozen=True, slots=True)
class Letter:
    """`part`, `offset`, `number`: where it lies in the dead-letter topic. `problem` is why it cannot be applied now,
    None when it can; `fact` is what it says then."""

    part: int
    offset: int
    number: int
    dead: Dead
    problem: str | None
    fact: facts.AnyFact | None

    @property
    def letter_id(self) -> str:
        """How people name it."""
        return f"{self.part}:{self.offset}:{self.number}"

    @property
    def tenant(self) -> int | None:
        """The tenant, as far as the line says one."""
        found = self.fact.tenant if self.fact is not None else self.said().get("tenant")
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def said(self) -> dict[str, Any]:
        """The line as JSON, whatever it means; {} when it is none."""
        try:
            told = msgspec.json.decode(self.dead.raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}

    def shown(self) -> dict[str, Any]:
        """Type, id and times, as far as the line says them."""
        return {name: value for name, value in self.said().items() if name in _SHOWN}


def read(body: bytes, part: int, offset: int, known: Callable[[int], bool]) -> Iterator[Letter]:
    """The letters of one record of the dead-letter topic; `known` says whether a tenant exists."""
    for number, line in enumerate(one for one in body.split(b"\n") if one):
        told = msgspec.json.decode(line)
        raw = base64.b64decode(told["base64"]) if "base64" in told else told["raw"].encode()
        place = (told["topic"], told["partition"])
        dead = Dead(place, told["offset"], told["line"], raw, told["reason"])
        batch = Batch(())
        read_record(batch, Record(*place, told["offset"], raw, 0, 1), known)
        fact = batch.lines[0].fact if batch.lines and not batch.dead else None
        problem = None if fact is not None else batch.dead[0].reason if batch.dead else "an empty line"
        yield Letter(part, offset, number, dead, problem, fact)
