"""SQL of the health answers beyond the score itself."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from services.scoring.asof import Question
from services.scoring.health.gap import WINDOW_DAYS
from services.scoring.joins.sql import joined
from services.scoring.joins.store import account_members
from shared.tenant_settings import ValueFeature

# Distinct persons by value feature, of an account's usage in (D - 28, D]; a feature is any of its events.
_USERS: Final = """
SELECT f.name, count(DISTINCT {person}) AS users FROM usage x {joins}
JOIN scoring.feature_key k ON k.tenant = $1 AND k.feature = x.feature
JOIN unnest($5::text[], $6::text[]) AS f(name, event) ON f.event = k.event
WHERE x.tenant = $1 AND x.account = ANY($2) AND day > $3 AND day <= $4 GROUP BY f.name
"""


async def feature_users(question: Question, account: int, features: Sequence[ValueFeature]) -> Mapping[str, int]:
    """How many persons used each of the features in the 28 days that end with T's day; 0 is left out."""
    pairs = [(one.feature, event) for one in features for event in one.events]
    if not pairs:
        return {}
    members = sorted(await account_members(question.conn, question.tenant, [account]))
    sql = joined(_USERS, accounts=False, persons=question.terms.joined.persons)
    since = question.day - timedelta(days=WINDOW_DAYS)
    names, events = [name for name, _ in pairs], [event for _, event in pairs]
    rows = await question.conn.fetch(sql, question.tenant, members, since, question.day, names, events)
    return {row["name"]: row["users"] for row in rows}
