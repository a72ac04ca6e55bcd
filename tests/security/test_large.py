"""Requests that are larger than they look, or than they may be: refused soon, in few bytes, in little memory."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.security.conftest import Prey

pytestmark = pytest.mark.slow
MB: Final = 1_000_000
PIECE: Final = b" " * 250_000
GROWTH: Final = 30 * MB
WITHIN: Final = 5.0  # a second on a machine that does nothing else
ITEM: Final = {"type": "usage", "id": "u", "person_id": "p", "event": "e", "at": "2026-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Large:
    """One request: where to, with which key, how its body is framed, what it is made of, what it is answered."""

    path: str
    key: str | None
    body: Callable[[], Iterable[bytes]]
    statuses: tuple[int, ...]
    length: int | None = None  # declared; None: in chunks
    head: bytes = b""


def spaces(size: int = 100 * MB) -> Callable[[], Iterator[bytes]]:
    """Blanks, which are white space to JSON: a body of any size could still become one."""
    return lambda: (PIECE for _ in range(size // len(PIECE)))


def bomb(members: int = 1) -> Callable[[], Iterable[bytes]]:
    """60 MB of zeros in 60 KB."""
    return whole(gzip.compress(bytes(60 * MB // members), 6) * members)


def whole(body: bytes) -> Callable[[], Iterable[bytes]]:
    """A body in one piece."""
    return lambda: (body,)


PACKED: Final = gzip.compress(json.dumps([ITEM]).encode())
TWO: Final = gzip.compress(b'{"batch":') + gzip.compress(b"[]}")
MANY: Final = gzip.compress(b"") * 1_000 + gzip.compress(b"[]")  # sound, but for its members
NONSENSE: Final = json.dumps([{"type": "nonsense", "n": n} for n in range(20_000)]).encode()
SETTINGS: Final = json.dumps({f"unknown_{n}": n for n in range(20_000)}).encode()
TABLE: Final[dict[str, Large]] = {
    "100 MB without a key": Large("/v1/events", None, spaces(), (401,), 100 * MB),
    "100 MB in chunks without a key": Large("/v1/events", None, spaces(), (401,)),
    "a file of 100 MB without a key": Large("/v1/imports/accounts", None, spaces(), (401,), 100 * MB),
    "100 MB at a door that finds its key in the body": Large("/v1/batch", None, spaces(), (401, 413), 100 * MB),
    "100 MB in chunks at that door": Large("/v1/batch", None, spaces(), (401, 413)),
    "100 MB with a key": Large("/v1/events", "server", spaces(), (413,), 100 * MB),
    "100 MB in chunks with a key": Large("/v1/events", "server", spaces(), (413,)),
    "100 MB of settings": Large("/v1/settings", "admin", spaces(), (413,)),
    "a bomb": Large("/v1/events", "server", bomb(), (413,)),
    "a bomb of five members": Large("/v1/events", "server", bomb(5), (413,)),
    "a bomb at the tracking door": Large("/v1/batch", "write", bomb(), (413,)),
    "a bomb for a sheet": Large("/v1/imports/accounts", "admin", bomb(), (400, 413, 415, 422)),
    "gzip of two members": Large("/v1/batch", "write", whole(TWO), (200,)),
    "gzip cut short": Large("/v1/events", "server", whole(PACKED[:-6]), (400,)),
    "gzip of a thousand and one members": Large("/v1/events", "server", whole(MANY), (400,)),
    "5 MB of headers": Large("/v1/events", "server", whole(b""), (431,), 0, b"X: " + b"a" * 5 * MB + b"\r\n"),
    "20,000 items that are nonsense": Large("/v1/events", "server", whole(NONSENSE), (413,)),
    "20,000 settings that nobody knows": Large("/v1/settings", "admin", whole(SETTINGS), (422,)),
    "brackets a hundred thousand deep": Large("/v1/events", "server", whole(b"[" * 100_000), (400,)),
    "settings a hundred thousand deep": Large("/v1/settings", "admin", whole(b'{"a":' * 100_000), (400, 422)),
}  # fmt: skip


async def sent(prey: Prey, one: Large, writer: asyncio.StreamWriter) -> None:
    """Writes the request until it is whole or nobody takes it any more."""
    method = "PUT" if one.path == "/v1/settings" else "POST"
    key = f"Authorization: Bearer {prey.keys[one.key]}\r\n" if one.key else ""
    framed = "Transfer-Encoding: chunked" if one.length is None else f"Content-Length: {one.length}"
    writer.write(f"{method} {one.path} HTTP/1.1\r\nHost: genki\r\nContent-Type: text/csv\r\n{key}{framed}\r\n".encode())
    writer.write(one.head + b"\r\n")
    for piece in one.body():
        writer.write(piece if one.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
        await writer.drain()
    if one.length is None:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def answered(prey: Prey, one: Large) -> tuple[int, float, int, int]:
    """Status, seconds until its line, bytes of the answer, bytes by which the process grew at most."""
    before = most = prey.rss()
    reader, writer = await asyncio.open_connection(prey.host, prey.port)
    begin = time.monotonic()
    sending = asyncio.ensure_future(sent(prey, one, writer))
    reading = asyncio.ensure_future(reader.readuntil(b"\r\n"))
    while not reading.done():
        await asyncio.sleep(0.01)
        most = max(most, prey.rss())
    line, seconds = await reading, time.monotonic() - begin
    head = await reader.readuntil(b"\r\n\r\n")
    sizes = [int(part.split(b":")[1]) for part in head.split(b"\r\n") if part.lower().startswith(b"content-length")]
    body = await reader.readexactly(sizes[0])
    await asyncio.wait([sending], timeout=3)  # what still comes is dropped, and may not stay either
    most = max(most, prey.rss())
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    writer.close()
    return int(line.split()[1]), seconds, len(head) + len(body), most - before


async def test_what_is_too_large_is_refused_soon_in_few_bytes_and_fills_no_memory(prey: Prey) -> None:
    for name in ("100 MB with a key", "100 MB of settings", "a bomb for a sheet"):  # what is imported late, once
        await answered(prey, TABLE[name])
    for name, one in TABLE.items():
        async with asyncio.timeout(30):
            status, seconds, size, growth = await answered(prey, one)
        assert (name, status in one.statuses) == (name, True), status
        assert (name, seconds < WITHIN) == (name, True), seconds
        assert (name, size <= 16_384) == (name, True), size
        assert (name, growth < GROWTH) == (name, True), growth
