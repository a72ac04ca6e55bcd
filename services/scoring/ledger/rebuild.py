"""Equation 6: the state rebuilt from the archive beside the live one, and both held against each other."""

from collections.abc import Callable

from services.scoring import replay
from services.scoring.ledger.books import Report
from services.scoring.ledger.rules import Found
from shared.clock import Clock
from shared.postgres import DatabaseSettings


async def rebuild(report: Report, settings: DatabaseSettings, clock: Clock, say: Callable[[str], None]) -> None:
    """Adds the equation to the report. Raises Unavailable, and what the database raises."""
    try:
        made = await replay.check(settings, clock, say)
    except (replay.Busy, replay.Restless) as problem:
        report.rebuilt(None, str(problem))
    except replay.Unreadable as problem:
        report.rebuilt([Found(0, "the archive", str(problem))], "")
    else:
        differ = [
            Found(0, one.table, f"{one.only_live:,} rows only live, {one.only_rebuilt:,} only rebuilt")
            for one in made.tables
            if not one.equal
        ]
        report.rebuilt(differ, f"{len(made.tables)} tables out of {made.facts:,} facts")
