"""`genki audit-ledger`: whether every book agrees on every fact."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from services.cli.commands import Json
from services.cli.report import Refused, note, tell
from services.cli.where import Where
from services.scoring.ledger.attempts import BadLedger
from services.scoring.ledger.books import Report
from services.scoring.ledger.read import audit
from services.scoring.ledger.rebuild import rebuild as add_rebuild
from shared.bus import BusBroken, BusUnavailable
from shared.postgres import TROUBLE, DatabaseSettings

_TROUBLE: Final = (BadLedger, BusBroken, BusUnavailable, *TROUBLE)


def audit_ledger(
    *,
    ledger: Annotated[
        Path | None, Parameter(help="What a client kept of its attempts, one JSON object a line.")
    ] = None,
    rebuild: Annotated[
        bool, Parameter(help="Rebuild the state from the archive too, beside the live one, and compare: equation 6.")
    ] = True,
    where: Where | None = None,
    json: Json = False,
) -> None:
    """Hold archive, state, log, dead letters and a client's ledger against each other; exit code 1 if they differ."""
    place = where or Where()
    with place.borrowed() as settings:
        report = asyncio.run(_audited(place, settings, ledger, rebuild))
    tell(report.document(), json, report.text())
    if not report.green:
        note("genki: the books do not balance")
        sys.exit(1)


async def _audited(place: Where, settings: DatabaseSettings, ledger: Path | None, rebuild: bool) -> Report:
    try:
        report = await audit(settings, place.kafka, place.clock().now(), ledger, _say)
        if rebuild:
            await add_rebuild(report, settings, place.clock(), _say)
    except _TROUBLE as problem:
        raise Refused(f"the books cannot be read: {type(problem).__name__}: {problem}") from problem
    return report


def _say(line: str) -> None:
    note(f"genki: {line}")
