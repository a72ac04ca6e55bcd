"""The joins of one tenant: made anew around what changed, by the tenant's own job. Rows of the fold keep their ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.scoring.facts import tables
from services.scoring.facts.homes import PERSONS_LOCK, move_home
from services.scoring.facts.store import merge
from services.scoring.gather import EVER, SHARDS
from services.scoring.joins.rules import canonical, components
from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class Kind:
    """What is joined: the edges around some ids, where the joins stand, and how ids are spelt."""

    edges: str
    table: str
    key: str
    names: str


# The merge in force of an account is the one with the greatest (at, id) by now; null undoes it, at every T.
ACCOUNTS: Final = Kind(
    """WITH near AS (SELECT account FROM account_merge WHERE tenant = $1 AND (account = ANY($2) OR target = ANY($2))),
       now AS (SELECT DISTINCT ON (m.account) m.account, m.target FROM account_merge m JOIN near USING (account)
               WHERE m.tenant = $1 AND m.at <= $3 ORDER BY m.account, m.at DESC, m.id DESC)
       SELECT account AS one, target AS other FROM now WHERE target IS NOT NULL""",
    "account_join",
    "account",
    "SELECT account AS key, account_id AS id FROM scoring.account_key WHERE tenant = $1 AND account = ANY($2)",
)
PERSONS: Final = Kind(
    """SELECT person AS one, previous AS other FROM alias
       WHERE tenant = $1 AND (person = ANY($2) OR previous = ANY($2)) AND $3::timestamptz IS NOT NULL""",
    "person_join",
    "person",
    "SELECT person AS key, person_id AS id FROM scoring.person_key WHERE tenant = $1 AND person = ANY($2)",
)


async def rejoin(conn: Connection, kind: Kind, tenant: int, changed: Iterable[int], now: datetime) -> set[int]:
    """Makes the components around the changed ids anew; everyone who is or was in one of them."""
    known = await _together(conn, kind, tenant, set(changed))
    edges = await _edges(conn, kind, tenant, known, now)
    members = known | {key for edge in edges for key in edge}
    names = {row["key"]: row["id"] for row in await conn.fetch(kind.names, tenant, sorted(members))}
    rows = [(tenant, member, canonical(component, names)) for component in components(edges) for member in component]
    table, key = kind.table, kind.key
    await conn.execute(f"DELETE FROM {table} WHERE tenant = $1 AND {key} = ANY($2)", tenant, sorted(members))
    await conn.executemany(f"INSERT INTO {table} (tenant, {key}, canonical) VALUES ($1, $2, $3)", sorted(rows))
    return members


async def _together(conn: Connection, kind: Kind, tenant: int, changed: set[int]) -> set[int]:
    """Those, and whoever was joined with them until now."""
    sql = f"""SELECT o.{kind.key} FROM {kind.table} m JOIN {kind.table} o USING (tenant, canonical)
              WHERE m.tenant = $1 AND m.{kind.key} = ANY($2)"""
    return changed | {row[0] for row in await conn.fetch(sql, tenant, sorted(changed))}


async def _edges(conn: Connection, kind: Kind, tenant: int, start: set[int], now: datetime) -> set[tuple[int, int]]:
    """Every edge of the components that these ids lie in, found outwards."""
    found: set[tuple[int, int]] = set()
    seen: set[int] = set()
    frontier = set(start)
    while frontier:
        seen |= frontier
        rows = await conn.fetch(kind.edges, tenant, sorted(frontier), now)
        found |= {(row["one"], row["other"]) for row in rows}
        frontier = {key for edge in found for key in edge} - seen
    return found


async def join_accounts(
    conn: Connection, tenant: int, changed: Iterable[int], now: datetime, received: datetime
) -> None:
    """After merges were told or undone: joins made anew, every account concerned judged again."""
    members = await rejoin(conn, ACCOUNTS, tenant, changed, now)
    await merge(conn, tables.DIRTY, ((member % SHARDS, tenant, member, received, EVER) for member in members))


async def join_persons(
    conn: Connection, tenant: int, changed: Iterable[int], now: datetime, received: datetime
) -> None:
    """After aliases or memberships of joined persons: joins made anew, inferred usage brought home, accounts judged."""
    await conn.execute("SELECT pg_advisory_xact_lock($1 # hashtext(current_schema()), $2)", PERSONS_LOCK, tenant)
    members = await rejoin(conn, PERSONS, tenant, changed, now)
    moved = await move_home(conn, tenant, await groups(conn, tenant, members))
    sql = "SELECT DISTINCT account FROM account_user WHERE tenant = $1 AND person = ANY($2)"
    accounts = moved | {row[0] for row in await conn.fetch(sql, tenant, sorted(members))}
    await merge(conn, tables.DIRTY, ((account % SHARDS, tenant, account, received, EVER) for account in accounts))


async def groups(conn: Connection, tenant: int, persons: Iterable[int]) -> dict[int, list[int]]:
    """For each person all ids that are the same person, itself included."""
    asked = sorted(set(persons))
    sql = """SELECT m.person, o.person AS other FROM person_join m JOIN person_join o USING (tenant, canonical)
             WHERE m.tenant = $1 AND m.person = ANY($2)"""
    found: dict[int, list[int]] = {person: [] for person in asked}
    for row in await conn.fetch(sql, tenant, asked):
        found[row["person"]].append(row["other"])
    return {person: others or [person] for person, others in found.items()}


async def account_members(conn: Connection, tenant: int, accounts: Sequence[int]) -> dict[int, int]:
    """Every member of the components that these accounts lie in, with the account that stands for it; and the accounts
    that are joined with none, standing for themselves."""
    sql = """SELECT o.account, o.canonical FROM account_join m JOIN account_join o USING (tenant, canonical)
             WHERE m.tenant = $1 AND m.account = ANY($2)"""
    found = {row["account"]: row["canonical"] for row in await conn.fetch(sql, tenant, list(accounts))}
    return {account: account for account in accounts} | found
