"""Facts of an NDJSON file through the events door, a thousand at a time; sending the file again changes nothing."""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import msgspec

from services.cli.door import Door, Turned
from services.cli.report import Refused
from services.ingest.domain.intake import MAX_ITEM
from services.ingest.handlers import MAX_ITEMS
from shared.sheets import Report

MAX_BYTES: Final = 3_500_000  # of a request
PATIENCE: Final = 300.0  # seconds until a Genki that does not take facts is given up
_LONGEST: Final = 1 << 20  # bytes of a line that are looked at
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Line(NamedTuple):
    """One line that holds anything, by its number (the first is 1)."""

    number: int
    raw: bytes


def count_lines(file: Path) -> int:
    """Lines that hold anything. Raises Refused for a file that cannot be read."""
    with _opened(file) as source:
        return sum(1 for _ in _lines(source))


async def send_lines(door: Door, file: Path, advance: Callable[[int], None]) -> dict[str, Any]:
    """What became of the file's facts: `{rows_read, accepted, rejected: [{line, reason, code}], warnings}`.

    `advance` is told of lines as they are settled. Raises Refused when the file cannot be read to its end, or Genki
    takes no facts for `PATIENCE` seconds."""
    sending = _Sending(door, advance)
    try:
        with _opened(file) as source:
            for line in _lines(source):
                await sending.take(line)
            await sending.send()
    except Refused as problem:
        again = "send the file again, what is there already changes nothing"
        raise Refused(f"stopped after line {sending.settled}: {problem}; {again}", sending.report.answer()) from problem
    return sending.report.answer()


class _Sending:
    """Lines on their way: those that wait for company, and what became of the others."""

    def __init__(self, door: Door, advance: Callable[[int], None]) -> None:
        self._door, self._advance = door, advance
        self._batch: list[Line] = []
        self._size = 0
        self._ids = _Ids()
        self.settled = 0
        self.report = Report()

    async def take(self, line: Line) -> None:
        fault = _fault(line)
        if fault is not None:
            self.report.refuse(line.number, *fault)
            self._advance(1)
            return
        named = self._ids.named(line)
        alone = named is None
        if alone or len(self._batch) == MAX_ITEMS or self._size + len(named.raw) > MAX_BYTES:
            await self.send()
        self._batch.append(line if alone else named)
        self._size += len(line.raw) + 1
        if alone:
            await self.send()

    async def send(self) -> None:
        """Sends what waits."""
        if self._batch:
            await _send(self._door, self._batch, self.report)
            self.settled = self._batch[-1].number
            self._advance(len(self._batch))
            self._batch, self._size = [], 0


class _Ids:
    """Ids for facts without one: of what the line says and its number among lines that say the same."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._repeats: Counter[int] = Counter()

    def named(self, line: Line) -> Line | None:
        """The line with an id; None for one that may be no JSON: the door must see it alone to say so."""
        try:
            members = _members(line.raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        if bytes(members.get("id", b"null")) != b"null":
            return line
        given = msgspec.Raw(msgspec.json.encode(self._made(line.raw)))
        return line._replace(raw=msgspec.json.encode({**members, "id": given}))

    def _made(self, raw: bytes) -> str:
        digest = hashlib.blake2b(raw, digest_size=15).digest()
        short = int.from_bytes(digest[:8], "big")
        if short in self._seen:
            self._repeats[short] += 1
            return f"import-{digest.hex()}-{self._repeats[short] + 1}"
        self._seen.add(short)
        return f"import-{digest.hex()}"


def _fault(line: Line) -> tuple[str, str] | None:
    if not line.raw.startswith(b"{"):
        return "not_an_object", "a line is a JSON object"
    return ("too_large", f"an item may have {MAX_ITEM} bytes") if len(line.raw) > MAX_ITEM else None


async def _send(door: Door, batch: list[Line], report: Report) -> None:
    body = batch[0].raw if len(batch) == 1 else b"[" + b",".join(line.raw for line in batch) + b"]"
    try:
        answer = await door.ask("POST", "/v1/events", body=body, kind="application/json", patience=PATIENCE)
    except Turned as problem:
        if problem.status not in (400, 413):
            raise
        await _halve(door, batch, report, problem)
        return
    for line, result in zip(batch, answer.document["results"], strict=True):
        if result["status"] == "accepted":
            report.accepted += 1
        else:
            report.refuse(line.number, result["code"], result["message"])


async def _halve(door: Door, batch: list[Line], report: Report, problem: Turned) -> None:
    """One line that is no JSON makes the door refuse all of them: it is found, and told alone."""
    if len(batch) == 1:
        report.refuse(batch[0].number, problem.code, str(problem))
        return
    middle = len(batch) // 2
    await _send(door, batch[:middle], report)
    await _send(door, batch[middle:], report)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    try:
        with file.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if packed:
                with gzip.open(plain, "rb") as unpacked:
                    yield unpacked
            else:
                yield plain
    except (OSError, EOFError, zlib.error) as problem:
        raise Refused(f"{file}: {getattr(problem, 'strerror', None) or problem}") from problem


def _lines(source: IO[bytes] | gzip.GzipFile) -> Iterator[Line]:
    number = 0
    while piece := source.readline(_LONGEST):
        number += 1
        rest = piece
        while not rest.endswith(b"\n") and (rest := source.readline(_LONGEST)):
            pass  # of a line beyond the limit only its beginning is kept: it is refused anyway
        raw = (piece.removeprefix(b"\xef\xbb\xbf") if number == 1 else piece).strip()
        if raw:
            yield Line(number, raw)
