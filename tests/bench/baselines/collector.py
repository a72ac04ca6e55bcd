"""What is written first when a collector is wanted: FastAPI, pydantic, one Kafka record a fact, all awaited together.

Arguments: bootstrap. `POST /v1/events` takes one fact or an array of them, and answers when Kafka has each.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal

from aiokafka import AIOKafkaProducer
from fastapi import FastAPI
from pydantic import BaseModel, Field

from tests.bench.baselines.server import serve

TOPIC = "bench.naive"


class Usage(BaseModel):
    """A usage fact."""

    type: Literal["usage"]
    id: str
    at: datetime
    person_id: str
    account_id: str | None = None
    event: str
    count: int = 1
    properties: dict[str, Any] = {}


class Contact(BaseModel):
    """A contact fact."""

    type: Literal["contact"]
    id: str
    at: datetime
    account_id: str
    channel: str
    outcome: str


Fact = Annotated[Usage | Contact, Field(discriminator="type")]


def collector(bootstrap: str) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, compression_type="zstd", linger_ms=5
        )
        await producer.start()
        app.state.producer = producer
        yield
        await producer.stop()

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/events")
    async def events(facts: Fact | list[Fact]) -> dict[str, Any]:
        listed = facts if isinstance(facts, list) else [facts]
        producer = app.state.producer
        await asyncio.gather(
            *(
                producer.send_and_wait(TOPIC, fact.model_dump_json().encode(), key=fact.person_id.encode())
                if isinstance(fact, Usage)
                else producer.send_and_wait(TOPIC, fact.model_dump_json().encode(), key=fact.account_id.encode())
                for fact in listed
            )
        )
        return {"results": [{"id": fact.id, "status": "accepted"} for fact in listed]}

    return app


if __name__ == "__main__":
    serve(collector(sys.argv[1]))
