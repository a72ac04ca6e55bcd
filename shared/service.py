"""What a service is to the one that runs it: an ASGI app, its workers, and whether its dependencies answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp

Worker = Callable[[], Awaitable[None]]
Ready = Callable[[], Awaitable[Mapping[str, str]]]


async def _always() -> Mapping[str, str]:
    return {}


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Service:
    """`http` answers requests; each of `workers` runs until cancelled and ends the process when it raises; `ready`
    names each dependency with "ok" or what is wrong with it; `closing` is called before requests under way are waited
    for: what would never end by itself ends then."""

    name: str
    http: ASGIApp
    workers: tuple[Worker, ...] = ()
    ready: Ready = field(default=_always)
    parts: Mapping[str, Any] = field(default_factory=dict)
    closing: Callable[[], None] = field(default=_nothing)
