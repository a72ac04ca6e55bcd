"""Clients that give nothing, or little, or take nothing: they are ended, and nobody else waits for them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import httpx2
import pytest

from tests.journeys.running import client
from tests.security.conftest import Prey

pytestmark = pytest.mark.slow
HEAD: Final = "POST /v1/track HTTP/1.1\r\nHost: genki\r\n"
WITHIN: Final = 30.0
EACH: Final = 170  # 510 at once
MANY: Final = ("silent", "slow_header", "half_body")


@dataclass
class Ended:
    """How long one connection lived, and what it was told."""

    seconds: float
    told: bytes


@dataclass
class Honest:
    """What honest clients were answered meanwhile."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


Slow = Callable[[asyncio.StreamWriter, Prey], Awaitable[None]]


async def silent(writer: asyncio.StreamWriter, prey: Prey) -> None:
    """Says nothing at all."""


async def slow_header(writer: asyncio.StreamWriter, prey: Prey) -> None:
    """A line of header now and then, for ever."""
    writer.write(HEAD.encode())
    for number in range(1000):
        writer.write(f"X-{number}: a\r\n".encode())
        await asyncio.sleep(2)


async def half_body(writer: asyncio.StreamWriter, prey: Prey) -> None:
    """A good key and half of a body."""
    writer.write(f"{HEAD}Authorization: Bearer {prey.keys['write']}\r\nContent-Length: 1000\r\n\r\n".encode())
    writer.write(b" " * 500)


async def body_by_the_byte(writer: asyncio.StreamWriter, prey: Prey) -> None:
    """A body that never quite stops coming."""
    writer.write(f"{HEAD}Authorization: Bearer {prey.keys['write']}\r\nContent-Length: 100000\r\n\r\n".encode())
    for _ in range(1000):
        writer.write(b" ")
        await asyncio.sleep(1)


async def rest_by_the_byte(writer: asyncio.StreamWriter, prey: Prey) -> None:
    """No key, so answered at once, and a body that goes on."""
    writer.write(b"POST /v1/events HTTP/1.1\r\nHost: genki\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await asyncio.sleep(1)


async def lines_between_requests(writer: asyncio.StreamWriter, prey: Prey) -> None:
    """Empty lines, which are allowed before a request and keep a server's idle clock from running."""
    for _ in range(1000):
        writer.write(b"\r\n")
        await asyncio.sleep(1)


KINDS: Final[dict[Slow, bytes]] = {
    silent: b"",
    slow_header: b"408",
    half_body: b"408",
    body_by_the_byte: b"408",
    rest_by_the_byte: b"401",
    lines_between_requests: b"",
}


async def suffer(prey: Prey, kind: Slow) -> Ended:
    """One such connection from its opening until the server ends it."""
    reader, writer = await asyncio.open_connection(prey.host, prey.port)
    begin = time.monotonic()
    doing = asyncio.ensure_future(kind(writer, prey))
    told = b""
    try:
        async with asyncio.timeout(60):
            while piece := await reader.read(65536):
                told += piece
    except ConnectionError:
        pass
    finally:
        doing.cancel()
        writer.close()
    await asyncio.gather(doing, return_exceptions=True)
    return Ended(time.monotonic() - begin, told)


async def ask(http: httpx2.AsyncClient, found: Honest, stop: asyncio.Event) -> None:
    """Honest questions, one after another, until told to stop."""
    while not stop.is_set():
        begin = time.monotonic()
        found.statuses.append((await http.get("/v1/accounts")).status_code)
        found.seconds.append(time.monotonic() - begin)
        await asyncio.sleep(0.05)


async def drip(prey: Prey) -> bytes:
    """A slow but steady upload, 4 KB a second for longer than any deadline: the first line of its answer."""
    reader, writer = await asyncio.open_connection(prey.host, prey.port)
    writer.write(f"{HEAD}Authorization: Bearer {prey.keys['write']}\r\nContent-Length: 104000\r\n\r\n".encode())
    for _ in range(26):
        writer.write(b" " * 4_000)
        await asyncio.sleep(1)
    told = await reader.readuntil(b"\r\n")
    writer.close()
    return told


async def now_and_then(prey: Prey) -> list[bytes]:
    """One connection for requests with long pauses: their first lines."""
    reader, writer = await asyncio.open_connection(prey.host, prey.port)
    told: list[bytes] = []
    for pause in (12, 12, 0):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: genki\r\n\r\n")
        told.append(await reader.readuntil(b"\r\n"))
        await reader.readuntil(b"}")
        await asyncio.sleep(pause)
    writer.close()
    return told


async def listen(prey: Prey, beats: list[bytes]) -> None:
    """Hears a stream of events, which says a word every fifteen seconds."""
    async with client(prey.url, prey.keys["admin"]) as http, http.stream("GET", "/v1/stream") as answer:
        async for part in answer.aiter_raw():
            beats.append(part)  # noqa: PERF401 seen while it grows


async def test_hundreds_of_slow_connections_end_in_time_and_honest_traffic_is_answered_all_the_while(
    prey: Prey,
) -> None:
    found, stop = Honest(), asyncio.Event()
    each = [EACH if kind.__name__ in MANY else 10 for kind in KINDS]
    async with client(prey.url, prey.keys["admin"]) as http:
        asking = [asyncio.create_task(ask(http, found, stop)) for _ in range(4)]
        listening = asyncio.create_task(listen(prey, beats := []))
        patient = asyncio.gather(drip(prey), now_and_then(prey))
        suffering = [
            asyncio.gather(*(suffer(prey, kind) for _ in range(n))) for kind, n in zip(KINDS, each, strict=True)
        ]
        ended = dict(zip(KINDS, await asyncio.gather(*suffering), strict=True))
        # The upload came whole, and is no JSON.
        assert await patient == [b"HTTP/1.1 400 Bad Request\r\n", [b"HTTP/1.1 200 OK\r\n"] * 3]
        stop.set()
        await asyncio.gather(*asking)
        assert not listening.done()
        listening.cancel()
    assert len(beats) >= 2
    for kind, said in KINDS.items():
        slowest = max(one.seconds for one in ended[kind])
        assert (kind.__name__, slowest < WITHIN) == (kind.__name__, True), slowest
        assert {one.told[9:12] for one in ended[kind]} == {said}, kind.__name__
    assert set(found.statuses) == {200}
    assert len(found.statuses) > 200
    assert sorted(found.seconds)[len(found.seconds) // 2] < 0.5
