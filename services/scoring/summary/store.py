"""SQL of the home screen: totals from the counters, some accounts by their owner, the calls of the day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from services.scoring.asof import Question, past
from services.scoring.assessment import Assessment, with_changes
from services.scoring.coverage.store import due_counts
from services.scoring.facts.read import Reader
from services.scoring.state import row_of
from services.scoring.summary.rules import CALLS, Seen, Totals, totals
from shared.clock import end_of_day

_TOTALS: Final = """
SELECT dim, key, tier, sum(accounts)::int AS accounts, sum(acv)::bigint AS acv, sum(eligible)::int AS eligible,
  sum(covered)::int AS covered, sum(in_use)::int AS in_use, sum(contacted)::int AS contacted
FROM counter WHERE tenant = $1 AND dim = ANY($2) GROUP BY dim, key, tier HAVING sum(accounts) > 0
"""
_DIMS: Final = ("tenant", "tier", "csm", "band", "status", "moved")
_SEEN: Final = """
SELECT account_id, status, churned, acv, effective_band, band_7d, tier, csm_id, covered, due_at, in_use, contacted
FROM account_state WHERE tenant = $1 AND csm_id = ANY($2)
"""
_CALLS: Final = f"""
SELECT account_id, name, csm_id, csm_name, acv, rank, tenure, priority, effective_band, score, change_28d, day,
  last_contact_at, last_contact_channel, last_contact_csm, planned_at, planned_channel, renewal_on, active_users_28d,
  needs_action, health
FROM account_state WHERE tenant = $1 AND call_order IS NOT NULL {{some}}
ORDER BY call_order LIMIT {CALLS}
"""
_UNASSIGNED: Final = (
    "SELECT coalesce(sum(events), 0)::bigint FROM usage WHERE tenant = $1 AND account = 0 AND day <= $2"
)
_NEWEST: Final = "SELECT max(at) FROM newest_fact WHERE tenant = $1"
# The latest fact that lies at or before T ($2) and its day ($3).
_NEWEST_PAST: Final = """
SELECT greatest(
  (SELECT max(last_at) FROM usage WHERE tenant = $1 AND day <= $3),
  (SELECT max(at) FROM contact WHERE tenant = $1 AND at <= $2),
  (SELECT max(at) FROM account_attribute WHERE tenant = $1 AND at <= $2),
  (SELECT max(at) FROM person_attribute WHERE tenant = $1 AND at <= $2),
  (SELECT max(at) FROM csm_attribute WHERE tenant = $1 AND at <= $2),
  (SELECT max(at) FROM alias WHERE tenant = $1 AND at <= $2),
  (SELECT max(at) FROM response WHERE tenant = $1 AND at <= $2),
  (SELECT max(at) FROM invitation WHERE tenant = $1 AND at <= $2),
  (SELECT max(effective_on)::timestamp AT TIME ZONE $4 FROM contract WHERE tenant = $1 AND effective_on <= $3))
"""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose accounts: of any of these CSMs and of any of these teams; None = not asked."""

    csms: Sequence[str] | None = None
    teams: Sequence[str] | None = None

    @property
    def everybody(self) -> bool:
        """Whether nothing was asked."""
        return self.csms is None and self.teams is None

    def holds(self, csm_id: str | None, team: str | None) -> bool:
        """Whether an account of this owner is meant."""
        return (self.csms is None or csm_id in self.csms) and (self.teams is None or team in self.teams)


@dataclass(frozen=True, slots=True)
class Board:
    """The figures of the accounts in scope; `calls` are rows of account_state; `accounts` their ids, None = all."""

    totals: Totals
    calls: Sequence[Mapping[str, Any]]
    accounts: frozenset[str] | None


async def board(question: Question, scope: Scope) -> Board:
    """Live from the totals, or from the accounts of some CSMs; past from the accounts as they stood."""
    if not question.live:
        return await _past(question, scope)
    if scope.everybody:
        calls = await question.conn.fetch(_CALLS.format(some=""), question.tenant)
        return Board(await _counted(question), calls, None)
    csms = await _owners(question, scope)
    calls = await question.conn.fetch(_CALLS.format(some="AND csm_id = ANY($2)"), question.tenant, csms)
    rows = await question.conn.fetch(_SEEN, question.tenant, csms)
    seen = [Seen(*told) for _, *told in rows]
    ids = frozenset(row["account_id"] for row in rows)
    return Board(totals(seen, question.day, question.terms.tz), calls, ids)


async def _owners(question: Question, scope: Scope) -> list[str]:
    """The CSMs in scope: a team's accounts are found by its CSMs, which is what the index (tenant, csm_id) knows."""
    if scope.teams is None:
        return list(scope.csms or ())
    reader = Reader(question.conn, question.terms, question.moment)
    return [csm.csm_id for csm in (await reader.csms()).values() if scope.holds(csm.csm_id, csm.team)]


async def _counted(question: Question) -> Totals:
    due_tiers, due_csms = await due_counts(question)
    found = Totals(due_tiers=due_tiers, due_csms=due_csms)
    for row in await question.conn.fetch(_TOTALS, question.tenant, list(_DIMS)):
        _add(found, row)
    return found


def _add(found: Totals, row: Mapping[str, Any]) -> None:
    key, accounts, cover = row["key"], row["accounts"], (row["eligible"], row["covered"])
    match row["dim"]:
        case "status":
            found.statuses[key] = found.statuses.get(key, 0) + accounts
        case "tenant":
            found.acv += row["acv"]
            found.in_use += row["in_use"]
            found.contacted += row["contacted"]
        case "band":
            before = found.bands.get(key, (0, 0))
            found.bands[key] = (before[0] + accounts, before[1] + row["acv"])
        case "moved":
            was, _, now = key.partition(">")
            found.moves[was, now] = found.moves.get((was, now), 0) + accounts
        case "tier":
            found.tiers.setdefault(key, {})[row["tier"]] = cover
        case _:
            found.csms.setdefault(key or None, {})[row["tier"]] = cover


async def _past(question: Question, scope: Scope) -> Board:
    conn, terms, day = question.conn, question.terms, question.day
    found = await past(conn, terms, question.at)
    mine = {account: one for account, one in found.items() if scope.holds(one.csm_id, one.team)}
    week = await past(conn, terms, end_of_day(day - timedelta(days=7), terms.tz), sorted(mine))
    month = await past(conn, terms, end_of_day(day - timedelta(days=28), terms.tz), sorted(mine))
    full = {
        account: with_changes(one, {28: month[account].score if account in month else None})
        for account, one in mine.items()
    }
    seen = [_seen(one, week.get(account)) for account, one in full.items()]
    first = sorted((one for one in full.values() if one.needs_action and not one.churned), key=_call_key)[:CALLS]
    calls = [row_of(one, question.tenant, 0, 0, day, None, question.at) for one in first]
    ids = None if scope.everybody else frozenset(one.account_id for one in full.values())
    return Board(totals(seen, day, terms.tz), calls, ids)


def _call_key(one: Assessment) -> tuple[Any, ...]:
    return one.call_first_key


def _seen(one: Assessment, week: Assessment | None) -> Seen:
    was = None if week is None or week.churned else week.effective_band
    return Seen(
        one.status, one.churned, one.acv, one.effective_band, was, one.tier, one.csm_id, one.covered, one.due_at,
        one.in_use, one.contacted,
    )  # fmt: skip


async def unassigned(question: Question) -> int:
    """Σ count of usage by T's day whose account is not known yet."""
    return int(await question.conn.fetchval(_UNASSIGNED, question.tenant, question.day) or 0)


async def newest_fact(question: Question) -> datetime | None:
    """When the newest fact happened that the figures hold. A fact dated ahead counts live as of its receipt, past once
    it has happened."""
    if question.live:
        return await question.conn.fetchval(_NEWEST, question.tenant)
    zone = question.terms.settings.time_zone
    return await question.conn.fetchval(_NEWEST_PAST, question.tenant, question.at, question.day, zone)
