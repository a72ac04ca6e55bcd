"""SQL of surveys, invitations and the answers given through links."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.nps.domain.surveys import Past
from shared.postgres import Connection

_LOCK: Final = 7_300_021  # advisory, with the tenant: invitations of one tenant take turns, so that quiet stays quiet
_GIVEN: Final = (
    "survey_id", "name", "kind", "created_at", "question", "open_question", "quiet_days", "closes_at", "language",
    "reminders", "reminder_days", "send_hours",
)  # fmt: skip
_JSON: Final = ("question", "open_question", "send_hours")
_COLUMNS: Final = f"{', '.join(_GIVEN)}, closed_at"
_INSERT: Final = f"""
INSERT INTO nps.survey (tenant, {", ".join(_GIVEN)})
VALUES ($1, {", ".join(f"${n}" for n in range(2, len(_GIVEN) + 2))})
ON CONFLICT (tenant, name) DO NOTHING RETURNING survey_id
"""
_PAGE: Final = f"""
SELECT {_COLUMNS} FROM nps.survey
WHERE tenant = $1 AND (created_at, survey_id) < ($2, $3) ORDER BY created_at DESC, survey_id DESC LIMIT $4
"""
_TOTAL: Final = "SELECT count(*) FROM nps.survey WHERE tenant = $1"
_ONE: Final = f"SELECT {_COLUMNS} FROM nps.survey WHERE tenant = $1 AND survey_id = $2"
_CLOSE: Final = "UPDATE nps.survey SET closed_at = coalesce(closed_at, $3) WHERE tenant = $1 AND survey_id = $2"
_INVITED: Final = """
SELECT person_id, invitation_id FROM nps.invitation
WHERE tenant = $1 AND survey_id = $2 AND person_id = ANY($3::text[])
"""
# What bounced reached nobody, unless it was answered all the same; what waits counts from when it will leave.
_LAST_SENT: Final = """
SELECT person_id, max(coalesce(sent_at, due_at)) FROM nps.invitation i
WHERE tenant = $1 AND person_id = ANY($2::text[]) AND (state IN ('waiting', 'sent') OR EXISTS (
  SELECT 1 FROM nps.answer a WHERE a.tenant = $1 AND a.invitation_id = i.invitation_id))
GROUP BY person_id
"""
# Who was erased is known by a hash alone.
_OPTED_OUT: Final = """
SELECT w.id FROM unnest($2::text[]) AS w(id) WHERE EXISTS (
  SELECT 1 FROM nps.opt_out o WHERE o.tenant = $1 AND o.person_id IN (w.id, nps.hash_of($1, w.id)))
"""
_INVITE: Final = """
INSERT INTO nps.invitation
  (tenant, survey_id, made_at, state, sent_at, invitation_id, person_id, account_id, due_at, also)
SELECT $1, $2, $3, $4, $5, * FROM unnest($6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::jsonb[])
"""
_TOKENS: Final = """
INSERT INTO nps.token (tenant, invitation_id, purpose, hash)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bytea[])
"""
_FIND_LINK: Final = "SELECT tenant, invitation_id FROM nps.find_token($1) WHERE purpose = $2"
# What a link stands for: its invitation, the survey, the answer so far.
_INVITATION: Final = """
SELECT i.invitation_id, i.survey_id, i.person_id, i.account_id, s.question, s.open_question, s.closes_at, s.closed_at,
       a.response_id, a.edits, a.at, a.score, a.comment
FROM nps.invitation i JOIN nps.survey s USING (tenant, survey_id) LEFT JOIN nps.answer a USING (tenant, invitation_id)
WHERE i.tenant = $1 AND i.invitation_id = $2
"""
# Edits of one answer take turns from here to the commit.
_HOLD: Final = "SELECT 1 FROM nps.invitation WHERE tenant = $1 AND invitation_id = $2 FOR UPDATE"
_ANSWER: Final = """
INSERT INTO nps.answer (tenant, invitation_id, response_id, edits, at, score, comment)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant, invitation_id) DO UPDATE
SET edits = excluded.edits, at = excluded.at, score = excluded.score, comment = excluded.comment
"""
_OPT_OUT: Final = "INSERT INTO nps.opt_out (tenant, person_id, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"


class Link(NamedTuple):
    """Whom a link belongs to."""

    tenant: int
    invitation_id: str


class Invited(NamedTuple):
    """One invitation to be stored; `due_at`: when its mail leaves; without one, now. `also`: the person's other ids."""

    invitation_id: str
    person_id: str
    account_id: str | None
    due_at: datetime
    also: Sequence[str] = ()


async def insert_survey(conn: Connection, tenant: int, survey: Mapping[str, Any]) -> bool:
    """Stores a survey; False when another one has its name."""
    texts = {name: json.dumps(survey[name]) for name in _JSON if survey[name] is not None}
    values = [texts.get(name) if name in _JSON else survey[name] for name in _GIVEN]
    return await conn.fetchval(_INSERT, tenant, *values) is not None


async def page(conn: Connection, tenant: int, before: tuple[datetime, str], limit: int) -> list[dict[str, Any]]:
    """The next surveys, the newest first."""
    return [_survey(row) for row in await conn.fetch(_PAGE, tenant, *before, limit)]


async def total(conn: Connection, tenant: int) -> int:
    """How many surveys the tenant has."""
    return int(await conn.fetchval(_TOTAL, tenant) or 0)


async def survey_of(conn: Connection, tenant: int, survey_id: str) -> dict[str, Any] | None:
    """One survey."""
    row = await conn.fetchrow(_ONE, tenant, survey_id)
    return None if row is None else _survey(row)


async def close(conn: Connection, tenant: int, survey_id: str, now: datetime) -> None:
    """The survey takes no more answers; one closed before keeps its instant."""
    await conn.execute(_CLOSE, tenant, survey_id, now)


async def take_turn(conn: Connection, tenant: int) -> None:
    """Waits until no other transaction invites persons of the tenant."""
    await conn.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCK, tenant)


async def past_of(conn: Connection, tenant: int, survey_id: str, persons: Sequence[str]) -> Past:
    """What was sent to these persons before."""
    invited = dict(await conn.fetch(_INVITED, tenant, survey_id, persons))
    last_sent = dict(await conn.fetch(_LAST_SENT, tenant, persons))
    opted_out = frozenset(row[0] for row in await conn.fetch(_OPTED_OUT, tenant, persons))
    return Past(invited, last_sent, opted_out)


async def insert_invitations(
    conn: Connection, tenant: int, survey_id: str, now: datetime, invited: Sequence[Invited], *, sent: bool
) -> None:
    """Stores invitations: sent now, since their links are handed out, or waiting for their mail."""
    state, sent_at = ("sent", now) if sent else ("waiting", None)
    columns = map(list, zip(*((*one[:-1], json.dumps(list(one.also))) for one in invited), strict=True))
    await conn.execute(_INVITE, tenant, survey_id, now, state, sent_at, *columns)


async def insert_tokens(conn: Connection, tenant: int, tokens: Sequence[tuple[str, str, bytes]]) -> None:
    """Stores hashes of links: invitation, purpose, hash."""
    await conn.execute(_TOKENS, tenant, *map(list, zip(*tokens, strict=True)))


async def find_token(conn: Connection, token_hash: bytes, purpose: str) -> Link | None:
    """Whom a token of that purpose belongs to, of whichever tenant."""
    row = await conn.fetchrow(_FIND_LINK, token_hash, purpose)
    return None if row is None else Link(row["tenant"], row["invitation_id"])


async def invitation_of(conn: Connection, link: Link, *, hold: bool = False) -> dict[str, Any] | None:
    """The invitation with its survey and answer; `hold`: until the commit nobody else edits the answer."""
    if hold:
        await conn.execute(_HOLD, *link)
    row = await conn.fetchrow(_INVITATION, *link)
    return None if row is None else _survey(row)


async def put_answer(conn: Connection, link: Link, answer: Mapping[str, Any]) -> None:
    """Stores the answer as it stands now."""
    values = [answer[name] for name in ("response_id", "edits", "at", "score", "comment")]
    await conn.execute(_ANSWER, *link, *values)


async def opt_out(conn: Connection, tenant: int, person_id: str, now: datetime) -> None:
    """The person wants no more surveys, for good."""
    await conn.execute(_OPT_OUT, tenant, person_id, now)


def _survey(row: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: row[name] and json.loads(row[name]) for name in _JSON if name in row}
    return {**dict(row), **texts}
