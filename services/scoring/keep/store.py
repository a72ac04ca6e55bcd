"""SQL of the keep list: accounts of priority High, now or at T, with the reason that somebody named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert

from services.scoring import tables as scoring
from services.scoring.asof import Question, past
from services.scoring.assessment import Assessment
from services.scoring.bounds import few_kept
from services.scoring.keep.rules import DUE_DAYS, PRIORITY, STATES
from services.scoring.state import acv_order
from shared import tables
from shared.clock import start_of_day
from shared.postgres import Connection

Place = tuple[int, int, str]  # state, acv_order, account_id
FIRST: Final[Place] = (-1, -(2**63), "")
_NOW: Final = """
SELECT account, account_id, name, tier, rank, tenure, csm_id, csm_name, acv, acv_order, score, effective_band, covered,
  due_at, last_contact_at, last_contact_channel, last_contact_csm, planned_at, planned_channel
FROM account_state WHERE tenant = $1 AND NOT churned AND priority_order = 0 AND covered IS NOT NULL
"""
_COLUMNS: Final[Mapping[str, str]] = {
    "account": "int", "account_id": "text", "name": "text", "tier": "text", "rank": "text", "tenure": "text",
    "csm_id": "text", "csm_name": "text", "acv": "bigint", "acv_order": "bigint", "score": "float8",
    "effective_band": "text", "covered": "boolean", "due_at": "timestamptz", "last_contact_at": "timestamptz",
    "last_contact_channel": "text", "last_contact_csm": "text", "planned_at": "timestamptz", "planned_channel": "text",
}  # fmt: skip
# A named reason counts from when it was named until the account is reached; $2 is T, $3 when `due` ends.
_KEPT: Final = """
WITH shown AS ({shown}),
kept AS (
  SELECT s.*, CASE WHEN NOT s.covered THEN 0 WHEN s.due_at < $3 THEN 1 ELSE 2 END AS state, r.reason, r.author,
    r.at AS reason_at
  FROM shown s LEFT JOIN LATERAL (
    SELECT k.reason, k.author, k.at FROM scoring.keep_reason k WHERE k.tenant = $1 AND {same} AND k.at <= $2
      AND (s.last_contact_at IS NULL OR k.at > s.last_contact_at) ORDER BY k.at DESC, k.reason_id DESC LIMIT 1
  ) r ON NOT s.covered
  WHERE $4::text[] IS NULL OR s.csm_id = ANY($4))
"""
_ONE: Final = "k.account = s.account"
_JOINED: Final = f"""({_ONE} OR k.account IN (
  SELECT j.account FROM account_join j WHERE j.tenant = $1 AND j.canonical = s.account))"""
_PAGE: Final = f"""{_KEPT} SELECT * FROM kept WHERE state = ANY($5::int[])
  AND (state, acv_order, account_id COLLATE "C") > ($6::int, $7::bigint, $8::text)
ORDER BY state, acv_order, account_id COLLATE "C" LIMIT $9"""
_COUNTS: Final = (
    f"{_KEPT} SELECT state, count(*)::int AS accounts, count(reason)::int AS named FROM kept GROUP BY state"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which accounts are meant: in these states, looked after by these CSMs (None: whoever)."""

    states: Sequence[str]
    csms: Sequence[str] | None


async def page(
    question: Question, chosen: Chosen, after: Place, size: int
) -> tuple[list[Mapping[str, Any]], dict[str, int], int]:
    """The next accounts, how many are in each state, and how many uncovered ones have a named reason. Raises
    TooManyAccounts, TooManyKept."""
    end = start_of_day(question.day + timedelta(days=DUE_DAYS + 1), question.terms.tz)
    asked = [question.tenant, question.at, end, chosen.csms]
    if question.live:
        await few_kept(question, chosen.csms)
    then = [] if question.live else await _then(question)
    states = [STATES.index(state) for state in chosen.states]
    rows = await _fetch(question, _PAGE, [*asked, states, *after, size], then)
    found = {STATES[row["state"]]: row for row in await _fetch(question, _COUNTS, asked, then)}
    counts = {state: found[state]["accounts"] if state in found else 0 for state in STATES}
    return rows, counts, found["uncovered"]["named"] if "uncovered" in found else 0


async def _fetch(question: Question, sql: str, asked: list[Any], then: list[list[Any]]) -> list[Any]:
    first = len(asked) + 1
    arrays = ", ".join(f"${first + n}::{kind}[]" for n, kind in enumerate(_COLUMNS.values()))
    shown = f"SELECT * FROM unnest({arrays}) AS s({', '.join(_COLUMNS)})" if then else _NOW
    same = _JOINED if question.terms.joined.accounts else _ONE
    return await question.conn.fetch(sql.replace("{shown}", shown).replace("{same}", same), *asked, *then)


async def _then(question: Question) -> list[list[Any]]:
    """The accounts of priority High at T, column by column."""
    found = await past(question.conn, question.terms, question.at)
    kept = [(key, one) for key, one in sorted(found.items()) if one.priority == PRIORITY and one.covered is not None]
    rows = [_row(key, one) for key, one in kept]
    return [[row[name] for row in rows] for name in _COLUMNS]


def _row(key: int, one: Assessment) -> dict[str, Any]:
    last, ahead = one.last_contact, one.planned
    named = ("account_id", "name", "tier", "rank", "tenure", "csm_id", "csm_name", "acv", "score", "effective_band",
             "covered", "due_at")  # fmt: skip
    return {
        **{name: getattr(one, name) for name in named},
        "account": key,
        "acv_order": acv_order(one.acv),
        "last_contact_at": last and last.at,
        "last_contact_channel": last and last.channel,
        "last_contact_csm": last and last.csm_id,
        "planned_at": ahead and ahead.at,
        "planned_channel": ahead and ahead.channel,
    }


async def name_reason(
    conn: Connection, tenant: int, account: int, reason: str, author: str, now: datetime
) -> None:  # fmt: skip
    """One more reason, which counts from now on."""
    told = {"tenant": tenant, "account": account, "reason": reason, "author": author, "at": now}
    await tables.execute(conn, insert(scoring.KeepReason).values(**told))
