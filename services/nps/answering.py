"""What nps does behind a link: shows the question, takes the answer and its changes, lets a person unsubscribe."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.nps import survey_store as store
from services.nps.domain.forms import Reply
from services.nps.domain.surveys import OPEN_QUESTION, QUESTION, is_open
from services.nps.links import SURVEY, UNSUBSCRIBE, token_hash
from services.nps.mail import queue
from shared import facts
from shared.bus import Bus
from shared.bus.outbox import announce, wake
from shared.clock import Clock, to_micros
from shared.postgres import Connection, Database, connection, tenant_transaction

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a link shows: the questions, and the answer so far."""

    question: Mapping[str, str]
    open_question: Mapping[str, Any]
    score: int | None
    comment: str | None


class Links:
    """Every link that was handed out. What leads nowhere (forged, foreign, expired, closed) is None throughout."""

    def __init__(self, bus: Bus, database: Database, clock: Clock) -> None:
        self._bus, self._database, self._clock = bus, database, clock

    async def sheet(self, token: str) -> Sheet | None:
        """What the link's page shows. Records nothing."""
        link = await self._link(token, SURVEY)
        if link is None:
            return None
        async with tenant_transaction(self._database.app, link.tenant) as conn:
            found = await self._open(conn, link)
        return None if found is None else _sheet(found)

    async def answer(self, token: str, reply: Reply) -> Sheet | None:
        """The answer takes the place of an earlier one; a change is a fact of its own, the same again is none."""
        link = await self._link(token, SURVEY)
        if link is None:
            return None
        async with tenant_transaction(self._database.worker, link.tenant) as conn:
            found = await self._open(conn, link, hold=True)
            if found is None:
                return None
            if (found["score"], found["comment"]) != (reply.score, reply.comment):
                found |= _edited(found, reply, self._clock.now())
                await store.put_answer(conn, link, found)
                await announce(conn, self._bus, [_fact(link.tenant, found)], to_micros(found["at"]))
        wake(self._bus)
        return _sheet(found)

    async def can_unsubscribe(self, token: str) -> bool:
        """Whether the link is one to unsubscribe with; these never expire."""
        return await self._link(token, UNSUBSCRIBE) is not None

    async def unsubscribe(self, token: str) -> bool:
        """The link's person gets no more invitations, for good; False when it leads nowhere."""
        link = await self._link(token, UNSUBSCRIBE)
        if link is None:
            return False
        async with tenant_transaction(self._database.worker, link.tenant) as conn:
            found = await store.invitation_of(conn, link)
            if found is not None:
                await store.opt_out(conn, link.tenant, found["person_id"], self._clock.now())
                await queue.drop(conn, *link)
        return found is not None

    async def _link(self, token: str, purpose: str) -> store.Link | None:
        hashed = token_hash(token)
        if hashed is None:
            return None
        async with connection(self._database.app) as conn:
            return await store.find_token(conn, hashed, purpose)

    async def _open(self, conn: Connection, link: store.Link, *, hold: bool = False) -> dict[str, Any] | None:
        found = await store.invitation_of(conn, link, hold=hold)
        if found is None or not is_open(self._clock.now(), found["closes_at"], found["closed_at"]):
            return None
        return found


def _sheet(found: Mapping[str, Any]) -> Sheet:
    questions = (found["question"] or QUESTION, found["open_question"] or OPEN_QUESTION)
    return Sheet(*questions, found["score"], found["comment"])


def _edited(found: Mapping[str, Any], reply: Reply, now: datetime) -> dict[str, Any]:
    """The answer after this edit. Edits of one answer have rising instants, so that the last one counts."""
    at = now if found["at"] is None else max(now, found["at"].astimezone(UTC) + _TICK)
    response_id = found["response_id"] or f"response-{secrets.token_hex(12)}"
    edits = (found["edits"] or 0) + 1
    return {"response_id": response_id, "edits": edits, "at": at, "score": reply.score, "comment": reply.comment}


def _fact(tenant: int, found: Mapping[str, Any]) -> facts.SurveyResponse:
    at = to_micros(found["at"])
    names = ("response_id", "survey_id", "account_id", "person_id", "score", "comment", "invitation_id")
    said = {name: found[name] for name in names}
    return facts.SurveyResponse(tenant=tenant, id=f"{said['response_id']}-{found['edits']}", received=at, at=at, **said)
