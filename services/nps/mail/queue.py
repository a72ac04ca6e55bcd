"""SQL of the mails that wait, are under way, have left or never will."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from services.nps.mail.senders import Sender
from services.nps.survey_store import Invited
from shared.postgres import Connection

_SENDER: Final = """
INSERT INTO nps.sender (tenant, document, at) VALUES ($1, $2, $3)
ON CONFLICT (tenant) DO UPDATE SET document = excluded.document, at = excluded.at
"""
_PUT: Final = """
INSERT INTO nps.mail (tenant, base, invitation_id, email, due_at, number, state)
SELECT $1, $2, *, 0, 'waiting' FROM unnest($3::text[], $4::text[], $5::timestamptz[])
"""
_TENANTS: Final = "SELECT tenant, tenant_id, time_zone FROM access.tenant"
_DUE: Final = "SELECT DISTINCT tenant FROM nps.mail WHERE state = 'waiting' AND due_at <= $1 AND {free}"
_FREE: Final = "(leased_until IS NULL OR leased_until <= $1)"
_THEIRS: Final = "(o.person_id = i.person_id OR i.also ? o.person_id)"
# Takes the next due mails for a while, with all that decides whether and how they leave.
_LEASE: Final = f"""
WITH due AS (
  SELECT invitation_id, number FROM nps.mail WHERE tenant = $2 AND state = 'waiting' AND due_at <= $1 AND {_FREE}
  ORDER BY due_at, invitation_id LIMIT $4 FOR UPDATE SKIP LOCKED),
taken AS (
  UPDATE nps.mail m SET leased_until = $3, attempts = attempts + 1 FROM due
  WHERE m.tenant = $2 AND m.invitation_id = due.invitation_id AND m.number = due.number RETURNING m.*)
SELECT t.invitation_id, t.number, t.email, t.base, t.attempts, t.handed_at, i.survey_id, i.person_id, i.account_id,
       i.sent_at, s.question, s.language, s.reminders, s.reminder_days, s.send_hours, s.closes_at, s.closed_at,
       a.at IS NOT NULL AS answered,
       EXISTS (SELECT 1 FROM nps.opt_out o WHERE o.tenant = $2 AND {_THEIRS}) AS opted_out
FROM taken t JOIN nps.invitation i ON i.tenant = $2 AND i.invitation_id = t.invitation_id
JOIN nps.survey s ON s.tenant = $2 AND s.survey_id = i.survey_id
LEFT JOIN nps.answer a ON a.tenant = $2 AND a.invitation_id = t.invitation_id
ORDER BY t.due_at, t.invitation_id
"""
_MINE: Final = "tenant = $1 AND invitation_id = $2 AND number = $3 AND state = 'waiting' AND attempts = $4"
_POSTPONE: Final = f"""
UPDATE nps.mail SET due_at = $5, problem = $6, leased_until = NULL, handed_at = NULL, attempts = attempts - $7
WHERE {_MINE} RETURNING 1
"""
# What kept no mail back when it was taken is looked at again as it leaves.
_HAND: Final = f"""
UPDATE nps.mail SET handed_at = $5 WHERE {_MINE} AND handed_at IS NULL AND EXISTS (
  SELECT 1 FROM nps.invitation i JOIN nps.survey s ON s.tenant = $1 AND s.survey_id = i.survey_id
  WHERE i.tenant = $1 AND i.invitation_id = $2 AND s.closed_at IS NULL AND (s.closes_at IS NULL OR s.closes_at > $5)
  AND NOT EXISTS (SELECT 1 FROM nps.answer a WHERE a.tenant = $1 AND a.invitation_id = $2)
  AND NOT EXISTS (SELECT 1 FROM nps.opt_out o WHERE o.tenant = $1 AND {_THEIRS}))
RETURNING 1
"""
# All that waits for the person of an invitation, under whichever of their ids as they were when invited.
_DROP: Final = """
WITH own AS (SELECT person_id, also FROM nps.invitation WHERE tenant = $1 AND invitation_id = $2),
gone AS (
  UPDATE nps.mail m SET state = 'dropped', problem = 'opted_out', email = '', leased_until = NULL
  FROM nps.invitation i, own
  WHERE m.tenant = $1 AND m.state = 'waiting' AND m.handed_at IS NULL
  AND i.tenant = $1 AND i.invitation_id = m.invitation_id
  AND (i.person_id = own.person_id OR own.also ? i.person_id OR i.also ? own.person_id)
  RETURNING m.invitation_id)
UPDATE nps.invitation SET state = 'dropped'
WHERE tenant = $1 AND state = 'waiting' AND invitation_id IN (SELECT invitation_id FROM gone)
"""
# With its end the mail forgets its address.
_END: Final = f"""
UPDATE nps.mail SET state = $5, left_at = $6, problem = $7, email = '', leased_until = NULL WHERE {_MINE} RETURNING 1
"""
_SENT: Final = """
UPDATE nps.invitation SET state = 'sent', sent_at = $3 WHERE tenant = $1 AND invitation_id = $2 AND state = 'waiting'
RETURNING 1
"""
# A link that was handed out stays so when its mail is dropped, and is taken back by a bounce.
_STATE: Final = """
UPDATE nps.invitation SET state = $3::text WHERE tenant = $1 AND invitation_id = $2
AND (state = 'waiting' OR state = 'sent' AND $3::text = 'bounced')
"""
_REMIND: Final = """
INSERT INTO nps.mail (tenant, invitation_id, number, email, base, state, due_at)
VALUES ($1, $2, $3, $4, $5, 'waiting', $6) ON CONFLICT DO NOTHING
"""
_LIST: Final = """
SELECT i.invitation_id, i.person_id, i.account_id, i.state, i.made_at, i.due_at, i.sent_at, a.at AS answered_at,
       coalesce((SELECT json_agg(json_build_object('number', m.number, 'state', m.state, 'due_at', m.due_at,
         'left_at', m.left_at, 'attempts', m.attempts, 'problem', m.problem) ORDER BY m.number)
         FROM nps.mail m WHERE m.tenant = $1 AND m.invitation_id = i.invitation_id), '[]') AS mails
FROM nps.invitation i LEFT JOIN nps.answer a USING (tenant, invitation_id)
WHERE i.tenant = $1 AND i.survey_id = $2 AND i.person_id > $3 ORDER BY i.person_id LIMIT $4
"""
_COUNT: Final = "SELECT count(*) FROM nps.invitation WHERE tenant = $1 AND survey_id = $2"


class Mail(NamedTuple):
    """Which mail, and in which attempt: what an attempt that came too late writes changes nothing."""

    tenant: int
    invitation_id: str
    number: int
    attempts: int


async def put_sender(conn: Connection, tenant: int, sender: Sender, now: datetime) -> None:
    """Remembers through which server the tenant's mails leave: the worker has no key to ask with."""
    await conn.execute(_SENDER, tenant, json.dumps(sender.document()), now)


async def sender_of(conn: Connection, tenant: int) -> Sender | None:
    """The sender remembered last."""
    found = await conn.fetchval("SELECT document FROM nps.sender WHERE tenant = $1", tenant)
    return None if found is None else Sender(**json.loads(found))


async def put(conn: Connection, tenant: int, base: str, invited: Sequence[tuple[Invited, str]]) -> None:
    """Queues the first mail of each invitation to its address."""
    rows = [(one.invitation_id, email, one.due_at) for one, email in invited]
    await conn.execute(_PUT, tenant, base, *map(list, zip(*rows, strict=True)))


async def tenants(conn: Connection) -> Mapping[int, str]:
    """Every tenant's time zone."""
    return {row["tenant"]: row["time_zone"] for row in await conn.fetch(_TENANTS)}


async def due(conn: Connection, now: datetime) -> list[int]:
    """The tenants that have mails to send now."""
    return [row["tenant"] for row in await conn.fetch(_DUE.format(free=_FREE), now)]


async def lease(conn: Connection, tenant: int, now: datetime, until: datetime, limit: int) -> list[dict[str, Any]]:
    """Takes the next due mails; until then nobody else takes them."""
    rows = await conn.fetch(_LEASE, now, tenant, until, limit)
    return [{**dict(row), **{name: row[name] and json.loads(row[name]) for name in _JSON}} for row in rows]


async def postpone(
    conn: Connection, mail: Mail, due_at: datetime, problem: str | None, *, counted: bool = True
) -> bool:
    """The mail did not leave and is tried again then; `counted`: as an attempt."""
    return bool(await conn.fetchval(_POSTPONE, *mail, due_at, problem, 0 if counted else 1))


async def hand(conn: Connection, mail: Mail, now: datetime) -> bool:
    """From the commit on the mail counts as on its way and is never sent again; False: it is no longer ours, or may
    not leave any more: then whoever takes it next says why."""
    return bool(await conn.fetchval(_HAND, *mail, now))


async def drop(conn: Connection, tenant: int, invitation_id: str) -> None:
    """Nothing that waits for the invitation's person leaves any more: they opted out."""
    await conn.execute(_DROP, tenant, invitation_id)


async def end(conn: Connection, mail: Mail, state: str, at: datetime | None, problem: str | None) -> bool:
    """The mail's last state: left, bounced or dropped; False: it is no longer ours."""
    return bool(await conn.fetchval(_END, *mail, state, at, problem))


async def sent(conn: Connection, mail: Mail, at: datetime) -> bool:
    """The invitation's first mail has left; False: it counted as sent before, its link was handed out."""
    return bool(await conn.fetchval(_SENT, mail.tenant, mail.invitation_id, at))


async def settle(conn: Connection, mail: Mail, state: str) -> None:
    """The invitation's first mail never reaches anyone: bounced, or dropped."""
    await conn.execute(_STATE, mail.tenant, mail.invitation_id, state)


async def remind(conn: Connection, mail: Mail, email: str, base: str, due_at: datetime) -> None:
    """Queues the mail that follows this one."""
    await conn.execute(_REMIND, mail.tenant, mail.invitation_id, mail.number + 1, email, base, due_at)


async def listed(conn: Connection, tenant: int, survey_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    """A survey's invitations with their mails, in order of person."""
    rows = await conn.fetch(_LIST, tenant, survey_id, after, limit)
    return [{**dict(row), "mails": [_instants(mail) for mail in json.loads(row["mails"])]} for row in rows]


async def total(conn: Connection, tenant: int, survey_id: str) -> int:
    """How many invitations a survey has."""
    return int(await conn.fetchval(_COUNT, tenant, survey_id) or 0)


_JSON: Final = ("question", "send_hours")


def _instants(mail: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: mail[name] and datetime.fromisoformat(mail[name]).astimezone(UTC) for name in ("due_at", "left_at")}
    return {**mail, **told}
