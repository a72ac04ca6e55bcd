"""SQL of the worklist: who is uncovered or falls out soon, page by page, and how often they were tried in vain."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.scoring.account import Planned, Touch
from services.scoring.asof import Question, past
from services.scoring.assessment import Assessment
from services.scoring.facts.read import CONTACT_STANDS
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members
from services.scoring.state import acv_order
from shared.clock import start_of_day
from shared.http.answers import EXACT

Place = tuple[datetime, int, str]  # due_at, acv_order, account_id: where an item stands
FIRST: Final[Place] = (datetime.min.replace(tzinfo=UTC), -(2**63), "")
# All that are uncovered, by the totals, and who falls out as far as 10,001 are not full; these in the index's order,
# else a plan might read the table from its beginning.
_COUNT: Final = f"""
SELECT u.accounts + (SELECT count(*) FROM (
  SELECT 1 FROM account_state WHERE tenant = $1 AND covered AND due_at < $2
  ORDER BY due_at LIMIT greatest(0, {EXACT + 1} - u.accounts)) AS found)
FROM (SELECT coalesce(sum(eligible - covered), 0)::bigint AS accounts FROM counter
      WHERE tenant = $1 AND dim = 'tenant' AND key = '') AS u
""".strip()
# Reads the index (tenant, due_at, acv_order, account_id), which holds eligible accounts only: due_at is the first
# instant of a day, so its order is the day's.
_PAGE: Final = f"""
SELECT account, account_id, name, tier, csm_id, acv, covered, due_at, acv_order, last_contact_at, last_contact_channel,
  last_contact_csm, planned_at, planned_channel, ({_COUNT}) AS total,
  EXISTS (SELECT 1 FROM account_join WHERE tenant = $1) AS joined
FROM account_state WHERE tenant = $1 AND due_at IS NOT NULL AND due_at < $2
  AND (due_at, acv_order, account_id) > ($3, $4, $5) ORDER BY due_at, acv_order, account_id LIMIT $6
"""
# Contacts by T that reached nobody, after the last that counted ($3, $4: which is whose; null = never any).
_ATTEMPTS: Final = f"""
SELECT {{account}} AS account, count(*)::int AS attempts FROM contact x {{joins}}
JOIN unnest($3::int[], $4::timestamptz[]) AS w(wanted, since) ON w.wanted = {{account}}
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND x.at <= $5 AND (w.since IS NULL OR x.at > w.since)
  AND x.outcome IN ('no_answer', 'bounced', 'cancelled') AND {CONTACT_STANDS} GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Item:
    """One account to talk to."""

    account: int
    account_id: str
    name: str | None
    tier: str
    csm_id: str | None
    acv: int | None
    covered: bool
    due_at: datetime
    last: Touch | None
    planned: Planned | None
    attempts: int = 0

    @property
    def place(self) -> Place:
        """Where it stands: by due day, ACV high first (null last), id."""
        return self.due_at, acv_order(self.acv), self.account_id


@dataclass(frozen=True, slots=True)
class Page:
    """Items, how many there are in all (above 10,000: at least so many), whether more follow, and whether any accounts
    of the tenant are one."""

    items: list[Item]
    total: int
    more: bool
    joined: bool


async def page(question: Question, within: int, after: Place, size: int) -> Page:
    """The next items of those uncovered at T or out within so many days. Raises TooManyAccounts."""
    end = start_of_day(question.day + timedelta(days=within + 1), question.terms.tz)
    read = _live if question.live else _past
    return await read(question, end, after, size)


async def _live(question: Question, end: datetime, after: Place, size: int) -> Page:
    rows = await question.conn.fetch(_PAGE, question.tenant, end, *after, size + 1)
    if not rows:
        return Page([], int(await question.conn.fetchval(_COUNT, question.tenant, end) or 0), False, False)
    items = [as_item(row) for row in rows[:size]]
    return Page(items, rows[0]["total"], len(rows) > size, rows[0]["joined"])


def as_item(row: Mapping[str, Any]) -> Item:
    """One account to talk to, of a row of account_state."""
    last, ahead = row["last_contact_at"], row["planned_at"]
    return Item(
        row["account"], row["account_id"], row["name"], row["tier"], row["csm_id"], row["acv"], row["covered"],
        row["due_at"].astimezone(UTC),
        last and Touch(last.astimezone(UTC), "", row["last_contact_channel"], "", row["last_contact_csm"]),
        ahead and Planned(ahead.astimezone(UTC), row["planned_channel"]),
    )  # fmt: skip


async def _past(question: Question, end: datetime, after: Place, size: int) -> Page:
    found = await past(question.conn, question.terms, question.at)
    listed = sorted(_due(found, end), key=lambda item: item.place)
    rest = [item for item in listed if item.place > after]
    return Page(rest[:size], len(listed), len(rest) > size, question.terms.joined.accounts)


def _due(found: Mapping[int, Assessment], end: datetime) -> Iterable[Item]:
    for account, one in found.items():
        if one.covered is not None and one.due_at is not None and one.due_at < end:
            yield Item(
                account, one.account_id, one.name, one.tier or "", one.csm_id, one.acv, one.covered, one.due_at,
                one.last_contact, one.planned,
            )  # fmt: skip


async def attempts(question: Question, items: Iterable[Item], *, together: bool) -> dict[int, int]:
    """How often each of them was tried in vain since it was last reached. `together`: some accounts are one."""
    asked = list(items)
    accounts = [item.account for item in asked]
    members = sorted(await account_members(question.conn, question.tenant, accounts)) if together else accounts
    since = [item.last.at if item.last else None for item in asked]
    sql = joined(_ATTEMPTS, accounts=together, persons=False)
    rows = await question.conn.fetch(sql, question.tenant, members, accounts, since, question.at)
    return {row["account"]: row["attempts"] for row in rows}
