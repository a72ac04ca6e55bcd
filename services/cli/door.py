"""The public door as the command line uses it: over HTTP to the Genki that runs, with a key of a few minutes."""

import secrets
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

_LIFE: Final = timedelta(minutes=30)


class Answer(NamedTuple):
    """An HTTP answer with its JSON document."""

    status: int
    document: Any


class Door:
    """Requests of one tenant's administrator."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def ask(
        self, method: str, path: str, *, query: Sequence[tuple[str, str]] = (), body: Any = None, kind: str = ""
    ) -> Answer:
        """One request. Raises Refused when it is refused, with what the problem document says."""
        target = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"content-type": kind, "idempotency-key": secrets.token_hex(8)} if kind else {}
        try:
            async with self._session.request(method, target, data=body, headers=headers) as reply:
                document = await reply.json(content_type=None)
        except (aiohttp.ClientError, ValueError, OSError) as problem:
            raise Refused(f"{self._url} does not answer: is `genki up` running there? ({problem})") from problem
        if reply.status >= 400:
            raise Refused(_reason(reply.status, document))
        return Answer(reply.status, document)


@asynccontextmanager
async def open_door(where: Where, tenant_id: str) -> AsyncIterator[Door]:
    """A door to the Genki that runs on this folder, its key revoked after the block. Raises Refused."""
    url = where.url()
    if url is None:
        raise Refused(f"no Genki was started on {where.data}: start it with `genki up`")
    with where.borrowed() as settings:
        now = where.clock().now()
        wish = KeyWish("api", "admin", label="command line", expires_at=now + _LIFE)
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
