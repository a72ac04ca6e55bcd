"""`genki replay`: the derived state rebuilt from the archive, compared with the live one, and swapped in."""

import asyncio
import sys
from typing import Annotated

import uvloop
from cyclopts import Parameter

from services.cli.commands import Json
from services.cli.report import Refused, note, tell
from services.cli.where import Where
from services.scoring import replay as rebuild
from shared.errors import Unavailable


def replay(
    *,
    check: Annotated[bool, Parameter(negative=(), help="Only compare: the live state stays as it is.")] = False,
    where: Where | None = None,
    json: Json = False,
) -> None:
    """Rebuild the derived state from the archive, compare table by table, and put it in the live one's place.

    Genki may run meanwhile. With --check nothing is replaced; exit code 1 says that the states differ.
    """
    place = where or Where()
    work = rebuild.check if check else rebuild.replay
    with place.borrowed() as settings, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            found = runner.run(work(settings, place.clock(), lambda line: note(f"genki: {line}")))
        except (rebuild.Busy, rebuild.Restless, rebuild.Unreadable, Unavailable) as problem:
            raise Refused(f"nothing was replaced: {problem}") from problem
    tell(found.document(), json, _words(found))
    if check and not found.equal:
        sys.exit(1)


def _words(found: rebuild.Comparison) -> str:
    wide = max(len(one.table) for one in found.tables)
    lines = [f"{'table':{wide}}  {'live':>12}  {'rebuilt':>12}"]
    lines += [f"{one.table:{wide}}  {one.live:>12,}  {one.rebuilt:>12,}  {_verdict(one)}" for one in found.tables]
    rate = found.facts / found.seconds if found.seconds else 0
    lines.append(f"{found.facts:,} facts in {found.seconds:,.1f} s ({rate:,.0f} a second), assessed as of {found.at}")
    if found.swapped:
        lines.append("the rebuilt state is live")
    return "\n".join(lines)


def _verdict(one: rebuild.Tally) -> str:
    if one.equal:
        return "equal"
    return f"DIFFERENT: {one.only_live:,} rows only live, {one.only_rebuilt:,} only rebuilt"
