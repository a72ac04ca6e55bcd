"""SQL of the account list and of one account."""

from collections.abc import Mapping
from typing import Any, Final

from services.scoring.asof import Question

_KEY: Final = """
SELECT coalesce(j.canonical, k.account) FROM scoring.account_key k LEFT JOIN account_join j USING (tenant, account)
WHERE k.tenant = $1 AND k.account_id = $2
"""
_ID: Final = "SELECT account_id FROM scoring.account_key WHERE tenant = $1 AND account = $2"
_ONE: Final = "SELECT * FROM account_state WHERE tenant = $1 AND account_id = $2"
_HEALTH: Final = """
SELECT account_id, score, band, effective_band, confidence, health, computed_at FROM account_state
WHERE tenant = $1 AND account_id = $2
"""
_ANY_JOINED: Final = "SELECT EXISTS (SELECT 1 FROM account_join WHERE tenant = $1)"
# The account that stands for a joined id.
_JOINED: Final = """
SELECT s.* FROM scoring.account_key k JOIN account_join j USING (tenant, account)
JOIN account_state s ON s.tenant = j.tenant AND s.account = j.canonical WHERE k.tenant = $1 AND k.account_id = $2
"""
LIST_COLUMNS: Final = (
    "account_id, name, status, tier, rank, tenure, acv, score, band, effective_band, change_1d, change_7d, change_28d,"
    " active_users_28d, last_contact_at, covered, priority, csm_id, csm_name, team, renewal_on, needs_action,"
    " priority_order, band_order, acv_order"
)
# One more column of a list of all: how many there are.
MATCHES: Final = (
    ", (SELECT coalesce(sum(accounts), 0)::bigint FROM counter WHERE tenant = $1 AND dim = 'tenant' AND key = '')"
    " AS matches"
)
_LIVE: Final = "SELECT coalesce(sum(accounts), 0) FROM counter WHERE tenant = $1 AND dim = 'tenant' AND key = ''"
# Before every account in the order of the index (tenant, priority_order, band_order, acv_order, account_id).
FIRST: Final = (-1, -1, -(2**63), "")


async def key_of(question: Question, account_id: str) -> int | None:
    """The integer key of an id that any fact has named, of a joined one its stand-in's; or None."""
    return await question.conn.fetchval(_KEY, question.tenant, account_id)


async def id_of(question: Question, account: int) -> str:
    """The id of an account that exists."""
    return str(await question.conn.fetchval(_ID, question.tenant, account))


async def one(question: Question, account_id: str) -> Mapping[str, Any] | None:
    """How the account stands now."""
    found = await question.conn.fetchrow(_ONE, question.tenant, account_id)
    if found is None and question.terms.joined.accounts:
        return await question.conn.fetchrow(_JOINED, question.tenant, account_id)
    return found


async def health_of(question: Question, account_id: str) -> Mapping[str, Any] | None:
    """What the account's health is answered from."""
    found = await question.conn.fetchrow(_HEALTH, question.tenant, account_id)
    if found is None and await question.conn.fetchval(_ANY_JOINED, question.tenant):
        return await question.conn.fetchrow(_JOINED, question.tenant, account_id)
    return found


async def live_total(question: Question) -> int:
    """Accounts that are not churned."""
    return int(await question.conn.fetchval(_LIVE, question.tenant) or 0)
