"""The least a collector can do: raw ASGI, the body split with `msgspec.Raw`, the items packed as they came.

Arguments: bootstrap, partitions. No key, no check of an item, no id, no answer per item.
"""

import sys

import msgspec
from starlette.types import Receive, Scope, Send

from tests.bench.baselines.packer import Packer, producer_of
from tests.bench.baselines.server import serve

TOPIC = "bench.split"
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Splitter:
    """The application."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._bootstrap, self._partitions = bootstrap, partitions
        self._packer: Packer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST` anything: an array of items."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        parts: list[bytes] = []
        more = True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        items = _split(b"".join(parts))
        assert self._packer is not None
        await self._packer.put([bytes(item) for item in items])
        body = b'{"accepted":%d}' % len(items)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        producer = producer_of(self._bootstrap)
        await producer.start()
        self._packer = Packer(producer, TOPIC, self._partitions)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await producer.stop()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    serve(Splitter(sys.argv[1], int(sys.argv[2])))
