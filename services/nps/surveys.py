"""What nps does with surveys: make, list and close them."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.nps import store as by_name
from services.nps import survey_store as store
from services.nps.domain.surveys import OPEN_QUESTION, QUESTION, is_open
from shared.audit import record
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.postgres import Connection, Database, tenant_transaction
from shared.tenancy import Principal


class NameTaken(Conflict):
    """Another survey has this name."""


class SurveyClosed(Conflict):
    """This survey no longer takes answers."""


class Surveys:
    """Surveys of every tenant."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def make(self, asker: Principal, wish: Mapping[str, Any]) -> dict[str, Any]:
        """A new survey. Raises NameTaken."""
        now = self._clock.now()
        made = {**wish, "survey_id": f"survey-{secrets.token_hex(8)}", "created_at": now, "closed_at": None}
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            if not await store.insert_survey(conn, asker.tenant, made):
                raise NameTaken
            told_of = {"kind": made["kind"], "closes_at": made["closes_at"], "quiet_days": made["quiet_days"]}
            await record(conn, asker, now, "survey.create", made["survey_id"], **told_of)
        return told(made, now)

    async def one(self, asker: Principal, survey_id: str) -> dict[str, Any]:
        """A survey. Raises NotFound."""
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            return told(await found(conn, asker, survey_id), self._clock.now())

    async def page(
        self, asker: Principal, before: tuple[datetime, str], limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """The next surveys, the newest first, and how many there are in all."""
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            rows = await store.page(conn, asker.tenant, before, limit)
            total = await store.total(conn, asker.tenant)
        return [told(row, self._clock.now()) for row in rows], total

    async def names(self, asker: Principal) -> Mapping[str, str]:
        """Every survey's name by its id."""
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            return await by_name.names(conn, asker.tenant)

    async def close(self, asker: Principal, survey_id: str) -> dict[str, Any]:
        """The survey, which takes no more answers. Raises NotFound."""
        now = self._clock.now()
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            await found(conn, asker, survey_id)
            await store.close(conn, asker.tenant, survey_id, now)
            await record(conn, asker, now, "survey.close", survey_id)
            return told(await found(conn, asker, survey_id), now)


def told(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A survey as its answer shows it, with the questions that are asked when it names none."""
    state = "open" if is_open(now, row["closes_at"], row["closed_at"]) else "closed"
    questions = {"question": row["question"] or QUESTION, "open_question": row["open_question"] or OPEN_QUESTION}
    return {**{name: row[name] for name in _PLAIN}, **questions, "state": state}


async def found(conn: Connection, asker: Principal, survey_id: str) -> dict[str, Any]:
    """A survey's row. Raises NotFound."""
    survey = None if "\0" in survey_id else await store.survey_of(conn, asker.tenant, survey_id)
    if survey is None:
        raise NotFound
    return survey


_PLAIN = (
    "survey_id", "name", "kind", "language", "quiet_days", "reminders", "reminder_days", "send_hours", "closes_at",
    "closed_at", "created_at",
)  # fmt: skip
