"""How the invitations of a survey stand: which have left, what became of their mails, who has answered."""

from typing import Any

from services.nps.mail import queue
from services.nps.surveys import found
from shared.postgres import Database, tenant_transaction
from shared.tenancy import Principal


class Invitations:
    """Invitations of every tenant, to be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, asker: Principal, survey_id: str, after: str, limit: int) -> tuple[list[dict[str, Any]], int]:
        """The next invitations in order of person, and how many there are in all. Raises NotFound."""
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            await found(conn, asker, survey_id)
            rows = await queue.listed(conn, asker.tenant, survey_id, after, limit)
            total = await queue.total(conn, asker.tenant, survey_id)
        return [_told(row) for row in rows], total


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "state"}, "status": row["state"]}
