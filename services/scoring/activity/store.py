"""SQL of activity: contacts of a period by who made them, week and channel; inbound ones with their first answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.scoring.activity.rules import (
    REACHED,
    SPOKEN,
    TRIED,
    WRITTEN,
    Group,
    Groups,
    Inbound,
    Tally,
    by_week,
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
# What came from customers in a period, each with its first answer by T ($4). A note or a plan asks for nothing.
_CAME: Final = f"""
WITH {_TEAM}
SELECT {{by}} AS key, k.account_id, x.id, x.at, x.channel, x.outcome, x.csm_id,
  CASE WHEN NOT (x.channel = ANY($9::text[]) AND x.outcome = ANY($8::text[])) THEN ({_FIRST}) END AS answered_at
FROM contact x {{joins}} JOIN scoring.account_key k ON k.tenant = $1 AND k.account = {{account}}
WHERE x.tenant = $1 AND x.at >= $2 AND x.at <= $3 AND x.direction = 'inbound'
  AND x.outcome NOT IN ('planned', 'note', 'cancelled') AND {CONTACT_STANDS}
ORDER BY x.at, x.id
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
    teams = [list(csms), [csm.team for csm in csms.values()]]
    asked = [question.tenant, period.start, period.end, question.at, *teams]
    done = [*asked, list(TRIED), list(REACHED), question.terms.settings.time_zone]
    for row in await _fetch(question, _DONE, by, done):
        _put(weeks, row)
    came = await _fetch(question, _CAME, by, [*asked, list(WRITTEN), list(REACHED), list(SPOKEN)])
    by_week([_inbound(row) for row in came], weeks, question.terms.tz)
    return weeks, csms


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


def _inbound(row: Mapping[str, Any]) -> Inbound:
    return Inbound(
        row["account_id"], row["id"], row["at"], row["channel"], row["outcome"], row["csm_id"], row["key"],
        row["answered_at"],
    )  # fmt: skip
