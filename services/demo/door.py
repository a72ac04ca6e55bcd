"""The public door as the demo uses it: plain HTTP with a key; 429 and 503 are waited out, resending is safe."""

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import msgspec

PATIENCE: Final = 300.0  # seconds of refusals in a row before it gives up
LONGEST: Final = 30.0
_WAIT: Final = frozenset((429, 502, 503, 504))


class DemoStopped(Exception):
    """The demo cannot go on; the message says why."""


class Door:
    """Requests with one key."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str) -> None:
        self._session, self._url = session, url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"}

    async def ask(self, path: str) -> Any:
        """The document of a GET. Raises DemoStopped."""
        return await self._request("GET", path, None, {})

    async def send_facts(self, facts: bytes) -> Any:
        """The answer to a JSON array of facts, sent gzipped. Raises DemoStopped."""
        packed = await asyncio.to_thread(gzip.compress, facts, 1)
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return await self._request("POST", "/v1/events", packed, headers)

    async def send_sheet(self, kind: str, sheet: bytes) -> Any:
        """The answer to a CSV sheet for the import of that kind. Raises DemoStopped."""
        return await self._request("POST", f"/v1/imports/{kind}", sheet, {"content-type": "text/csv"})

    async def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Any:
        loop = asyncio.get_running_loop()
        until, tries = loop.time() + PATIENCE, 0
        while True:
            status, retry_after, answer = await self._once(method, path, body, headers)
            if status is not None and status not in _WAIT:
                return _document(status, answer, f"{method} {path}")
            tries += 1
            wait = retry_after if retry_after is not None else min(0.25 * 2 ** min(tries, 7), LONGEST)
            if loop.time() + wait > until:
                raise DemoStopped(
                    f"{method} {path} was refused for {PATIENCE:.0f} s: {answer[:300].decode(errors='replace')}"
                )
            await asyncio.sleep(wait)

    async def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int | None, float | None, bytes]:
        """(status, Retry-After in seconds, body); the status is None when nobody answered."""
        try:
            async with self._session.request(
                method, self._url + path, data=body, headers={**self._headers, **headers}
            ) as reply:
                return reply.status, seconds(reply.headers.get("Retry-After")), await reply.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            return None, None, repr(problem).encode()


def seconds(text: str | None) -> float | None:
    """Retry-After as seconds; None when absent or a date."""
    return float(text) if text is not None and text.strip().isdecimal() else None


def _document(status: int, body: bytes, what: str) -> Any:
    if status >= 400:
        raise DemoStopped(f"{what} was refused with {status}: {body[:500].decode(errors='replace')}")
    return msgspec.json.decode(body)
