"""Whether an account exists at T: what every route under one account asks first."""

from typing import Final

from services.scoring.accounts.store import key_of
from services.scoring.asof import Question
from services.scoring.facts.read import Reader
from shared.errors import NotFound

_LIVE: Final = "SELECT account FROM account_state WHERE tenant = $1 AND account_id = $2"


async def known_account(question: Question, account_id: str) -> int:
    """The integer key of an account that a fact has named by T. Raises NotFound."""
    if question.live:
        account = await question.conn.fetchval(_LIVE, question.tenant, account_id)
    else:
        account = await key_of(question, account_id)
        reader = Reader(question.conn, question.tenant, question.moment, question.terms.settings)
        if account is not None and account not in await reader.accounts([account]):
            account = None
    if account is None:
        raise NotFound
    return account
