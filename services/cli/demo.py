"""`genki demo`: the demo on the Genki that runs, the same that `genki up` shows."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from services.cli.report import Refused
from services.cli.where import Where
from shared.clock import Clock
from shared.postgres import DatabaseSettings


@dataclass(frozen=True)
class _Running:
    url: str
    data: Path
    database: DatabaseSettings
    clock: Clock


def demo(*, where: Where | None = None) -> None:
    """Show the demo tenant's home screen; the tenant is made and the sample sent where that was not done yet.

    Example: genki demo --data .genki
    """
    from services.demo import run

    place = where or Where()
    url = place.url()
    if url is None:
        raise Refused(f"no Genki runs on {place.data}: start it with `genki up`")
    with place.borrowed() as settings:
        asyncio.run(run(_Running(url, place.data, settings, place.clock())))
