"""The whole derived state of one tenant in terms of the ids that clients know: what two tenants can be compared by."""

from typing import Any

import asyncpg

_TABLES = {
    "usage": """SELECT a.account_id, p.person_id, f.event, u.day, u.implied, u.events, u.last_at
        FROM scoring_state.usage u LEFT JOIN scoring.account_key a USING (tenant, account)
        JOIN scoring.person_key p USING (tenant, person)
        JOIN scoring.feature_key f USING (tenant, feature) WHERE tenant = $1""",
    "account_user": """SELECT a.account_id, p.person_id, first_day, last_day FROM scoring_state.account_user
        JOIN scoring.account_key a USING (tenant, account) JOIN scoring.person_key p USING (tenant, person)
        WHERE tenant = $1""",
    "membership": """SELECT p.person_id, day, first_at, first_id, f.account_id AS first, last_at, last_id,
        l.account_id AS last FROM scoring_state.membership m JOIN scoring.person_key p USING (tenant, person)
        JOIN scoring.account_key f ON f.account = m.first_account
        JOIN scoring.account_key l ON l.account = m.last_account
        WHERE m.tenant = $1""",
    "account_attribute": """SELECT a.account_id, field, at, id, value FROM scoring_state.account_attribute
        JOIN scoring.account_key a USING (tenant, account) WHERE tenant = $1""",
    "person_attribute": """SELECT a.account_id, p.person_id, field, at, id, value FROM scoring_state.person_attribute
        LEFT JOIN scoring.account_key a USING (tenant, account) JOIN scoring.person_key p USING (tenant, person)
        WHERE tenant = $1""",
    "csm_attribute": "SELECT csm_id, field, at, id, value FROM scoring_state.csm_attribute WHERE tenant = $1",
    "contact": """SELECT a.account_id, at, id, sent_id, channel, outcome, csm_id, person_ids, replaces, recorded_at
        FROM scoring_state.contact JOIN scoring.account_key a USING (tenant, account) WHERE tenant = $1""",
    "contract": """SELECT a.account_id, id, contract_id, effective_on, change, acv_after, currency, term_end
        FROM scoring_state.contract JOIN scoring.account_key a USING (tenant, account) WHERE tenant = $1""",
    "response": """SELECT id, response_id, survey_id, a.account_id, p.person_id, at, score, comment
        FROM scoring_state.response LEFT JOIN scoring.account_key a USING (tenant, account)
        LEFT JOIN scoring.person_key p USING (tenant, person) WHERE tenant = $1""",
    "account_state": "SELECT * FROM scoring_state.account_state WHERE tenant = $1",
    "standing": """SELECT a.account_id, ago, day, value, tier, score, band FROM scoring_state.standing
        JOIN scoring.account_key a USING (tenant, account) WHERE tenant = $1""",
    "amounts": "SELECT ago, day, high, low FROM scoring_state.amounts WHERE tenant = $1",
    "first_facts": "SELECT usage_day, contact_at FROM scoring_state.first_facts WHERE tenant = $1",
    "counter": """SELECT dim, key, tier, sum(accounts), sum(acv), sum(eligible), sum(covered), sum(in_use),
        sum(contacted), sum(scored), sum(score) FROM scoring_state.counter WHERE tenant = $1
        GROUP BY dim, key, tier HAVING sum(accounts) <> 0 OR sum(score) <> 0 OR sum(acv) <> 0""",
    "seen": "SELECT count(*) FROM scoring_state.fact_seen WHERE tenant = $1",
}
_OWN = ("tenant", "account", "shard", "computed_at")  # differ between tenants and runs, and mean nothing to a client


async def dump(owner: asyncpg.Connection, tenant: int) -> dict[str, list[tuple[Any, ...]]]:
    """Every table's rows, sorted."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table, sql in _TABLES.items():
        rows = await owner.fetch(sql, tenant)
        plain = [tuple(value for name, value in row.items() if name not in _OWN) for row in rows]
        found[table] = sorted(plain, key=repr)
    return found


async def recount(owner: asyncpg.Connection, tenant: int) -> dict[tuple[str, str, str], tuple[int, ...]]:
    """The live totals counted again from the accounts themselves, by (dim, key, tier)."""
    from services.scoring.state import counts, places

    totals: dict[tuple[str, str, str], list[int]] = {}
    for row in await owner.fetch("SELECT * FROM scoring_state.account_state WHERE tenant = $1", tenant):
        for place in places(row):
            sums = totals.setdefault(place, [0] * len(counts(row)))
            for index, value in enumerate(counts(row)):
                sums[index] += value
    return {place: tuple(sums) for place, sums in totals.items()}
