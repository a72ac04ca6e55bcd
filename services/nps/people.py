"""What nps asks of scoring, under the asker's own key: persons and settings. Called directly in one process, else over
HTTP."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import aiohttp
import msgspec
from starlette.types import ASGIApp, Message, Scope

from services.nps.domain.surveys import Person
from shared.errors import REQUEST_ID, Fault, Invalid, Unavailable
from shared.tenant_settings import TenantSettings

PATIENCE: Final = 10.0  # seconds
_AWAY: Final = "The service scoring does not answer."
Reply = tuple[int, bytes]


class Way(Protocol):
    """How a question reaches scoring."""

    async def __call__(self, method: str, path: str, authorization: str, body: bytes) -> Reply:
        """Status and body. Raises Unavailable."""
        ...


class People:
    """Asks scoring about persons and settings."""

    def __init__(self, ask: Way) -> None:
        self._ask = ask

    async def named(self, authorization: str, ids: Sequence[str]) -> Mapping[str, Person]:
        """Those of them whom any fact names, by id. Raises Unavailable."""
        return await self._people("/internal/people", authorization, {"ids": ids})

    async def chosen(self, authorization: str, filters: Mapping[str, Sequence[str]]) -> Mapping[str, Person]:
        """Everyone who belongs to an account that meets the filters, in order of id. Raises Invalid for too many,
        Unavailable."""
        return await self._people("/internal/audience", authorization, {"filters": filters})

    async def settings(self, authorization: str) -> TenantSettings:
        """The tenant's settings in force. Raises Unavailable."""
        status, body = await self._ask("GET", "/v1/settings", authorization, b"")
        if status != 200:
            raise Unavailable(_AWAY)
        return TenantSettings.model_validate_json(body)

    async def _people(self, path: str, authorization: str, question: Any) -> Mapping[str, Person]:
        status, body = await self._ask("POST", path, authorization, msgspec.json.encode(question))
        if status == 422 and (faults := msgspec.json.decode(body).get("errors")):
            raise Invalid(errors=[Fault(**fault) for fault in faults])
        if status != 200:
            raise Unavailable(_AWAY)
        items: list[dict[str, Any]] = msgspec.json.decode(body)["items"]
        return {item["person_id"]: Person(**item) for item in items}


class Inside:
    """Scoring in this process."""

    def __init__(self, app: ASGIApp) -> None:
        """`app`: what scoring answers requests with."""
        self._app = app

    async def __call__(self, method: str, path: str, authorization: str, body: bytes) -> Reply:
        """As `Way` says."""
        status, parts = 503, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            parts.extend(message.get("body", b""))

        await self._app(_question(method, path, authorization), receive, send)
        return status, bytes(parts)


class Outside:
    """Scoring in another process."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        """`url`: where scoring listens, without a path."""
        self._url = url.rstrip("/")
        self._session = session

    async def __call__(self, method: str, path: str, authorization: str, body: bytes) -> Reply:
        """As `Way` says."""
        headers = {"authorization": authorization, "content-type": "application/json"}
        try:
            async with self._session.request(
                method, self._url + path, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise Unavailable(_AWAY) from problem


@asynccontextmanager
async def open_people(scoring: ASGIApp | str) -> AsyncIterator[People]:
    """`scoring`: its application, or the URL at which it listens."""
    if not isinstance(scoring, str):
        yield People(Inside(scoring))
        return
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield People(Outside(scoring, session))


def _question(method: str, path: str, authorization: str) -> Scope:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": method,
        "scheme": "http", "root_path": "", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"authorization", authorization.encode("latin-1")), (b"content-type", b"application/json")],
        "client": None, "server": None, "state": {}, REQUEST_ID: "nps",
    }  # fmt: skip
