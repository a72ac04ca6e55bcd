"""Waits until what was sent stands in the figures."""

import asyncio
from datetime import datetime
from typing import Any, Final

import aiohttp

from services.demo.door import Door

PATIENCE: Final = 120.0  # seconds
STILL: Final = 2.0  # provisional tiers follow money within 2 s; figures that stand this long are told
_EVERY: Final = 0.25


async def until_settled(base_url: str, key: str, accepted_at: datetime | None) -> bool:
    """True once `fresh_to` has passed the last accepted fact and the summary stood still for two seconds; False after
    two minutes of waiting for it. At once without any accepted fact. Raises DemoStopped."""
    if accepted_at is None:
        return True
    loop = asyncio.get_running_loop()
    until, since, before = loop.time() + PATIENCE, loop.time(), None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        door = Door(session, base_url, key)
        while loop.time() < until:
            document = await door.ask("/v1/summary")
            now = figures(document)
            if now != before or not passed(document, accepted_at):
                before, since = now, loop.time()
            elif loop.time() - since >= STILL:
                return True
            await asyncio.sleep(_EVERY)
    return False


def passed(document: dict[str, Any], accepted_at: datetime) -> bool:
    """Whether every fact accepted up to that instant is in the document's figures."""
    fresh_to = document.get("fresh_to")
    return fresh_to is not None and datetime.fromisoformat(fresh_to) > accepted_at


def figures(document: dict[str, Any]) -> list[Any]:
    """The parts of a summary that move with facts, not with the seconds."""
    accounts = document["headline"]["accounts"]
    return [accounts, document["bands"], document["coverage"], document["contact_rate"], document["nps"]]
