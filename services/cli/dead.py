"""`genki dead list|show|replay`: lines that could not be applied, and putting them back on the log once they can."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any

from cyclopts import Parameter

from services.cli.commands import Json
from services.cli.report import Refused, tell
from services.cli.where import Where
from services.scoring.dead.desk import Case, cases, put_back
from services.scoring.dead.letters import READABLE
from shared.bus import BusBroken, BusUnavailable
from shared.postgres import DatabaseSettings

Reason = Annotated[str | None, Parameter(name="--reason", help="Only letters whose reason holds this text.")]
Tenant = Annotated[str | None, Parameter(name="--tenant", help="Only letters whose line names this tenant.")]


def dead_list(
    *,
    limit: Annotated[int, Parameter(help="Letters shown.")] = 50,
    after: Annotated[str | None, Parameter(help="Begin after this letter.")] = None,
    reason: Reason = None,
    tenant: Tenant = None,
    where: Where | None = None,
    json: Json = False,
) -> None:
    """List dead letters in the log's order: `readable` ones would be applied now, `applied` ones have been."""
    place = where or Where()
    with place.borrowed() as settings:
        found = _chosen(asyncio.run(_cases(place, settings)), reason, tenant)
    begun = 0 if after is None else _position(found, after) + 1
    shown = found[begun : begun + limit]
    more = len(found) > begun + limit
    lines = [_line(case) for case in shown] or ["no dead letters"]
    if more:
        lines.append(f"… {len(found) - begun - limit:,} more: --after {shown[-1].letter.letter_id}")
    document = {
        "items": [_document(case) for case in shown],
        "total": len(found),
        "next": shown[-1].letter.letter_id if more else None,
    }
    tell(document, json, "\n".join(lines))


def dead_show(letter: str, /, *, where: Where | None = None, json: Json = False) -> None:
    """Show one dead letter with its line; bytes that are no text are escaped."""
    place = where or Where()
    with place.borrowed() as settings:
        found = asyncio.run(_cases(place, settings))
    case = found[_position(found, letter)]
    tell({**_document(case), "raw": _escaped(case)}, json)


def dead_replay(
    letters: Annotated[tuple[str, ...], Parameter(help="Letters to put back; none named: all that are readable.")] = (),
    /,
    *,
    reason: Reason = None,
    tenant: Tenant = None,
    every: Annotated[
        bool, Parameter(name="--all", negative=(), help="Unreadable and applied ones too; those die or repeat.")
    ] = False,
    where: Where | None = None,
    json: Json = False,
) -> None:
    """Publish dead lines again on their own partitions; what was applied meanwhile counts once."""
    place = where or Where()
    with place.borrowed() as settings:
        found = _named(_chosen(asyncio.run(_cases(place, settings)), reason, tenant), letters)
        told = found if every else [case for case in found if case.state == READABLE]
        done = asyncio.run(_put_back(place, settings, told))
    kept = len(found) - done
    words = f"{done:,} lines are on the log again, {kept:,} were left"
    tell({"published": done, "left": kept}, json, words)


def _named(found: Sequence[Case], letters: Sequence[str]) -> Sequence[Case]:
    return [found[_position(found, one)] for one in dict.fromkeys(letters)] if letters else found


async def _put_back(place: Where, settings: DatabaseSettings, told: Sequence[Case]) -> int:
    from services.cli.compose import open_parts  # every service: to list and to show needs none

    async with AsyncExitStack() as house:
        parts = await open_parts(house, settings, place.kafka, place.clock())
        try:
            return await put_back(parts.bus, told, parts.clock.micros())
        except BusUnavailable as problem:
            raise Refused(f"some lines may be on the log, do it again: {problem}") from problem


async def _cases(place: Where, settings: DatabaseSettings) -> list[Case]:
    try:
        return await cases(settings, place.kafka)
    except (BusUnavailable, BusBroken) as problem:
        raise Refused(str(problem)) from problem


def _chosen(found: Sequence[Case], reason: str | None, tenant: str | None) -> list[Case]:
    return [
        case
        for case in found
        if (reason is None or reason in case.letter.dead.reason) and (tenant is None or tenant == case.tenant_id)
    ]


def _position(found: Sequence[Case], letter: str) -> int:
    for index, case in enumerate(found):
        if case.letter.letter_id == letter:
            return index
    raise Refused(f"there is no dead letter {letter}")


def _document(case: Case) -> dict[str, Any]:
    dead = case.letter.dead
    return {
        "letter": case.letter.letter_id, "state": case.state, "topic": dead.place[0], "partition": dead.place[1],
        "offset": dead.offset, "line": dead.number, "tenant": case.tenant_id, "reason": dead.reason,
        "problem": case.letter.problem, "fact": case.letter.shown(),
    }  # fmt: skip


def _line(case: Case) -> str:
    dead = case.letter.dead
    place = f"{dead.place[0]}/{dead.place[1]} {dead.offset}:{dead.number}"
    return f"{case.letter.letter_id:12} {case.state:10} {place:32} {case.tenant_id or '-':24} {_plain(dead.reason)}"


def _escaped(case: Case) -> str:
    """The line as one line of visible text."""
    return _plain(case.letter.dead.raw.decode(errors="backslashreplace"))


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
