"""SQL of an account's contracts."""

from typing import Final

from services.scoring.asof import Question
from services.scoring.contracts.rules import Told
from services.scoring.facts.read import CONTRACT_STANDS, reporting
from services.scoring.joins.store import account_members

# Every change in force by T's day; $2: all ids of the account.
_CHANGES: Final = f"""
SELECT contract_id, id, effective_on, change, acv_after, currency, term_end, reason FROM contract x
WHERE x.tenant = $1 AND x.account = ANY($2::int[]) AND effective_on <= $3 AND {CONTRACT_STANDS}
"""


async def changes(question: Question, account: int) -> list[Told]:
    """The contract facts of an account that took effect by T's day and stand."""
    members = sorted(await account_members(question.conn, question.tenant, [account]))
    settings = question.terms.settings
    return [
        Told(
            row["contract_id"], row["id"], row["effective_on"], row["change"],
            reporting(row["acv_after"], row["currency"], settings), row["acv_after"], row["currency"],
            row["term_end"], row["reason"],
        )
        for row in await question.conn.fetch(_CHANGES, question.tenant, members, question.day)
    ]  # fmt: skip
