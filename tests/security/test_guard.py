"""The guard before the server: how much a head may bring, how many may come, and what never reaches an application."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import uvicorn

from shared.http.guard import Watch, guarded
from shared.http.limits import Limits, Phase, Reading
from shared.http.passage import CONNECTION

GET: Final = b"GET /x HTTP/1.1\r\nHost: genki\r\n"


@dataclass
class Place:
    """A server with an application that notes what it was asked and says `ok`."""

    watch: Watch
    port: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)
    whole: int = 0  # answers that were written in one piece

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers after the whole body has come; `/hold` never."""
        self.heard.append(scope)
        while (message := await receive())["type"] == "http.request" and message.get("more_body"):
            pass
        if scope["path"] == "/hold" and message["type"] == "http.request":
            await receive()
        headers = [(b"content-length", b"2")]
        whole = scope["path"] == "/whole" and scope[CONNECTION].answer(scope, headers, b"ok")
        self.whole += whole
        if not whole:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"ok"})

    async def says(self, *pieces: bytes, seconds: float = 5) -> bytes:
        """What one connection is told for these pieces until it is closed, or says no more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        told = b""
        with suppress(ConnectionError, TimeoutError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            async with asyncio.timeout(seconds):
                while piece := await reader.read(65536):
                    told += piece
        writer.close()
        return told


@asynccontextmanager
async def place(limits: Limits) -> AsyncIterator[Place]:
    """The server, open."""
    made = Place(Watch(limits))
    config = uvicorn.Config(
        made.app, http=guarded(made.watch), ws="none", lifespan="off", log_config=None, port=0, access_log=False,
        interface="asgi3", timeout_keep_alive=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.01)
    made.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.should_exit = server.force_exit = True
        await serving


LONG: Final = b"a" * 70_000
HEADS: Final[dict[str, tuple[list[bytes], int]]] = {
    "as browsers send it": ([GET, b"Cookie: ", b"c" * 8_000, b"\r\n\r\n"], 200),
    "one header too long, at once": ([GET + b"X: " + LONG + b"\r\n\r\n"], 431),
    "one header too long, in pieces": ([GET + b"X: ", *[b"a" * 7_000] * 10, b"\r\n\r\n"], 431),
    "five megabytes": ([GET + b"X: ", *[b"a" * 250_000] * 20, b"\r\n\r\n"], 431),
    "too many headers": ([GET, *[b"A: b\r\n" * 50] * 5, b"\r\n"], 431),
    "a long address": ([b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"], 414),
    "an address without end": ([b"GET /", *[b"a" * 50_000] * 4], 414),
    "no HTTP": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400),
    "two lengths": ([b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"], 400),
    "a length and chunks": ([b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0"], 400),
}  # fmt: skip


@pytest.mark.parametrize(("pieces", "status"), HEADS.values(), ids=list(HEADS))
async def test_a_head_beyond_the_limits_is_refused_with_a_problem_and_reaches_nobody(
    pieces: list[bytes], status: int
) -> None:
    async with place(Limits()) as here:
        told = await here.says(*pieces)
    assert told.startswith(f"HTTP/1.1 {status} ".encode())
    assert len(here.heard) == (status == 200)
    if status != 200:
        head, _, body = told.partition(b"\r\n\r\n")
        assert json.loads(body)["status"] == status
        assert b"content-type: application/problem+json" in head
        assert b"connection: close" in head
        assert len(told) < 1_000


async def test_trailers_after_a_chunked_body_never_become_headers() -> None:
    sent = b"POST /x HTTP/1.1\r\nHost: genki\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    async with place(Limits()) as here:
        told = await here.says(sent, *[b"Authorization: Bearer gk\r\n" * 1_000] * 20, b"\r\n")
    assert told.startswith(b"HTTP/1.1 200 ")
    assert [name for name, _ in here.heard[0]["headers"]] == [b"host", b"transfer-encoding"]


async def test_one_connection_after_another_and_pipelined_requests_are_all_answered() -> None:
    body = b"POST /x HTTP/1.1\r\nHost: genki\r\nContent-Length: 100000\r\n\r\n" + b"b" * 100_000
    async with place(Limits()) as here:
        told = await here.says((body + GET + b"\r\n") * 20)
    assert told.count(b"HTTP/1.1 200 OK") == 40
    assert len(here.watch.held) == 0


async def test_an_answer_in_one_piece_is_the_usual_one_and_where_it_cannot_be_the_usual_way_is_taken() -> None:
    usual, whole = GET + b"\r\n", GET.replace(b"/x", b"/whole") + b"\r\n"
    async with place(Limits()) as here:
        told = [await here.says(one, one, one) for one in (usual, whole)]
        written = here.whole
        pipelined = await here.says(whole * 5)
        apart = here.whole - written
        last = await here.says(whole.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    plain = [[line for line in one.split(b"\r\n") if not line.startswith(b"date: ")] for one in told]
    assert plain[0] == plain[1]
    assert plain[0].count(b"HTTP/1.1 200 OK") == 1
    assert (written, apart) == (3, 1)
    assert pipelined.count(b"HTTP/1.1 200 OK") == 5
    assert b"connection: close" in last
    assert here.whole == 4


async def test_a_full_house_refuses_the_next_and_takes_it_when_there_is_room() -> None:
    async with place(Limits(connections=3, connections_per_address=3)) as here:
        held = [asyncio.create_task(here.says(GET.replace(b"/x", b"/hold") + b"\r\n", seconds=1)) for _ in range(3)]
        while len(here.heard) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        told = await here.says(GET + b"\r\n")
        await asyncio.gather(*held)
        again = await here.says(GET + b"\r\n")
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in told.lower()
    assert again.startswith(b"HTTP/1.1 200 ")


async def test_a_full_house_ends_idle_connections_the_oldest_first() -> None:
    async with place(Limits(connections=3, connections_per_address=9)) as here:
        opened = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(3)]
        for reader, writer in opened:
            writer.write(GET + b"\r\n")
            await reader.readuntil(b"ok")
        assert (await here.says(GET + b"\r\n", seconds=0.3)).startswith(b"HTTP/1.1 200 ")
        assert await opened[0][0].read() == b""
        opened[2][1].write(GET + b"\r\n")
        assert b"200" in await opened[2][0].readuntil(b"ok")
        for _, writer in opened:
            writer.close()


async def test_one_address_takes_its_part_and_no_more() -> None:
    async with place(Limits(connections=100, connections_per_address=2)) as here:
        opened = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(2)]
        assert (await here.says(GET + b"\r\n")).startswith(b"HTTP/1.1 503 ")
        for _, writer in opened:
            writer.close()
        await asyncio.sleep(0.05)
        assert (await here.says(GET + b"\r\n", seconds=0.3)).startswith(b"HTTP/1.1 200 ")


async def test_an_answer_that_nobody_takes_ends_and_one_that_is_taken_slowly_does_not() -> None:
    limits, reading = Limits(), Reading(0)
    told = [reading.overdue(limits, Phase.ANSWER, 1, 90_000, now, ours=False) for now in range(0, 61, 10)]
    assert told == [None] * 6 + ["unread_answer"]
    reading = Reading(0)
    assert {reading.overdue(limits, Phase.ANSWER, 1, 90_000 - now, now, ours=False) for now in range(300)} == {None}


@pytest.mark.parametrize(
    ("phase", "bytes_a_second", "ours", "ends"),
    [
        (Phase.HEAD, 0, False, 10), (Phase.HEAD, 50, False, 10),
        (Phase.BODY, 0, False, 20), (Phase.BODY, 400, False, 20), (Phase.BODY, 600, False, None),
        (Phase.REST, 1_000_000, False, 10), (Phase.IDLE, 2, False, 30),
        (Phase.BODY, 0, True, None), (Phase.ANSWER, 0, True, None),
    ],
)  # fmt: skip
def test_how_long_what_may_take(phase: Phase, bytes_a_second: int, ours: bool, ends: int | None) -> None:
    reading = Reading(0)
    seen = [reading.overdue(Limits(), phase, 0, bytes_a_second * now, now, ours=ours) for now in range(200)]
    assert next((second for second, why in enumerate(seen) if why), None) == ends


async def test_the_time_in_which_the_process_was_stopped_is_no_ones_fault() -> None:
    class Loop:
        now = 0.0

        def time(self) -> float:
            return self.now

        def call_later(self, *_: Any) -> None: ...

    watch, loop = Watch(Limits()), Loop()
    for second in (1, 2, 3, 90, 91):
        loop.now = second
        watch.look(loop)  # type: ignore[arg-type]
    assert watch.clock <= 6
