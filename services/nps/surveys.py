"""What nps does with surveys: make, list and close them, invite persons and hand out their links."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.nps import survey_store as store
from services.nps.domain.surveys import OPEN_QUESTION, QUESTION, Person, Verdict, is_open, judge
from services.nps.links import SURVEY, UNSUBSCRIBE, new_token, token_hash
from services.nps.people import People
from shared import facts
from shared.bus import Bus
from shared.bus.outbox import announce, wake
from shared.clock import Clock, to_micros
from shared.errors import Conflict, NotFound
from shared.postgres import Connection, Database, tenant_transaction
from shared.tenancy import Principal

_PATHS: Final = {SURVEY: "/s/", UNSUBSCRIBE: "/u/"}


class NameTaken(Conflict):
    """Another survey has this name."""


class SurveyClosed(Conflict):
    """This survey no longer takes answers."""


class Asked(NamedTuple):
    """Who is to be invited to what, and where links lead."""

    survey_id: str
    person_ids: Sequence[str]
    authorization: str
    base: str


class Surveys:
    """Surveys of every tenant."""

    def __init__(self, bus: Bus, database: Database, clock: Clock, people: People) -> None:
        self._bus, self._database, self._clock, self._people = bus, database, clock, people

    async def make(self, asker: Principal, wish: Mapping[str, Any]) -> dict[str, Any]:
        """A new survey. Raises NameTaken."""
        now = self._clock.now()
        made = {**wish, "survey_id": f"survey-{secrets.token_hex(8)}", "created_at": now, "closed_at": None}
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            if not await store.insert_survey(conn, asker.tenant, made):
                raise NameTaken
        return told(made, now)

    async def one(self, asker: Principal, survey_id: str) -> dict[str, Any]:
        """A survey. Raises NotFound."""
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            return told(await _found(conn, asker, survey_id), self._clock.now())

    async def page(
        self, asker: Principal, before: tuple[datetime, str], limit: int
    ) -> tuple[list[dict[str, Any]], int]:
        """The next surveys, the newest first, and how many there are in all."""
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            rows = await store.page(conn, asker.tenant, before, limit)
            total = await store.total(conn, asker.tenant)
        return [told(row, self._clock.now()) for row in rows], total

    async def close(self, asker: Principal, survey_id: str) -> dict[str, Any]:
        """The survey, which takes no more answers. Raises NotFound."""
        now = self._clock.now()
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            await _found(conn, asker, survey_id)
            await store.close(conn, asker.tenant, survey_id, now)
            return told(await _found(conn, asker, survey_id), now)

    async def would_invite(self, asker: Principal, asked: Asked) -> list[dict[str, Any]]:
        """Who would be invited and who not, and why not. Raises NotFound, SurveyClosed, Unavailable."""
        people = await self._known(asker, asked)
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            verdicts, _ = await self._judged(conn, asker, asked, people)
        return [_item(one, "eligible") for one in verdicts]

    async def invite(self, asker: Principal, asked: Asked) -> list[dict[str, Any]]:
        """Invites those who can be. Their links are in the answer, only here and only now, and so are handed out: the
        facts that say so go on the log with the rows. Raises NotFound, SurveyClosed, Unavailable."""
        people = await self._known(asker, asked)
        async with tenant_transaction(self._database.worker, asker.tenant) as conn:
            await store.take_turn(conn, asker.tenant)
            verdicts, now = await self._judged(conn, asker, asked, people)
            chosen = {
                one.person_id: store.Invited(f"invitation-{secrets.token_hex(12)}", one.person_id, one.account_id)
                for one in verdicts
                if one.reason is None
            }
            links = await _stored(conn, asker.tenant, asked, now, list(chosen.values()))
            sent = [_sent(asker.tenant, asked.survey_id, now, one) for one in chosen.values()]
            await announce(conn, self._bus, sent, to_micros(now))
        wake(self._bus)
        return [_item(one, "invited", chosen.get(one.person_id), links) for one in verdicts]

    async def _known(self, asker: Principal, asked: Asked) -> Mapping[str, Person]:
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            await _found(conn, asker, asked.survey_id)  # an unknown one needs no answer of scoring
        return await self._people(asked.authorization, list(dict.fromkeys(asked.person_ids)))

    async def _judged(
        self, conn: Connection, asker: Principal, asked: Asked, people: Mapping[str, Person]
    ) -> tuple[list[Verdict], datetime]:
        survey, now = await _found(conn, asker, asked.survey_id), self._clock.now()
        if not is_open(now, survey["closes_at"], survey["closed_at"]):
            raise SurveyClosed
        past = await store.past_of(conn, asker.tenant, asked.survey_id, asked.person_ids)
        return judge(asked.person_ids, people, past, now, survey["quiet_days"]), now


def told(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A survey as its answer shows it, with the questions that are asked when it names none."""
    state = "open" if is_open(now, row["closes_at"], row["closed_at"]) else "closed"
    questions = {"question": row["question"] or QUESTION, "open_question": row["open_question"] or OPEN_QUESTION}
    plain = ("survey_id", "name", "kind", "quiet_days", "closes_at", "closed_at", "created_at")
    return {**{name: row[name] for name in plain}, **questions, "state": state}


async def _found(conn: Connection, asker: Principal, survey_id: str) -> dict[str, Any]:
    survey = None if "\0" in survey_id else await store.survey_of(conn, asker.tenant, survey_id)
    if survey is None:
        raise NotFound
    return survey


async def _stored(
    conn: Connection, tenant: int, asked: Asked, now: datetime, invited: Sequence[store.Invited]
) -> dict[str, dict[str, str]]:
    """Stores invitations and the hashes of their tokens; the links by purpose and invitation."""
    links: dict[str, dict[str, str]] = {}
    if invited:
        await store.insert_invitations(conn, tenant, asked.survey_id, now, invited)
    for purpose, path in _PATHS.items():
        tokens = {one.invitation_id: new_token() for one in invited}
        hashes = {name: found for name, token in tokens.items() if (found := token_hash(token)) is not None}
        await store.insert_tokens(conn, tenant, purpose, hashes)
        links[purpose] = {name: f"{asked.base}{path}{token}" for name, token in tokens.items()}
    return links


def _sent(tenant: int, survey_id: str, now: datetime, one: store.Invited) -> facts.InvitationSent:
    at = to_micros(now)
    return facts.InvitationSent(
        tenant=tenant, id=one.invitation_id, received=at, at=at, survey_id=survey_id, **one._asdict()
    )


def _item(
    verdict: Verdict,
    status: str,
    invited: store.Invited | None = None,
    links: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    if verdict.reason is not None:
        told, status = {"reason": verdict.reason}, "skipped"
    else:
        told = {}
    made = None if invited is None else invited.invitation_id
    return {
        "person_id": verdict.person_id,
        "invitation_id": made or verdict.invitation_id,
        "link": links[SURVEY][made] if links and made else None,
        "unsubscribe_link": links[UNSUBSCRIBE][made] if links and made else None,
        "status": status,
        **told,
    }
