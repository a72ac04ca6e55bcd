"""SQL of activity: contacts of a period by who made them, week and channel; inbound ones with their first answer."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final

from services.scoring.activity.rules import (
    REACHED,
    SPOKEN,
    TRIED,
    WRITTEN,
    Answering,
    Group,
    Groups,
    Inbound,
    Tally,
    mondays,
)
from services.scoring.asof import Question
from services.scoring.coverage.rules import WHOLE
from services.scoring.facts.read import CONTACT_STANDS, Csm, Reader
from services.scoring.joins.sql import joined
from shared.clock import end_of_day, start_of_day

# {by}: whom a contact is counted under; $5, $6: the CSMs and their teams.
_BY: Final[Mapping[str, str]] = {
    "tenant": f"'{WHOLE}'", "csm": "x.csm_id", "team": "(SELECT t.team FROM team t WHERE t.csm_id = x.csm_id)",
}  # fmt: skip
_TEAM: Final = "team AS (SELECT * FROM unnest($5::text[], $6::text[]) AS t(csm_id, team))"
_OUTBOUND: Final = "coalesce({row}.direction, 'outbound') <> 'inbound'"
# Attempts of a period, each week and the whole, all channels and each. Reads the index (tenant, at).
_DONE: Final = f"""
WITH {_TEAM}, c AS (
  SELECT {{by}} AS key, date_trunc('week', x.at AT TIME ZONE $9)::date AS week, x.channel, {{account}} AS account,
    x.outcome = ANY($8::text[]) AS reached
  FROM contact x {{joins}} WHERE x.tenant = $1 AND x.at >= $2 AND x.at <= $3 AND x.at <= $4
    AND x.outcome = ANY($7::text[]) AND {_OUTBOUND.format(row="x")} AND {CONTACT_STANDS})
SELECT key, week, channel, grouping(week) = 1 AS whole, grouping(channel) = 1 AS every, count(*)::int AS attempts,
  count(*) FILTER (WHERE reached)::int AS reached, count(DISTINCT account)::int AS accounts,
  count(DISTINCT account) FILTER (WHERE reached)::int AS accounts_reached
FROM c GROUP BY key, GROUPING SETS ((), (week), (channel), (week, channel))
"""
# All ids of the account that `x` names.
_SAME: Final = """(o.account = x.account OR o.account IN (
  SELECT s.account FROM account_join a JOIN account_join s USING (tenant, canonical)
  WHERE a.tenant = $1 AND a.account = x.account))"""
_FIRST: Final = f"""
SELECT min(o.at) FROM contact o WHERE o.tenant = $1 AND {{same}} AND o.at >= x.at AND o.at <= $4
  AND {_OUTBOUND.format(row="o")} AND (o.outcome = ANY($8) OR (o.outcome = 'no_answer' AND o.channel = ANY($7::text[])))
  AND {CONTACT_STANDS.replace("x.", "o.")}
"""
# What came from customers in a period, each with its first answer by T ($4). A note or a plan asks for nothing, a
# conversation that took place ($8 by $9) neither. `due_on`: the day that begins when one working day is over.
_CAME: Final = f"""
WITH {_TEAM}, c AS MATERIALIZED (
  SELECT {{by}} AS key, x.account, {{account}} AS stands_for, x.id, x.at, x.channel, x.csm_id, w.waits,
    l.day - extract(isodow FROM l.day)::int + 1 AS week,
    l.day + CASE extract(isodow FROM l.day)::int WHEN 5 THEN 4 WHEN 6 THEN 3 ELSE 2 END AS due_on,
    CASE WHEN w.waits THEN ({_FIRST}) END AS answered_at
  FROM contact x {{joins}}
  CROSS JOIN LATERAL (SELECT (x.at AT TIME ZONE $10)::date AS day) l
  CROSS JOIN LATERAL (SELECT NOT (x.channel = ANY($9::text[]) AND x.outcome = ANY($8::text[])) AS waits) w
  WHERE x.tenant = $1 AND x.at >= $2 AND x.at <= $3 AND x.direction = 'inbound'
    AND x.outcome NOT IN ('planned', 'note', 'cancelled') AND {CONTACT_STANDS})
"""
_LATE: Final = "waits AND answered_at IS NULL AND due_on <= $11::date"
# Each week and the whole, by group.
_ANSWERED: Final = f"""{_CAME}
SELECT key, week, grouping(week) = 1 AS whole, count(*)::int AS came,
  count(*) FILTER (WHERE waits)::int AS waiting, count(answered_at)::int AS answered,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM answered_at - at)::float8) AS median_s,
  count(*) FILTER (WHERE waits AND answered_at IS NULL)::int AS open, count(*) FILTER (WHERE {_LATE})::int AS overdue
FROM c GROUP BY key, GROUPING SETS ((), (week))
"""
# The oldest that wait for more than one working day; only they are read one by one.
_OPEN: Final = f"""{_CAME}
SELECT k.account_id, c.id, c.at, c.channel, c.csm_id FROM c
JOIN scoring.account_key k ON k.tenant = $1 AND k.account = c.stands_for
WHERE {_LATE} ORDER BY c.at, c.id, c.account LIMIT $12
"""


@dataclass(frozen=True, slots=True)
class Period:
    """Days `first`…`last`, as instants up to T."""

    first: date
    last: date
    start: datetime
    end: datetime


Weeks = dict[date | None, Groups]  # Monday (None: the whole period) → groups


def period_of(question: Question, first: date, last: date) -> Period:
    """The period as T sees it."""
    tz = question.terms.tz
    return Period(first, last, start_of_day(first, tz), min(end_of_day(last, tz), question.at))


async def activity(question: Question, period: Period, by: str) -> tuple[Weeks, Mapping[str, Csm]]:
    """Every week that the period touches and the whole of it, by group; and the CSMs at T."""
    csms = await Reader(question.conn, question.terms, question.moment).csms()
    weeks: Weeks = {week: {} for week in (None, *mondays(period.first, period.last))}
    asked = _asked(question, period, csms)
    for row in await _fetch(question, _DONE, by, [*asked, list(TRIED), list(REACHED), _zone(question)]):
        _put(weeks, row)
    for row in await _fetch(question, _ANSWERED, by, _inbound(question, asked)):
        group = weeks[None if row["whole"] else row["week"]].setdefault(row["key"], Group())
        group.inbound = Answering(*(row[field.name] for field in fields(Answering)))
    return weeks, csms


async def waiting(question: Question, period: Period, most: int) -> list[Inbound]:
    """The oldest inbound contacts of the period that are open for more than one working day, at most so many."""
    rows = await _fetch(question, _OPEN, "tenant", [*_inbound(question, _asked(question, period, {})), most])
    return [Inbound(*row) for row in rows]


def _asked(question: Question, period: Period, csms: Mapping[str, Csm]) -> list[Any]:
    teams = [list(csms), [csm.team for csm in csms.values()]]
    return [question.tenant, period.start, period.end, question.at, *teams]


def _inbound(question: Question, asked: list[Any]) -> list[Any]:
    return [*asked, list(WRITTEN), list(REACHED), list(SPOKEN), _zone(question), question.day]


def _zone(question: Question) -> str:
    return question.terms.settings.time_zone


async def _fetch(question: Question, sql: str, by: str, asked: list[Any]) -> list[Any]:
    together = question.terms.joined.accounts
    told = sql.replace("{by}", _BY[by]).replace("{same}", _SAME if together else "o.account = x.account")
    return await question.conn.fetch(joined(told, accounts=together, persons=False), *asked)


def _put(weeks: Weeks, row: Mapping[str, Any]) -> None:
    groups = weeks[None if row["whole"] else row["week"]]
    group = groups.setdefault(row["key"], Group())
    tally = Tally(row["attempts"], row["reached"], row["accounts"], row["accounts_reached"])
    if row["every"]:
        group.whole = tally
    else:
        group.channels[row["channel"]] = tally
