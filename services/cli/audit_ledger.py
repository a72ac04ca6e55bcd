"""`genki audit-ledger`: whether every book agrees on every fact."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import asyncpg
from cyclopts import Parameter

from services.cli.commands import Json
from services.cli.report import Refused, note, tell
from services.cli.where import Where
from services.scoring.ledger.attempts import BadLedger
from services.scoring.ledger.books import Report
from services.scoring.ledger.read import audit
from shared.bus import BusBroken, BusUnavailable
from shared.postgres import DatabaseSettings


def audit_ledger(
    *,
    ledger: Annotated[
        Path | None, Parameter(help="What a client kept of its attempts, one JSON object a line.")
    ] = None,
    where: Where | None = None,
    json: Json = False,
) -> None:
    """Hold archive, state, log, dead letters and a client's ledger against each other; exit code 1 if they differ."""
    place = where or Where()
    with place.borrowed() as settings:
        report = asyncio.run(_audited(place, settings, ledger))
    tell(report.document(), json, report.text())
    if not report.green:
        note("genki: the books do not balance")
        sys.exit(1)


async def _audited(place: Where, settings: DatabaseSettings, ledger: Path | None) -> Report:
    try:
        return await audit(settings, place.kafka, place.clock().now(), ledger, lambda line: note(f"genki: {line}"))
    except (BadLedger, BusBroken, BusUnavailable, OSError, asyncpg.PostgresError) as problem:
        raise Refused(f"the books cannot be read: {type(problem).__name__}: {problem}") from problem
