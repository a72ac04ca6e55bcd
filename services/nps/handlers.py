"""What nps does with a file of answers: read, judge each row, make the surveys, publish, tell what became of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final

from services.nps import store
from services.nps.domain.answers import UNNAMED, Draft, draft, to_facts
from services.nps.settings import NpsSettings
from shared import facts
from shared.audit import record
from shared.bus import Bus, BusUnavailable, Outgoing, Place, cut
from shared.clock import Clock, zone
from shared.errors import Fault, Invalid, Unavailable
from shared.postgres import Database, tenant_transaction
from shared.sheets import BadCell, Limits, Plan, Report, open_sheet, told_by
from shared.tenancy import Principal

FIVE_MINUTES: Final = 300_000_000
MAX_SURVEYS: Final = 50  # new ones in one file: more means that a wrong column was mapped
_AT_ONCE: Final = 5_000  # facts handed to the log together


@dataclass(slots=True)
class Read:
    """A file read to its end."""

    drafts: list[Draft] = field(default_factory=list)
    report: Report = field(default_factory=Report)


class Imports:
    """Files of answers become facts. A file is judged whole before anything is published."""

    def __init__(self, settings: NpsSettings, bus: Bus, database: Database, clock: Clock) -> None:
        self._settings, self._bus, self._database, self._clock = settings, bus, database, clock
        self._slots = asyncio.Semaphore(settings.imports_at_once)

    async def responses(self, asker: Principal, file: IO[bytes], plan: Plan, *, dry_run: bool) -> dict[str, Any]:
        """What became of the rows, once all accepted ones are on the log. Raises NotASheet, TooLarge, Invalid, and
        Unavailable when the log did not confirm: sending the file again is safe."""
        async with self._slots:
            received = self._clock.micros()
            read = await asyncio.to_thread(self._read, asker, file, plan, received)
            surveys = await self._surveys(asker, read, make=not dry_run)
            if not dry_run:
                made = await asyncio.to_thread(to_facts, read.drafts, surveys, asker.tenant, received)
                await self._publish(made, received)
            return read.report.answer()

    def _read(self, asker: Principal, file: IO[bytes], plan: Plan, received: int) -> Read:
        limits = Limits(rows=self._settings.import_rows, unpacked=self._settings.import_unpacked_bytes)
        sheet = open_sheet(file, limits)
        seat = plan.over(sheet.header)
        read = Read()
        tz, latest = zone(asker.time_zone), received + FIVE_MINUTES
        for row in sheet.rows:
            try:
                told = told_by(row, seat)
                if told is not None:
                    read.drafts.append(draft(told, tz, latest))
                    read.report.accepted += 1
            except BadCell as problem:
                read.report.refuse(row.line, problem.code, problem.reason)
        read.report.warnings += [*sheet.warnings, *seat.warnings]
        return read

    async def _surveys(self, asker: Principal, read: Read, *, make: bool) -> dict[str, str]:
        """The id of every survey that the rows name, made where there is none."""
        names = sorted({one.survey for one in read.drafts})
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            known = await store.surveys_named(conn, asker.tenant, names)
            new = [name for name in names if name not in known]
            if len(new) > MAX_SURVEYS:
                detail = f"The rows name {len(new)} new surveys; a file may make {MAX_SURVEYS}."
                raise Invalid(errors=[Fault("/query/map", "too_many_surveys", detail)])
            if new and make:
                await store.make_surveys(conn, asker.tenant, new, self._clock.now())
                known = await store.surveys_named(conn, asker.tenant, names)
            if read.drafts and make:
                told = {"accepted": read.report.accepted, "rejected": read.report.refused, "new_surveys": len(new)}
                await record(conn, asker, self._clock.now(), "import.responses", "responses", **told)
        if UNNAMED in names:
            read.report.warnings.append(f"rows that name no survey belong to the survey {UNNAMED}")
        read.report.warnings += [f"new survey: {name}" for name in new if name != UNNAMED]
        return dict(known)

    async def _publish(self, made: Sequence[facts.SurveyResponse], received: int) -> None:
        for first in range(0, len(made), _AT_ONCE):
            some = made[first : first + _AT_ONCE]
            records = await asyncio.to_thread(_records, some, self._bus.partitions, received)
            try:
                await self._bus.publish(records, self._settings.publish_seconds)
            except BusUnavailable as problem:
                raise Unavailable("The log did not confirm in time; send the file again.") from problem


def _records(made: Sequence[facts.SurveyResponse], partitions: int, received: int) -> list[Outgoing]:
    lines: dict[Place, list[bytes]] = {}
    for fact in made:
        lines.setdefault(facts.place(fact, partitions), []).append(facts.encode(fact))
    return [record for place in sorted(lines) for record in cut(place, lines[place], received)]
