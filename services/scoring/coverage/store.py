"""SQL of coverage: live counts by group and tier, and who falls out soon."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from services.scoring.asof import Question, past
from services.scoring.coverage.rules import SOON_DAYS, WHOLE, Key, tally
from services.scoring.facts.read import Reader
from shared.clock import start_of_day

Counts = dict[Key, dict[str, tuple[int, int]]]  # group → tier → (eligible, covered)
COLUMN: Final[Mapping[str, str]] = {"tier": "tier", "csm": "csm_id", "team": "team", "rank": "rank"}
# How many of each group and tier are eligible and covered now; groups without accounts are of yesterday.
_COUNTS: Final = """
SELECT key, tier, sum(eligible)::int AS eligible, sum(covered)::int AS covered FROM counter
WHERE tenant = $1 AND dim = $2 GROUP BY key, tier HAVING sum(accounts) > 0
"""
_CONTACTED: Final = """
SELECT coalesce(sum(in_use), 0)::int, coalesce(sum(contacted), 0)::int FROM counter
WHERE tenant = $1 AND dim = 'tenant'
"""
# Covered accounts that fall out before an instant, by tier and CSM: all that it needs is in the index of due accounts.
_DUE: Final = """
SELECT tier, csm_id, count(*) AS accounts FROM account_state WHERE tenant = $1 AND covered AND due_at < $2
GROUP BY tier, csm_id
"""


async def counts(question: Question, by: str) -> Counts:
    """(eligible, covered) by group and tier: live from the totals, past from the accounts as they stood."""
    return await _live(question, by) if question.live else await _past(question, by)


async def _live(question: Question, by: str) -> Counts:
    found: Counts = {}
    for row in await question.conn.fetch(_COUNTS, question.tenant, by):
        key = WHOLE if by == "tenant" else row["key"] or None
        found.setdefault(key, {})[row["tier"]] = (row["eligible"], row["covered"])
    return found


async def _past(question: Question, by: str) -> Counts:
    found = await past(question.conn, question.terms, question.at)
    kept = [one for one in found.values() if not one.churned and one.tier is not None]
    if by == "tenant":
        return tally((WHOLE, one.tier or "", one.covered) for one in kept)
    return tally((getattr(one, COLUMN[by]), one.tier or "", one.covered) for one in kept)


async def contacted(question: Question) -> tuple[int, int]:
    """(in use, contacted ones of these): live from the totals, past from the accounts as they stood."""
    if question.live:
        in_use, spoken_to = await question.conn.fetchrow(_CONTACTED, question.tenant) or (0, 0)
        return in_use, spoken_to
    found = await past(question.conn, question.terms, question.at)
    used = [one for one in found.values() if one.in_use]
    return len(used), sum(one.contacted for one in used)


async def due_counts(question: Question) -> tuple[dict[Key, int], dict[Key, int]]:
    """Live: covered accounts of each tier, and of each CSM, that fall out within 14 days."""
    end = start_of_day(question.day + timedelta(days=SOON_DAYS + 1), question.terms.tz)
    tiers, csms = Counter[Key](), Counter[Key]()
    for tier, csm_id, accounts in await question.conn.fetch(_DUE, question.tenant, end):
        tiers[tier] += accounts
        csms[csm_id] += accounts
    return tiers, csms


async def csm_names(question: Question) -> dict[str, str | None]:
    """The names of the CSMs at T."""
    reader = Reader(question.conn, question.terms, question.moment)
    return {csm.csm_id: csm.name for csm in (await reader.csms()).values()}
