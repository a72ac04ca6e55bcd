"""How a stream ends, and what a reader who reads nothing costs."""

import asyncio
import gc
import socket
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from services.scoring.stream import store
from services.scoring.stream.listener import Listener
from shared.postgres import tenant_transaction
from shared.service import Service
from tests.services.scoring.stream.places import NOW, Place


async def test_a_place_is_given_back_when_its_reader_leaves_and_there_are_only_so_many(place: Place) -> None:
    key = await place.key()
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(place.open(key)) for _ in range(3)]
        for _, events in opened:
            await anext(events)
        async with place.open(key) as (answer, _), asyncio.timeout(5):
            await answer.aread()
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
            assert int(answer.headers["retry-after"]) > 0
    async with asyncio.timeout(5):
        while place.hub._channels or place.hub._task:  # noqa: ASYNC110 it tells nobody
            await asyncio.sleep(0.02)
    async with place.open(key) as (answer, _):
        assert answer.status_code == 200


async def test_keys_that_may_not_read_open_no_stream_and_a_revoked_one_ends_its_own(place: Place) -> None:
    found: list[int] = []
    for key in ("none", await place.key("write", None), await place.key("server", None)):
        async with place.open(key) as (answer, _):
            found.append(answer.status_code)
    assert found == [401, 403, 403]
    key = await place.key()
    async with place.open(key) as (_, events):
        await anext(events)
        await place.owner.execute("UPDATE access.key SET revoked_at = now() WHERE key_id = $1", key.split("_")[2])
        began = time.monotonic()
        async with asyncio.timeout(7):
            assert [one.kind async for one in events] == []
    assert time.monotonic() - began < 6


async def test_when_either_process_is_asked_to_end_its_streams_end_at_once(
    place: Place, request: pytest.FixtureRequest
) -> None:
    for service in (place.gateway, place.scoring) if "outside" in request.node.name else (place.scoring,):
        await _ends(place, service)


async def _ends(place: Place, service: Service) -> None:
    async with place.open(await place.key()) as (_, events):
        await anext(events)
        service.closing()
        async with asyncio.timeout(1):
            assert [one async for one in events] == []


ROWS = 16_000


_MANY = """
WITH h AS (UPDATE stream_head SET seq = seq + $2 WHERE tenant = $1 RETURNING seq)
INSERT INTO stream (tenant, seq, at, kind, csm_id, body)
SELECT $1, h.seq - $2 + n, $3, 'health', 'c', json_build_object('n', n, 'x', repeat('x', 900)) FROM h,
  generate_series(1, $2) n
"""


@pytest.fixture
def request_socket() -> Iterator[socket.socket]:
    with socket.socket() as opened:
        yield opened


async def test_a_reader_that_does_not_read_is_waited_for_and_holds_no_more_than_a_page(
    place: Place, request_socket: socket.socket
) -> None:
    await place.move(1, 50.0)
    host, port = place.url.removeprefix("http://").split(":")
    raw = request_socket
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    raw.connect((host, int(port)))
    key = await place.key()
    raw.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    text = bytearray()
    async with asyncio.timeout(5):
        while b"id: " not in text:
            text += await loop.sock_recv(raw, 4_096)
    async with tenant_transaction(place.db.worker, place.tenant) as conn:
        await conn.execute(_MANY, place.tenant, ROWS, NOW)
    head = (await _heads(place))[place.tenant]
    await asyncio.sleep(2.5)
    [stuck] = [one for one in gc.get_objects() if isinstance(one, Listener) and one.tenant == place.tenant]
    assert stuck.seq < head - 1_000
    assert len(place.hub._channels[place.tenant]._recent) <= 2_000
    async with asyncio.timeout(30):
        while b'"n" : %d,' % ROWS not in text[-4_000:]:
            text += await loop.sock_recv(raw, 1 << 20)
    numbers = [int(part.split(b",")[0]) for part in _unchunked(bytes(text)).split(b'"n" : ')[1:]]
    assert numbers == list(range(1, ROWS + 1))


def _unchunked(text: bytes) -> bytes:
    """The body of an answer as far as it came."""
    rest, body = text.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return body


async def _heads(place: Place) -> dict[int, int]:
    async with tenant_transaction(place.db.app, place.tenant) as conn:
        return await store.heads(conn, [place.tenant])
