"""What ingest does with a sheet: read, judge each row as the events door would, publish, tell what became of it."""

import asyncio
from typing import IO, Any, Final
from uuid import uuid4

from services.ingest.domain.rows import KINDS, Rows
from services.ingest.domain.verdict import Door, Line, Rejected, to_lines
from services.ingest.handlers import ITEMS, REJECTED
from services.ingest.publisher import Publisher
from services.ingest.settings import IngestSettings
from shared.audit import record
from shared.clock import Clock, zone
from shared.errors import TooLarge
from shared.postgres import Database, tenant_transaction
from shared.sheets import BadCell, Limits, Plan, Report, open_sheet, told_by
from shared.tenancy import Principal

MAX_LINES: Final = 256 * 1024 * 1024  # bytes: one contact with 500 accounts becomes 500 facts
_AT_ONCE: Final = 2_000  # facts handed to the log together


class Imports:
    """Sheets become facts. A sheet is judged whole before anything is published."""

    def __init__(
        self, settings: IngestSettings, publisher: Publisher, clock: Clock, partitions: int, database: Database
    ) -> None:
        """`partitions`: of each topic of the log."""
        self._settings, self._publisher, self._clock, self._partitions = settings, publisher, clock, partitions
        self._database = database
        self._slots = asyncio.Semaphore(settings.imports_at_once)

    async def take(self, asker: Principal, kind: str, file: IO[bytes], plan: Plan, *, dry_run: bool) -> dict[str, Any]:
        """What became of the rows, once all accepted ones are on the log. Raises NotASheet, TooLarge, Invalid, and
        TooMany or Unavailable when not all are known to be there: sending the file again is safe."""
        async with self._slots:
            door = Door(asker.tenant, asker.currency, asker.fx_currencies, self._clock.micros(), lambda: str(uuid4()))
            rows = Rows(KINDS[kind], door, zone(asker.time_zone))
            report, lines = await asyncio.to_thread(self._judge, file, plan, rows)
            if not dry_run:
                if lines:
                    await self._audit(asker, kind, report)
                for first in range(0, len(lines), _AT_ONCE):
                    await self._publisher.publish(lines[first : first + _AT_ONCE], door.received)
                ITEMS.labels("imports", "accepted").inc(report.accepted)
                ITEMS.labels("imports", "rejected").inc(report.refused)
            return report.answer()

    async def _audit(self, asker: Principal, kind: str, report: Report) -> None:
        """Before the first fact is sent: nothing comes onto the log without its row, whatever breaks after."""
        told = {"rows_read": report.accepted + report.refused, "accepted": report.accepted, "rejected": report.refused}
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            await record(conn, asker, self._clock.now(), f"import.{kind}", kind, **told)

    def _judge(self, file: IO[bytes], plan: Plan, rows: Rows) -> tuple[Report, list[Line]]:
        sheet = open_sheet(file, Limits(rows=self._settings.import_rows, unpacked=self._settings.import_unpacked_bytes))
        seat = plan.over(sheet.header)
        report, lines, size = Report(), list[Line](), 0
        for row in sheet.rows:
            try:
                told = told_by(row, seat)
            except BadCell as bad:
                report.refuse(row.line, bad.code, bad.reason)
                continue
            if told is None:
                continue
            verdict = rows.judge(told)
            if isinstance(verdict, Rejected):
                REJECTED.labels(verdict.code).inc()
                report.refuse(row.line, verdict.code, verdict.message)
                continue
            report.accepted += 1
            added = to_lines(verdict.facts, self._partitions)
            size += sum(len(line) for _, _, line in added)
            if size > MAX_LINES:
                raise TooLarge("The contacts of this file name too many accounts at once.")
            lines += added
        report.warnings += [*sheet.warnings, *seat.warnings]
        return report, lines
