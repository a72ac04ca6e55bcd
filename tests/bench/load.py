"""A load client of its own process: raw HTTP/1.1 on kept-alive connections, bounded in time; counts to stdout as JSON.

Spec: `{"kind": "events"|"track"|"get", "url", "token", "connections", "seconds", "facts", "paths", "seed"}`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import uvloop

from tests.bench import made, tracks

Request = Callable[[], bytes]


class Tally:
    """What all connections of this client counted. Times in seconds."""

    def __init__(self, seconds: float) -> None:
        self.until = time.perf_counter() + seconds
        self.times: list[float] = []
        self.refused: dict[int, int] = {}
        self.bytes = 0

    def note(self, status: int, took: float) -> None:
        """One answer."""
        if status == 200:
            self.times.append(took)
        else:
            self.refused[status] = self.refused.get(status, 0) + 1


class Client(asyncio.Protocol):
    """One connection: the next request goes out when the answer to the last one is in."""

    def __init__(self, request: Request, tally: Tally) -> None:
        self._request, self._tally = request, tally
        self._buffer = b""
        self._need = -1
        self._began = 0.0
        self._transport: Any = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins at once."""
        self._transport = transport
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends this client, whoever closed."""
        if not self.done.done():
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Counts the answer once it is whole."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._need < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._need = end + 4 + _length(self._buffer[:end])
        if len(self._buffer) >= self._need:
            self._tally.bytes += len(self._buffer)
            self._tally.note(int(self._buffer[9:12]), time.perf_counter() - self._began)
            self._next()

    def _next(self) -> None:
        self._buffer, self._need = b"", -1
        if time.perf_counter() >= self._tally.until:
            self._transport.close()
            return
        request = self._request()
        self._began = time.perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without content-length")


def requests(spec: dict[str, Any]) -> Request:
    """A function that makes the next request's bytes."""
    head = f"Host: bench\r\nAuthorization: Bearer {spec['token']}\r\n"
    if spec["kind"] == "events":
        bodies = made.bodies(spec["seed"], spec["facts"])
        sent = f"POST {spec.get('path', '/v1/events')} HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
        return lambda: _with_body(sent, next(bodies))
    if spec["kind"] == "track":
        bodies = tracks.batches(spec["seed"], spec["facts"])
        sent = f"POST {'/v1/track' if spec['facts'] == 1 else '/v1/batch'} HTTP/1.1\r\n{head}"
        return lambda: _with_body(sent, next(bodies))
    asked = [f"GET {path} HTTP/1.1\r\n{head}\r\n".encode() for path in spec["paths"]]
    number = iter(range(10**12))
    return lambda: asked[next(number) % len(asked)]


def _with_body(head: str, body: bytes) -> bytes:
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def run(spec: dict[str, Any]) -> dict[str, Any]:
    """The whole load; the answer that goes to stdout."""
    loop, request = asyncio.get_running_loop(), requests(spec)
    where = urlsplit(spec["url"])
    tally, began = Tally(spec["seconds"]), time.perf_counter()
    clients = []
    for _ in range(spec["connections"]):
        _, client = await loop.create_connection(lambda: Client(request, tally), where.hostname, where.port)
        clients.append(client.done)
    await asyncio.wait_for(asyncio.gather(*clients), spec["seconds"] + 30)
    times = sorted(tally.times)
    return {
        "requests": len(times),
        "refused": tally.refused,
        "seconds": time.perf_counter() - began,
        "p50": _at(times, 0.5),
        "p99": _at(times, 0.99),
        "bytes": tally.bytes,
    }


def _at(times: list[float], share: float) -> float | None:
    return times[min(len(times) - 1, int(len(times) * share))] if times else None


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.stdout.write(json.dumps(runner.run(run(json.loads(sys.argv[1])))) + "\n")
