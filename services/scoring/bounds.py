"""How much one question may read: what would be a scan of a large tenant is refused and says what to ask instead."""

from typing import Any, Final

from services.scoring.asof import Question
from shared.errors import Invalid

MOST_CONTACTS: Final = 100_000
MOST_LISTED: Final = 20_000


class TooManyContacts(Invalid):
    """A figure is made of at most 100,000 contacts. Choose a shorter period."""

    code = "too_many_contacts"


class TooManyKept(Invalid):
    """A keep list has at most 20,000 accounts. Choose the CSMs (`csm`)."""

    code = "too_many_accounts"


# In the order of an index: what is counted is never more than the bound.
_IN_PERIOD: Final = "SELECT 1 FROM contact WHERE tenant = $1 AND at >= $2 AND at <= $3 ORDER BY at"
_PLANNED: Final = "SELECT 1 FROM contact WHERE tenant = $1 AND outcome = 'planned' ORDER BY at"
_KEPT: Final = """
SELECT coalesce(sum(eligible), 0)::bigint FROM counter WHERE tenant = $1 AND dim = 'priority' AND key = 'High'
"""
_OWNED: Final = """
SELECT 1 FROM account_state WHERE tenant = $1 AND csm_id = ANY($2::text[]) AND NOT churned AND priority_order = 0
ORDER BY csm_id
"""


async def few_contacts(question: Question, *period: Any) -> None:
    """Raises TooManyContacts where a period (first and last instant), or without one the plans, hold more."""
    sql = _IN_PERIOD if period else _PLANNED
    if await _counted(question, sql, MOST_CONTACTS, *period) > MOST_CONTACTS:
        raise TooManyContacts


async def few_kept(question: Question, csms: Any) -> None:
    """Raises TooManyKept where these CSMs (None: all) have more accounts of priority High."""
    if int(await question.conn.fetchval(_KEPT, question.tenant) or 0) <= MOST_LISTED:
        return
    if csms is None or await _counted(question, _OWNED, MOST_LISTED, list(csms)) > MOST_LISTED:
        raise TooManyKept


async def _counted(question: Question, sql: str, most: int, *args: Any) -> int:
    counted = f"SELECT count(*) FROM ({sql} LIMIT {most + 1}) AS found"
    return int(await question.conn.fetchval(counted, question.tenant, *args) or 0)
