"""What nps does to invite: judge who can be, hand out links, put mails into the queue."""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence, Set
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

Delivery = Literal["both", "mail", "link"]
MAX_LINKS: Final = 1_000  # of one answer; mails may be as many as an audience has persons
_LINKS_AT_ONCE: Final = "A link in the answer is handed out at once; only mails wait."


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to be invited to what, and how: `person_ids`, or else everyone of the accounts that meet `filters`;
    `delivery` None: links in the answer, and by mail too where the tenant has a mail server, or there by mail alone
    when they have to wait or are more than an answer holds; `at`: not before then."""

    survey_id: str
    authorization: str
    base: str
    person_ids: Sequence[str] | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    sample: float = 1.0
    delivery: Delivery | None = None
    at: datetime | None = None
    days: int = 1

    @property
    def waits(self) -> bool:
        """Whether anyone's is to leave later than now."""
        return self.at is not None or self.days > 1


@dataclass(frozen=True, slots=True)
class _Order:
    """What is asked, with what had to be found out first; `sender` None: no mail is sent. `owners`: the CSMs whose
    persons the asker may invite, None: everyone's."""

    asked: Asked
    owners: Set[str] | None
    people: Mapping[str, Person]
    wanted: Sequence[str]
    sender: Sender | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """The verdicts at an instant, when each mail would leave, and how those who can be invited are."""

    verdicts: Sequence[Verdict]
    now: datetime
    schedule: Schedule
    delivery: Delivery

    @property
    def by_mail(self) -> bool:
        """Whether mails go into the queue."""
        return self.delivery != "link"

    @property
    def by_answer(self) -> bool:
        """Whether links are in the answer, and so handed out."""
        return self.delivery != "mail"


class Inviting:
    """Invitations to surveys of every tenant."""

    def __init__(self, bus: Bus, database: Database, clock: Clock, people: People, senders: Senders) -> None:
        self._bus, self._database, self._clock, self._people, self._senders = bus, database, clock, people, senders

    async def would_invite(self, asker: Principal, asked: Asked) -> dict[str, Any]:
        """Who would be invited and who not, and why not. Raises NotFound, SurveyClosed, Invalid, Unavailable."""
        order = await self._order(asker, asked)
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            judged = await self._judged(conn, asker, order)
        return _answer(judged, {}, {}, "eligible")

    async def invite(self, asker: Principal, asked: Asked) -> dict[str, Any]:
        """Invites those who can be. Their mails wait in the queue. Links in the answer are there only now and so are
        handed out, whenever a mail follows: the facts that say so go on the log with the rows. Raises NotFound,
        SurveyClosed, Invalid, Unavailable, NoMailServer, NoPassword."""
        order = await self._order(asker, asked)
        async with tenant_transaction(self._database.worker, asker.tenant) as conn:
            await store.take_turn(conn, asker.tenant)
            judged = await self._judged(conn, asker, order)
            chosen = _chosen(judged, order.people)
            told = {"invited": len(chosen), "delivery": judged.delivery}
            await record(conn, asker, judged.now, "survey.invite", asked.survey_id, **told)
            links = await self._kept(conn, asker, order, judged, chosen)  # the last: it writes on the log
        wake(self._bus)
        return _answer(judged, chosen, links, "invited" if judged.by_answer else "queued")

    async def _order(self, asker: Principal, asked: Asked) -> _Order:
        async with tenant_transaction(self._database.app, asker.tenant) as conn:
            await found(conn, asker, asked.survey_id)  # an unknown one needs no answer of scoring
        sender = None
        if asked.delivery != "link":
            sender = await self._senders.of(asker, asked.authorization, needed=asked.delivery is not None)
        owners = _owners(asker)
        if asked.person_ids is None:
            people = await self._people.chosen(asked.authorization, _own(asked.filters, owners))
            wanted = list(people)
        else:
            wanted = list(dict.fromkeys(asked.person_ids))
            people = await self._people.named(asked.authorization, wanted)
        _refuse_unfit(asked, sender)
        return _Order(asked, owners, people, wanted, sender)

    async def _judged(self, conn: Connection, asker: Principal, order: _Order) -> _Judged:
        asked, now = order.asked, self._clock.now()
        survey = await found(conn, asker, asked.survey_id)
        start = max(now, asked.at or now)
        if not is_open(start, survey["closes_at"], survey["closed_at"]):
            raise SurveyClosed
        ids = [one for person in order.people.values() for one in person.ids]
        past = await store.past_of(conn, asker.tenant, asked.survey_id, ids)
        churned_too = "churned" in asked.filters.get("status", ())
        terms = Terms(asked.survey_id, start, survey["quiet_days"], churned_too, asked.sample, order.owners)
        hours = hours_of(survey) if order.sender else None
        schedule = Schedule(asked.survey_id, start, asked.days, hours, zone(asker.time_zone))
        judged = judge(order.wanted, order.people, past, terms)
        verdicts = [_in_time(one, schedule, survey["closes_at"]) for one in judged]
        return _Judged(verdicts, now, schedule, _delivery(order, verdicts))

    async def _kept(
        self, conn: Connection, asker: Principal, order: _Order, judged: _Judged, chosen: Mapping[str, store.Invited]
    ) -> Mapping[str, Mapping[str, str]]:
        """Stores the invitations, and their mails or links; the links by invitation and purpose."""
        invited, asked, now = list(chosen.values()), order.asked, judged.now
        if order.sender is not None:
            await queue.put_sender(conn, asker.tenant, order.sender, now)
        if not invited:
            return {}
        await store.insert_invitations(conn, asker.tenant, asked.survey_id, now, invited, sent=judged.by_answer)
        if judged.by_mail:
            emails = {one.person_id: one.email or "" for one in judged.verdicts}
            await queue.put(conn, asker.tenant, asked.base, [(one, emails[one.person_id]) for one in invited])
        return await self._handed_out(conn, asker, asked, now, invited) if judged.by_answer else {}

    async def _handed_out(
        self, conn: Connection, asker: Principal, asked: Asked, now: datetime, invited: Sequence[store.Invited]
    ) -> Mapping[str, Mapping[str, str]]:
        links = {one.invitation_id: new_links(asked.base) for one in invited}
        hashes = [(name, purpose, hashed) for name, made in links.items() for purpose, hashed in made.hashes()]
        await store.insert_tokens(conn, asker.tenant, hashes)
        told = [_sent(asker.tenant, asked.survey_id, now, one) for one in invited]
        await announce(conn, self._bus, told, to_micros(now))
        return {name: made.addresses for name, made in links.items()}


def _owners(asker: Principal) -> Set[str] | None:
    if asker.role != "csm":
        return None
    return frozenset() if asker.csm_id is None else frozenset((asker.csm_id,))


def _own(filters: Mapping[str, Sequence[str]], owners: Set[str] | None) -> Mapping[str, Sequence[str]]:
    """The filters, within what the asker may invite."""
    if owners is None:
        return filters
    return {**filters, "csm_id": [one for one in owners if one in filters.get("csm_id", owners)]}


def _refuse_unfit(asked: Asked, sender: Sender | None) -> None:
    if asked.waits and (sender is None or asked.delivery == "both"):
        where = "/send_at" if asked.at is not None else "/spread_days"
        raise Invalid(errors=[Fault(where, "links_leave_now", _LINKS_AT_ONCE)])


def _delivery(order: _Order, verdicts: Sequence[Verdict]) -> Delivery:
    """What was asked for; else both, where that hands out no link before its time and the answer holds them all."""
    if order.sender is None:
        return "link"
    if order.asked.delivery is not None:
        return order.asked.delivery
    many = sum(one.reason is None for one in verdicts) > MAX_LINKS
    return "mail" if order.asked.waits or many else "both"


def _in_time(verdict: Verdict, schedule: Schedule, closes_at: datetime | None) -> Verdict:
    """The verdict, or `after_close` for who would get the mail when the survey is over."""
    if verdict.reason is None and closes_at is not None and schedule.of(verdict.person_id) >= closes_at:
        return Verdict(verdict.person_id, verdict.account_id, "after_close")
    return verdict


def _chosen(judged: _Judged, people: Mapping[str, Person]) -> dict[str, store.Invited]:
    fit = [one for one in judged.verdicts if one.reason is None]
    if judged.by_answer and len(fit) > MAX_LINKS:
        detail = f"An answer holds at most {MAX_LINKS} links; these would be {len(fit)}."
        raise Invalid(errors=[Fault("/filter", "too_many_persons", detail)])
    return {one.person_id: _invitation(one, judged, people[one.person_id].also) for one in fit}


def _invitation(verdict: Verdict, judged: _Judged, also: Sequence[str]) -> store.Invited:
    due = judged.schedule.of(verdict.person_id) if judged.by_mail else judged.now
    return store.Invited(f"invitation-{secrets.token_hex(12)}", verdict.person_id, verdict.account_id, due, also)


def _sent(tenant: int, survey_id: str, now: datetime, one: store.Invited) -> facts.InvitationSent:
    at = to_micros(now)
    return facts.InvitationSent(
        tenant=tenant, id=one.invitation_id, received=at, at=at, survey_id=survey_id,
        invitation_id=one.invitation_id, person_id=one.person_id, account_id=one.account_id,
    )  # fmt: skip


def _answer(
    judged: _Judged,
    chosen: Mapping[str, store.Invited],
    links: Mapping[str, Mapping[str, str]],
    status: str,
) -> dict[str, Any]:
    schedule = judged.schedule if judged.by_mail else None
    items = [_item(one, status, chosen.get(one.person_id), links, schedule) for one in judged.verdicts]
    reasons = Counter(one.reason for one in judged.verdicts if one.reason is not None)
    counts = {status: sum(one.reason is None for one in judged.verdicts), "skipped": reasons.total()}
    return {"items": items, "delivery": judged.delivery, "counts": counts, "reasons": dict(reasons)}


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
