"""What the tests of ingest's doors send, and how."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx2

from tests.services.ingest.conftest import House

FIXTURES = Path(__file__).parents[2] / "fixtures"


USAGE = {"type": "usage", "at": "2023-11-14T00:00:00Z", "person_id": "p1", "event": "report"}


TRACK = {"type": "track", "userId": "u1", "event": "Export Run"}


def basic(key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


async def send(house: House, items: Any, **options: Any) -> httpx2.Response:
    body = items if isinstance(items, bytes) else json.dumps(items).encode()
    headers = options.pop("headers", house.key("server"))
    return await house.client.post("/v1/events", content=body, headers=headers, **options)


async def track(house: House, path: str, body: Any, headers: dict[str, str] | None = None) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await house.client.post(f"/v1/{path}", content=content, headers=headers or {})
