"""What nps does to invite: judge who can be, hand out links or put mails into the queue."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from services.nps import survey_store as store
from services.nps.domain.sending import Schedule
from services.nps.domain.surveys import Person, Terms, Verdict, is_open, judge
from services.nps.links import SURVEY, UNSUBSCRIBE, new_links
from services.nps.mail import queue
from services.nps.mail.senders import Sender, Senders, hours_of
from services.nps.people import People
from services.nps.surveys import SurveyClosed, found
from shared import facts
from shared.audit import record
from shared.bus import Bus
from shared.bus.outbox import announce, wake
from shared.clock import Clock, to_micros, zone
from shared.errors import Fault, Invalid
from shared.postgres import Connection, Database, tenant_transaction
from shared.tenancy import Principal

Delivery = Literal["mail", "link"]
MAX_LINKS: Final = 1_000  # of one answer; mails may be as many as an audience has persons


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to be invited to what, and how: `person_ids`, or else everyone of the accounts that meet `filters`;
    `delivery` None: by mail where the tenant has a mail server; `at`: not before then."""

    survey_id: str
    authorization: str
    base: str
    person_ids: Sequence[str] | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    sample: float = 1.0
    delivery: Delivery | None = None
    at: datetime | None = None
    days: int = 1


@dataclass(frozen=True, slots=True)
class _Order:
    """What is asked, with what had to be found out first; `sender` None: links are handed out."""

    asked: Asked
    people: Mapping[str, Person]
    wanted: Sequence[str]
    sender: Sender | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """The verdicts at an instant, and when each mail would leave."""

    verdicts: Sequence[Verdict]
    now: datetime
    schedule: Schedule


class Inviting:
    """Invitations to surveys of every tenant."""

    def __init__(self, bus: Bus, database: Database, clock: Clock, people: People, senders: Senders) -> None:
        self._bus, self._database, self._clock, self._people, self._senders = bus, database, clock, people, senders

    async def would_invite(self, asker: Principal, asked: Asked) -> dict[str, Any]:
        """Who would be invited and who not, and why not. Raises NotFound, SurveyClosed, Invalid, Unavailable."""
        order = await self._order(asker, asked)
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            judged = await self._judged(conn, asker, order)
        return _answer(order, judged, {}, {}, "eligible")

    async def invite(self, asker: Principal, asked: Asked) -> dict[str, Any]:
        """Invites those who can be. By mail they wait in the queue; else their links are in the answer, only here and
        only now, and so are handed out: the facts that say so go on the log with the rows. Raises NotFound,
        SurveyClosed, Invalid, Unavailable, NoMailServer, NoPassword."""
        order = await self._order(asker, asked)
        async with tenant_transaction(self._database.worker, asker.tenant) as conn:
            await store.take_turn(conn, asker.tenant)
            judged = await self._judged(conn, asker, order)
            chosen = _chosen(judged, order)
            told = {"invited": len(chosen), "delivery": "mail" if order.sender else "link"}
            await record(conn, asker, judged.now, "survey.invite", asked.survey_id, **told)
            links = await self._kept(conn, asker, order, judged, chosen)  # the last: it writes on the log
        wake(self._bus)
        return _answer(order, judged, chosen, links, "queued" if order.sender else "invited")

    async def _order(self, asker: Principal, asked: Asked) -> _Order:
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            await found(conn, asker, asked.survey_id)  # an unknown one needs no answer of scoring
        sender = None
        if asked.delivery != "link":
            sender = await self._senders.of(asker, asked.authorization, needed=asked.delivery == "mail")
        if asked.person_ids is None:
            people = await self._people.chosen(asked.authorization, asked.filters)
            wanted = list(people)
        else:
            wanted = list(dict.fromkeys(asked.person_ids))
            people = await self._people.named(asked.authorization, wanted)
        _refuse_unfit(asked, sender)
        return _Order(asked, people, wanted, sender)

    async def _judged(self, conn: Connection, asker: Principal, order: _Order) -> _Judged:
        asked, now = order.asked, self._clock.now()
        survey = await found(conn, asker, asked.survey_id)
        start = max(now, asked.at or now)
        if not is_open(start, survey["closes_at"], survey["closed_at"]):
            raise SurveyClosed
        ids = [one for person in order.people.values() for one in person.ids]
        past = await store.past_of(conn, asker.tenant, asked.survey_id, ids)
        churned_too = "churned" in asked.filters.get("status", ())
        terms = Terms(asked.survey_id, start, survey["quiet_days"], churned_too, asked.sample)
        hours = hours_of(survey) if order.sender else None
        schedule = Schedule(asked.survey_id, start, asked.days, hours, zone(asker.time_zone))
        verdicts = judge(order.wanted, order.people, past, terms)
        return _Judged([_in_time(one, schedule, survey["closes_at"]) for one in verdicts], now, schedule)

    async def _kept(
        self, conn: Connection, asker: Principal, order: _Order, judged: _Judged, chosen: Mapping[str, store.Invited]
    ) -> Mapping[str, Mapping[str, str]]:
        """Stores the invitations, and their mails or links; the links by invitation and purpose."""
        invited, asked, now = list(chosen.values()), order.asked, judged.now
        if order.sender is not None:
            await queue.put_sender(conn, asker.tenant, order.sender, now)
        if not invited:
            return {}
        sent = order.sender is None
        await store.insert_invitations(conn, asker.tenant, asked.survey_id, now, invited, sent=sent)
        if not sent:
            emails = {one.person_id: one.email or "" for one in judged.verdicts}
            await queue.put(conn, asker.tenant, asked.base, [(one, emails[one.person_id]) for one in invited])
            return {}
        links = {one.invitation_id: new_links(asked.base) for one in invited}
        hashes = [(name, purpose, hashed) for name, made in links.items() for purpose, hashed in made.hashes()]
        await store.insert_tokens(conn, asker.tenant, hashes)
        told = [_sent(asker.tenant, asked.survey_id, now, one) for one in invited]
        await announce(conn, self._bus, told, to_micros(now))
        return {name: made.addresses for name, made in links.items()}


def _refuse_unfit(asked: Asked, sender: Sender | None) -> None:
    if sender is not None:
        return
    if asked.at is not None or asked.days > 1:
        where = "/send_at" if asked.at is not None else "/spread_days"
        raise Invalid(errors=[Fault(where, "links_leave_now", "Links are handed out in the answer; only mails wait.")])


def _in_time(verdict: Verdict, schedule: Schedule, closes_at: datetime | None) -> Verdict:
    """The verdict, or `after_close` for who would get the mail when the survey is over."""
    if verdict.reason is None and closes_at is not None and schedule.of(verdict.person_id) >= closes_at:
        return Verdict(verdict.person_id, verdict.account_id, "after_close")
    return verdict


def _chosen(judged: _Judged, order: _Order) -> dict[str, store.Invited]:
    fit = [one for one in judged.verdicts if one.reason is None]
    if order.sender is None and len(fit) > MAX_LINKS:
        detail = f"An answer holds at most {MAX_LINKS} links; these would be {len(fit)}."
        raise Invalid(errors=[Fault("/filter", "too_many_persons", detail)])
    return {one.person_id: _invitation(one, judged, by_mail=order.sender is not None) for one in fit}


def _invitation(verdict: Verdict, judged: _Judged, *, by_mail: bool) -> store.Invited:
    due = judged.schedule.of(verdict.person_id) if by_mail else judged.now
    return store.Invited(f"invitation-{secrets.token_hex(12)}", verdict.person_id, verdict.account_id, due)


def _sent(tenant: int, survey_id: str, now: datetime, one: store.Invited) -> facts.InvitationSent:
    at = to_micros(now)
    return facts.InvitationSent(
        tenant=tenant, id=one.invitation_id, received=at, at=at, survey_id=survey_id,
        invitation_id=one.invitation_id, person_id=one.person_id, account_id=one.account_id,
    )  # fmt: skip


def _answer(
    order: _Order,
    judged: _Judged,
    chosen: Mapping[str, store.Invited],
    links: Mapping[str, Mapping[str, str]],
    status: str,
) -> dict[str, Any]:
    by_mail = order.sender is not None
    items = [
        _item(one, status, chosen.get(one.person_id), links, judged.schedule if by_mail else None)
        for one in judged.verdicts
    ]
    reasons = Counter(one.reason for one in judged.verdicts if one.reason is not None)
    counts = {status: sum(one.reason is None for one in judged.verdicts), "skipped": reasons.total()}
    return {"items": items, "delivery": "mail" if by_mail else "link", "counts": counts, "reasons": dict(reasons)}


def _item(
    verdict: Verdict,
    status: str,
    invited: store.Invited | None,
    links: Mapping[str, Mapping[str, str]],
    schedule: Schedule | None,
) -> dict[str, Any]:
    made = None if invited is None else invited.invitation_id
    own = links.get(made or "", {})
    shown = {
        "person_id": verdict.person_id,
        "account_id": verdict.account_id,
        "invitation_id": made or verdict.invitation_id,
        "link": own.get(SURVEY),
        "unsubscribe_link": own.get(UNSUBSCRIBE),
    }
    if verdict.reason is not None:
        return {**shown, "status": "skipped", "reason": verdict.reason}
    return {**shown, "status": status, **({"send_at": schedule.of(verdict.person_id)} if schedule else {})}
