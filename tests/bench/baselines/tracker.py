"""What a quick collector of Segment calls is: Starlette, msgspec structs, one Kafka record a request, then the 200.

Arguments: bootstrap. No key check, no limits, no answer per item, no dedupe.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiokafka import AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.baselines.server import serve

TOPIC = "bench.tracked"
SUCCESS = b'{"success":true}'
NOTHING = msgspec.Raw(b"null")


class Call(msgspec.Struct, omit_defaults=True):
    """One call, the fields that are kept."""

    type: str = "track"
    messageId: str | None = None  # noqa: N815 - the wire's names
    userId: str | None = None  # noqa: N815
    anonymousId: str | None = None  # noqa: N815
    event: str | None = None
    timestamp: str | None = None
    context: msgspec.Raw = NOTHING
    properties: msgspec.Raw = NOTHING


class Batch(msgspec.Struct):
    """What `/v1/batch` takes."""

    batch: list[Call]
    sentAt: str | None = None  # noqa: N815


_batch = msgspec.json.Decoder(Batch).decode
_call = msgspec.json.Decoder(Call).decode
_encode = msgspec.json.Encoder().encode_lines


def tracker(bootstrap: str) -> Starlette:
    """The application."""
    held: dict[str, AIOKafkaProducer] = {}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        held["producer"] = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="zstd", linger_ms=5
        )
        await held["producer"].start()
        yield
        await held["producer"].stop()

    async def batch(request: Request) -> Response:
        return await keep(_batch(await request.body()).batch)

    async def track(request: Request) -> Response:
        return await keep([_call(await request.body())])

    async def keep(calls: list[Call]) -> Response:
        await held["producer"].send_and_wait(TOPIC, _encode(calls))
        return Response(SUCCESS, media_type="application/json")

    routes = [Route("/v1/batch", batch, methods=["POST"]), Route("/v1/track", track, methods=["POST"])]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    serve(tracker(sys.argv[1]))
