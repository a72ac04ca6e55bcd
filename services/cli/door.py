"""The public door as the command line uses it: over HTTP to the Genki that runs, with a key of its own."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp

from services.cli.report import Refused
from services.cli.tenants import create_key, end_key
from services.cli.where import Where
from services.gateway.domain.access import KeyWish

_LIFE: Final = timedelta(hours=12)  # revoked when the command ends; this is for one that is killed
_LATER: Final = frozenset((429, 502, 503, 504))
_LONGEST: Final = 30.0  # seconds between two tries


class Turned(Refused):
    """A request that was refused with this status and code."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code = status, code


class Answer(NamedTuple):
    """An HTTP answer with its JSON document."""

    status: int
    document: Any


class Door:
    """Requests with one key of a tenant."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,
        kind: str = "",
        patience: float = 0,
    ) -> Answer:
        """One request. Raises Turned when it is refused, with what the problem document says; Refused when nobody
        answers. What may pass (429, 503, nobody there) is tried again for `patience` seconds."""
        target = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"content-type": kind, "idempotency-key": secrets.token_hex(8)} if kind else {}
        until, tries = time.monotonic() + patience, 0
        while True:
            wait = min(0.25 * 2**tries, _LONGEST)
            try:
                async with self._session.request(method, target, data=body, headers=headers) as reply:
                    document = await reply.json(content_type=None)
                if reply.status < 400:
                    return Answer(reply.status, document)
                problem = Turned(reply.status, _code(document), _reason(reply.status, document))
                if reply.status not in _LATER:
                    raise problem
                told = reply.headers.get("retry-after", "")
                wait = min(float(told), _LONGEST) if told.isdecimal() else wait
            except (aiohttp.ClientError, ValueError, OSError) as trouble:
                problem = Refused(f"{self._url} does not answer: is `genki up` running there? ({trouble})")
            if time.monotonic() + wait > until:
                raise problem
            tries += 1
            await asyncio.sleep(wait)


@asynccontextmanager
async def open_door(where: Where, tenant_id: str, kind: str = "api") -> AsyncIterator[Door]:
    """A door to the Genki that runs on this folder with a key of that kind (api: an administrator's), revoked after the
    block. Raises Refused."""
    url = where.url()
    if url is None:
        raise Refused(f"no Genki was started on {where.data}: start it with `genki up`")
    with where.borrowed() as settings:
        now = where.clock().now()
        wish = KeyWish(kind, "admin" if kind == "api" else None, label="command line", expires_at=now + _LIFE)
        key = await create_key(settings, tenant_id, wish, now)
        timeout = aiohttp.ClientTimeout(total=600, sock_connect=5)
        try:
            headers = {"authorization": f"Bearer {key.text}"}
            async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
                yield Door(session, url)
        finally:
            await end_key(settings, key.key_id, where.clock().now())


def _reason(status: int, document: Any) -> str:
    if not isinstance(document, dict):
        return f"refused with {status}"
    words = [str(document.get("detail") or document.get("title") or f"refused with {status}")]
    words += [f"  {error.get('pointer', '')}: {error.get('message', '')}" for error in document.get("errors", [])]
    return "\n".join(words)


def _code(document: Any) -> str:
    return str(document.get("code", "")) if isinstance(document, dict) else ""
