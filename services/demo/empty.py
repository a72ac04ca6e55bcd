"""What a Genki without any tenant says: how to begin."""

from typing import Final

import asyncpg
from rich.console import Console
from rich.text import Text

from services.demo.course import Running

_NONE: Final = "SELECT NOT EXISTS (SELECT FROM access.tenant)"


async def greet(running: Running) -> None:
    """Says the first steps on stderr while no tenant exists; nothing afterwards."""
    conn = await asyncpg.connect(running.database.url)
    try:
        none = await conn.fetchval(_NONE)
    finally:
        await conn.close()
    if none:
        told = Text("\n".join(steps(running.url, str(running.data))))
        Console(stderr=True, highlight=False).print(told, soft_wrap=True)


def steps(url: str, data: str) -> list[str]:
    """The first steps, line by line."""
    folder = "" if data == ".genki" else f" --data {data}"
    told = {
        f'.venv/bin/genki tenant create "Acme K.K."{folder}': "a tenant and its keys, shown once",
        f"POST {url}/v1/events": "facts, with the server key",
        url: "host of a Segment or RudderStack library, with the write key",
        f".venv/bin/genki demo{folder}": "a sample of real use, to look around",
        f"{url}/docs": "every route",
    }
    width = max(map(len, told))
    return ["Genki is empty. Next:", *(f"  {way:{width}}  {what}" for way, what in told.items())]
