"""The worker that lets mails leave: it takes due ones for a while, hands them over, and says what became of them.

At most once: before a mail's content goes to the server it is marked as handed over, in a transaction of its own.
Whoever finds that mark after a crash counts the mail as left and never sends it again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.errors import MessageError
from typing import Any, Final

import structlog

from services.nps import survey_store
from services.nps.domain.sending import days_later, next_moment, retry_at
from services.nps.domain.surveys import is_open
from services.nps.links import Links, new_links
from services.nps.mail import queue
from services.nps.mail.letter import letter
from services.nps.mail.queue import Mail
from services.nps.mail.senders import Secrets, Sender, hours_of
from services.nps.mail.smtp import Fate, Line, NoConnection, line
from shared import facts
from shared.bus import Bus
from shared.bus.outbox import announce, wake
from shared.clock import Clock, to_micros, zone
from shared.postgres import TROUBLE, Connection, Database, connection, tenant_transaction

PAUSE: Final = 1.0  # seconds between looks at the queue
BACKOFF: Final = 5.0  # seconds after the database did not answer
LEASE: Final = timedelta(minutes=15)
AT_ONCE: Final = 20  # mails of a tenant taken together
TENANTS_AT_ONCE: Final = 8
LONGEST: Final = 120.0  # seconds for a lot through one server; mails that are not begun by then wait
SLOW: Final = timedelta(minutes=1)  # until they are tried again
_log = structlog.get_logger("genki.nps.mail")
Row = Mapping[str, Any]


class Mailer:
    """Sends what is due, for every tenant. Several may run: a mail is taken by one."""

    def __init__(self, bus: Bus, database: Database, clock: Clock, secrets: Secrets, public_url: str | None) -> None:
        """`public_url`: what links begin with; without it, what the invitation's request came to."""
        self._bus, self._pool, self._clock, self._secrets = bus, database.worker, clock, secrets
        self._public_url = public_url
        self._turns = asyncio.Semaphore(TENANTS_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled; a mail that is being handed over then is brought to its end first."""
        busy: set[int] = set()
        async with asyncio.TaskGroup() as group:  # no tenant waits for another's server
            while True:
                pause = PAUSE
                try:
                    due = await self._due()
                except TROUBLE as problem:
                    _log.warning("mail_waits", problem=type(problem).__name__)
                    due, pause = {}, BACKOFF
                for tenant in due.keys() - busy:
                    busy.add(tenant)
                    group.create_task(self._all(tenant, due[tenant], busy))
                await asyncio.sleep(pause)

    async def step(self) -> int:
        """Tries the next due mails of every tenant, to the end; how many were taken."""
        due = await self._due()
        taken = await asyncio.gather(*(self._tenant(*one) for one in due.items()), return_exceptions=True)
        for found in taken:
            if isinstance(found, BaseException):
                raise found
        return sum(found for found in taken if isinstance(found, int))

    async def _due(self) -> Mapping[int, str]:
        """The tenants that have mails to send now, and their time zones."""
        async with connection(self._pool) as conn:
            zones = await queue.tenants(conn)
        if not zones:
            return {}
        async with tenant_transaction(self._pool, *zones) as conn:
            return {tenant: zones[tenant] for tenant in await queue.due(conn, self._clock.now())}

    async def _all(self, tenant: int, time_zone: str, busy: set[int]) -> None:
        try:
            while await self._tenant(tenant, time_zone):
                pass
        except TROUBLE as problem:
            _log.warning("mail_waits", tenant=tenant, problem=type(problem).__name__)
            await asyncio.sleep(BACKOFF)
        finally:
            busy.discard(tenant)

    async def _tenant(self, tenant: int, time_zone: str) -> int:
        async with self._turns:
            now = self._clock.now()
            async with tenant_transaction(self._pool, tenant) as conn:
                sender = await queue.sender_of(conn, tenant)
                rows = await queue.lease(conn, tenant, now, now + LEASE, AT_ONCE)
                lost = [row for row in rows if row["handed_at"] is not None]
                fit = [row for row in rows if await self._may_leave(conn, tenant, row, now, time_zone)]
            for row in lost:  # a process died between handing it over and saying so
                await self._conclude(_mail(tenant, row), row, Fate("left", "unconfirmed: crash"), time_zone)
            if fit:
                await self._send(tenant, sender, fit, time_zone)
            return len(rows)

    async def _may_leave(self, conn: Connection, tenant: int, row: Row, now: datetime, time_zone: str) -> bool:
        """Ends or postpones what may not leave now."""
        mail = _mail(tenant, row)
        if row["handed_at"] is not None:
            return False
        if (reason := _obstacle(row, now)) is not None:
            await queue.end(conn, mail, "dropped", None, reason)
            await queue.settle(conn, mail, "dropped")
            return False
        moment = next_moment(now, hours_of(row), zone(time_zone))
        if moment > now:
            await queue.postpone(conn, mail, moment, None, counted=False)
        return moment <= now

    async def _send(self, tenant: int, sender: Sender | None, rows: Sequence[Row], time_zone: str) -> None:
        waiting, problem, loop = list(rows), "disconnected", asyncio.get_running_loop()
        end = loop.time() + LONGEST
        try:
            if sender is None:
                raise NoConnection("no_mail_server")
            password = await asyncio.to_thread(self._secrets.password, sender)
            if sender.user is not None and password is None:
                raise NoConnection("no_password")
            async with line(sender, password) as opened:
                while waiting and opened.open and loop.time() < end:
                    await self._whole(tenant, sender, opened, waiting.pop(0), time_zone)
                if opened.open:
                    waiting = await self._slow(tenant, waiting)
        except NoConnection as refused:
            problem = str(refused)
            _log.warning("mail_server_away", tenant=tenant, problem=problem, mails=len(waiting))
        for row in waiting:  # the server went away before their turn
            await self._conclude(_mail(tenant, row), row, Fate("later", problem), time_zone)

    async def _slow(self, tenant: int, rows: Sequence[Row]) -> list[Row]:
        """Mails whose server took too long over those before them try again soon: it is no attempt of theirs."""
        if rows:
            _log.warning("mail_server_slow", tenant=tenant, mails=len(rows))
            async with tenant_transaction(self._pool, tenant) as conn:
                for row in rows:
                    await queue.postpone(conn, _mail(tenant, row), self._clock.now() + SLOW, "slow", counted=False)
        return []

    async def _whole(self, tenant: int, sender: Sender, opened: Line, row: Row, time_zone: str) -> None:
        """One mail to its end, even when this process is told to stop meanwhile."""
        work = asyncio.ensure_future(self._one(tenant, sender, opened, row, time_zone))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            with suppress(Exception):
                await asyncio.wait_for(work, 8)
            raise
        except TROUBLE:
            raise
        except Exception:  # noqa: BLE001 one mail must not keep the others, nor end the process; its lease lapses
            _log.exception("mail_broke", tenant=tenant, invitation=row["invitation_id"], number=row["number"])

    async def _one(self, tenant: int, sender: Sender, opened: Line, row: Row, time_zone: str) -> None:
        mail, links = _mail(tenant, row), new_links(self._public_url or row["base"])

        async def hand() -> bool:
            async with tenant_transaction(self._pool, tenant) as conn:
                if not await queue.hand(conn, mail, self._clock.now()):
                    return False
                await _keep(conn, mail, links)
            return True

        try:
            made = letter(sender, row, links, self._clock.now(), zone(time_zone))
        except (ValueError, MessageError):  # an address or a name that no header takes
            fate = Fate("bounced", "unfit")
        else:
            fate = await opened.send(row["email"], made, hand)
        await self._conclude(mail, row, fate, time_zone)

    async def _conclude(self, mail: Mail, row: Row, fate: Fate, time_zone: str) -> None:
        if fate.kind == "not_ours":
            return
        now = self._clock.now()
        again = retry_at(now, mail.attempts) if fate.kind == "later" else None
        async with tenant_transaction(self._pool, mail.tenant) as conn:
            if fate.kind == "left":
                told = await self._left(conn, mail, row, now, fate.problem, time_zone)
            elif again is not None:
                await queue.postpone(conn, mail, again, fate.problem)
                told = None
            else:
                told = await self._bounced(conn, mail, row, now, fate)
            if told is not None:
                await announce(conn, self._bus, [told], to_micros(now))
        wake(self._bus)
        _log.info("mail", tenant=mail.tenant, invitation=mail.invitation_id, number=mail.number, fate=fate.kind,
                  problem=fate.problem, attempts=mail.attempts)  # fmt: skip

    async def _left(
        self, conn: Connection, mail: Mail, row: Row, now: datetime, problem: str | None, time_zone: str
    ) -> facts.AnyFact | None:
        at = now if row["handed_at"] is None else row["handed_at"].astimezone(UTC)
        if not await queue.end(conn, mail, "left", at, problem):
            return None
        if mail.number < row["reminders"]:
            due = days_later(at, row["reminder_days"], zone(time_zone))
            await queue.remind(conn, mail, row["email"], row["base"], due)
        if mail.number or not await queue.sent(conn, mail, at):
            return None
        return _fact(facts.InvitationSent, mail, row, at)

    async def _bounced(self, conn: Connection, mail: Mail, row: Row, now: datetime, fate: Fate) -> facts.AnyFact | None:
        gave_up = "gave_up: " if fate.kind == "later" else ""
        if not await queue.end(conn, mail, "bounced", None, f"{gave_up}{fate.problem}") or mail.number:
            return None
        await queue.settle(conn, mail, "bounced")
        return _fact(facts.InvitationBounced, mail, row, now)


def _mail(tenant: int, row: Row) -> Mail:
    return Mail(tenant, row["invitation_id"], row["number"], row["attempts"])


def _obstacle(row: Row, now: datetime) -> str | None:
    """Why the mail may never leave."""
    if not is_open(now, row["closes_at"], row["closed_at"]):
        return "survey_closed"
    if row["opted_out"]:
        return "opted_out"
    return "answered" if row["answered"] else None


async def _keep(conn: Connection, mail: Mail, links: Links) -> None:
    hashes = [(mail.invitation_id, purpose, hashed) for purpose, hashed in links.hashes()]
    await survey_store.insert_tokens(conn, mail.tenant, hashes)


def _fact(
    kind: type[facts.InvitationSent | facts.InvitationBounced], mail: Mail, row: Row, at: datetime
) -> facts.AnyFact:
    when = to_micros(at)
    return kind(
        tenant=mail.tenant, id=mail.invitation_id, received=when, at=when, survey_id=row["survey_id"],
        invitation_id=mail.invitation_id, person_id=row["person_id"], account_id=row["account_id"],
    )  # fmt: skip
