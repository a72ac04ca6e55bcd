"""Whether an account exists at T: what every route under one account asks first."""

from services.scoring.accounts.store import key_of, one
from services.scoring.asof import Question
from services.scoring.facts.read import Reader
from shared.errors import NotFound


async def known_account(question: Question, account_id: str) -> int:
    """The integer key of an account that a fact has named by T. Raises NotFound."""
    if question.live:
        found = await one(question, account_id)
        account = None if found is None else found["account"]
    else:
        account = await key_of(question, account_id)
        reader = Reader(question.conn, question.terms, question.moment)
        if account is not None and account not in await reader.accounts([account]):
            account = None
    if account is None:
        raise NotFound
    return account
