"""How a statement reads joined ids as one: placeholders filled plainly where nothing is joined, else through the joins.

`{account}` and `{person}` stand for the id that counts, of the table alias `x`; `{persons}` counts persons where a row
is one person of one account; `{joins}` follows the FROM item.
"""

import re
from typing import Final

_ACCOUNT: Final = "LEFT JOIN account_join ja ON ja.tenant = $1 AND ja.account = x.account "
_PERSON: Final = "LEFT JOIN person_join jp ON jp.tenant = $1 AND jp.person = x.person "

# A table read as if every row named the account and the person that stand for all.
_ALIKE: Final = """(SELECT y.*, coalesce(ja.canonical, y.told_account) AS account,
  coalesce(jp.canonical, y.told_person) AS person
FROM (SELECT {columns}, account AS told_account, person AS told_person FROM {table} WHERE tenant = $1) y
LEFT JOIN account_join ja ON ja.tenant = $1 AND ja.account = y.told_account
LEFT JOIN person_join jp ON jp.tenant = $1 AND jp.person = y.told_person) {alias}"""
_COLUMNS: Final = {
    "response": "tenant, id, response_id, survey_id, at, score, comment, invitation_id",
    "invitation": "tenant, invitation_id, kind, survey_id, at, id",
}


def alike(sql: str, table: str, aliases: str) -> str:
    """The statement with each `table alias` read through the joins."""
    for alias in aliases:
        told = _ALIKE.format(columns=_COLUMNS[table], table=table, alias=alias)
        sql = re.sub(rf"FROM {table} {alias}\b", f"FROM {told}", sql)
    return sql


def joined(sql: str, *, accounts: bool, persons: bool) -> str:
    """The statement with its placeholders filled."""
    joins = (_ACCOUNT if accounts and "{account}" in sql else "") + (_PERSON if persons and "{person" in sql else "")
    account = "coalesce(ja.canonical, x.account)" if accounts else "x.account"
    person = "coalesce(jp.canonical, x.person)" if persons else "x.person"
    distinct = f"count(DISTINCT {person})" if accounts or persons else "count(*)"
    filled = sql.replace("{persons}", distinct).replace("{account}", account).replace("{person}", person)
    return filled.replace("{joins}", joins)
