"""Whom nps would write to, asked of scoring: called directly in one process, over HTTP else."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from starlette.types import ASGIApp, Message, Scope

from services.nps.domain.surveys import Person
from shared.errors import REQUEST_ID, Unavailable

ROUTE: Final = "/internal/people"
PATIENCE: Final = 10.0  # seconds
_AWAY: Final = "The service scoring does not answer."


class People(Protocol):
    """Asks scoring about persons, under the asker's own key."""

    async def __call__(self, authorization: str, ids: Sequence[str]) -> Mapping[str, Person]:
        """Those of them whom any fact names, by id. Raises Unavailable."""
        ...


class Inside:
    """Scoring in this process."""

    def __init__(self, app: ASGIApp) -> None:
        """`app`: what scoring answers requests with."""
        self._app = app

    async def __call__(self, authorization: str, ids: Sequence[str]) -> Mapping[str, Person]:
        """As `People` says."""
        body, status, parts = msgspec.json.encode({"ids": ids}), 503, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            parts.extend(message.get("body", b""))

        await self._app(_question(authorization), receive, send)
        return _people(status, bytes(parts))


class Outside:
    """Scoring in another process."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        """`url`: where scoring listens, without a path."""
        self._url = url.rstrip("/") + ROUTE
        self._session = session

    async def __call__(self, authorization: str, ids: Sequence[str]) -> Mapping[str, Person]:
        """As `People` says."""
        headers = {"authorization": authorization, "content-type": "application/json"}
        try:
            async with self._session.post(
                self._url, data=msgspec.json.encode({"ids": ids}), headers=headers, allow_redirects=False
            ) as answer:
                return _people(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise Unavailable(_AWAY) from problem


@asynccontextmanager
async def open_people(scoring: ASGIApp | str) -> AsyncIterator[People]:
    """`scoring`: its application, or the URL at which it listens."""
    if not isinstance(scoring, str):
        yield Inside(scoring)
        return
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Outside(scoring, session)


def _people(status: int, body: bytes) -> Mapping[str, Person]:
    if status != 200:
        raise Unavailable(_AWAY)
    items: list[dict[str, Any]] = msgspec.json.decode(body)["items"]
    return {item["person_id"]: Person(**item) for item in items}


def _question(authorization: str) -> Scope:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "root_path": "", "path": ROUTE, "raw_path": ROUTE.encode(), "query_string": b"",
        "headers": [(b"authorization", authorization.encode("latin-1")), (b"content-type", b"application/json")],
        "client": None, "server": None, "state": {}, REQUEST_ID: "nps",
    }  # fmt: skip
