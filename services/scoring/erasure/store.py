"""SQL of an erasure: who a person is, and every place of the state and of what people wrote that may name them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from services.scoring.erasure.rules import Erased, person_hash, wordless
from services.scoring.gather import EVER, SHARDS
from shared.postgres import Connection, connection

# Advisory: a rebuild holds it alone, an erasure shares it, for it rewrites what a rebuild reads.
REBUILD_LOCK: Final = 7_300_030
_SHARE: Final = "SELECT pg_try_advisory_xact_lock_shared($1)"
# No batch begins until the commit: what is under way has ended, what comes reads the list.
_HOLD: Final = "SELECT 1 FROM bus.position WHERE consumer = $1 ORDER BY bus, topic, part FOR UPDATE"
_LIST: Final = "SELECT tenant, hash, alias, seq FROM scoring.erasure"
_VERSION: Final = "SELECT coalesce(max(seq), 0) FROM scoring.erasure"
_KNOWN: Final = "SELECT alias, done_at FROM scoring.erasure WHERE tenant = $1 AND (hash = $2 OR alias = $3)"
# The person and whoever an alias says is the same.
_DROP: Final = """
DELETE FROM scoring.person_key k USING unnest($1::int[], $2::text[]) AS w(tenant, id)
WHERE k.tenant = w.tenant AND k.person_id = w.id
"""
_SELF: Final = """
WITH RECURSIVE c(person) AS (
  SELECT person FROM scoring.person_key WHERE tenant = $1 AND person_id = $2
  UNION
  SELECT CASE WHEN a.person = c.person THEN a.previous ELSE a.person END
  FROM c JOIN alias a ON a.tenant = $1 AND (a.person = c.person OR a.previous = c.person))
SELECT k.person, k.person_id FROM c JOIN scoring.person_key k ON k.tenant = $1 AND k.person = c.person
ORDER BY k.person
"""
_WORDS: Final = """
SELECT DISTINCT value #>> '{}' AS word FROM person_attribute
WHERE tenant = $1 AND person = ANY($2) AND field IN ('name', 'email') AND value IS NOT NULL
"""
_NOTE: Final = """
INSERT INTO scoring.erasure (tenant, hash, alias, person_id, at)
SELECT $1, hash, alias, id, $5 FROM unnest($2::bytea[], $3::text[], $4::text[]) AS w(hash, alias, id)
"""
_RENAME: Final = """
UPDATE scoring.person_key k SET person_id = w.alias FROM unnest($2::int[], $3::text[]) AS w(person, alias)
WHERE k.tenant = $1 AND k.person = w.person
"""
# As the fold leaves a person fact that says none of this: nothing else said is one row without a field.
_NAMELESS: Final = """
WITH gone AS (
  DELETE FROM person_attribute WHERE tenant = $1 AND person = ANY($2) AND field IN ('name', 'email', 'title')
  RETURNING account, person, at, id)
INSERT INTO person_attribute (tenant, account, person, field, at, id, value)
SELECT DISTINCT $1::int, g.account, g.person, '', g.at, g.id, NULL::jsonb FROM gone g
WHERE NOT EXISTS (SELECT 1 FROM person_attribute o WHERE o.tenant = $1 AND o.account = g.account
  AND o.person = g.person AND o.at = g.at AND o.id = g.id AND o.field NOT IN ('name', 'email', 'title'))
ON CONFLICT DO NOTHING
"""
_SILENT: Final = "UPDATE response SET comment = NULL WHERE tenant = $1 AND person = ANY($2) RETURNING account"
_CONTACTS: Final = "SELECT account, at, id, person_ids, voices FROM contact WHERE tenant = $1 AND person_ids && $2"
_CONTACT: Final = """
UPDATE contact SET person_ids = $5, note = NULL, voices = $6 WHERE tenant = $1 AND account = $2 AND at = $3 AND id = $4
"""
_ACCOUNTS: Final = f"""
INSERT INTO dirty (shard, tenant, account, received, since)
SELECT DISTINCT account % {SHARDS}, $1::int, account, $3::timestamptz, $4::date FROM (
  SELECT account FROM account_user WHERE tenant = $1 AND person = ANY($2)
  UNION SELECT account FROM person_attribute WHERE tenant = $1 AND person = ANY($2)
  UNION SELECT account FROM response WHERE tenant = $1 AND person = ANY($2)
  UNION SELECT unnest($5::int[])) AS concerned WHERE account > 0
"""
_REJOIN: Final = """
INSERT INTO recheck (tenant, kind, key, since, received)
SELECT $1, 'alias', person::text, $3, $4 FROM unnest($2::int[]) AS w(person)
"""
# Texts that people wrote: table, column, the columns that name its row.
WRITTEN: Final = (
    ("scoring.keep_reason", "reason", ("account", "reason_id")),
    ("scoring.health_override", "reason", ("account", "override_id")),
    ("scoring.tier_policy", "note", ("policy_id",)),
)
_FORGET: Final = "SELECT nps.forget_person($1, $2, $3, $4), ingest.forget_person($1, $5)"
_CONFLICTS: Final = """
UPDATE scoring.conflict SET payload = '' WHERE tenant = $1
AND EXISTS (SELECT 1 FROM unnest($2::text[]) AS w(word) WHERE position(lower(word) IN lower(payload)) > 0)
"""


async def share(conn: Connection) -> bool:
    """Whether no rebuild is under way; none begins until the commit."""
    return bool(await conn.fetchval(_SHARE, REBUILD_LOCK))


async def hold_fold(conn: Connection, consumer: str) -> None:
    """No batch is under way at return, and none begins until the commit."""
    await conn.fetch(_HOLD, consumer)


async def read_list(pool: asyncpg.Pool) -> Erased:
    """Everybody who was erased."""
    async with connection(pool) as conn:
        rows = await conn.fetch(_LIST)
    names = {(row["tenant"], bytes(row["hash"])): row["alias"] for row in rows}
    return Erased(max((row["seq"] for row in rows), default=0), names, frozenset(row["tenant"] for row in rows))


async def version(conn: Connection) -> int:
    """Which list holds."""
    return int(await conn.fetchval(_VERSION) or 0)


async def drop_keys(conn: Connection, ids: Sequence[tuple[int, str]]) -> None:
    """Takes back keys that were given to ids of erased persons; nothing was ever stored under them."""
    await conn.execute(_DROP, [tenant for tenant, _ in ids], [person_id for _, person_id in ids])


async def known(conn: Connection, tenant: int, person_id: str) -> Any:
    """The entry of one who was erased before: alias, done_at. None for anybody else."""
    return await conn.fetchrow(_KNOWN, tenant, person_hash(tenant, person_id), person_id)


async def persons(conn: Connection, tenant: int, person_id: str) -> dict[int, str]:
    """Key and id of the person under every id; {} for a person whom no fact named."""
    return {row["person"]: row["person_id"] for row in await conn.fetch(_SELF, tenant, person_id)}


async def words_of(conn: Connection, tenant: int, keys: Sequence[int]) -> list[str]:
    """Names and addresses that the person was told under."""
    return [row["word"] for row in await conn.fetch(_WORDS, tenant, keys)]


async def enter(
    conn: Connection, tenant: int, named: Sequence[tuple[bytes, str, str]], keys: Sequence[int], now: datetime
) -> None:
    """Puts (hash, alias, id) on the list, and the aliases in the place of the ids."""
    hashes, aliases, ids = ([one[index] for one in named] for index in range(3))
    await conn.execute(_NOTE, tenant, hashes, aliases, ids, now)
    await conn.execute(_RENAME, tenant, keys, aliases)


async def unsay(conn: Connection, tenant: int, keys: Sequence[int], aliases: dict[str, str]) -> list[int]:
    """Takes names, comments, notes and words out of the state's rows; accounts whose contacts changed."""
    await conn.execute(_NAMELESS, tenant, keys, timeout=300)
    await conn.execute(_SILENT, tenant, keys, timeout=300)
    rows = await conn.fetch(_CONTACTS, tenant, list(aliases), timeout=300)
    changed = [
        (tenant, row["account"], row["at"], row["id"], [aliases.get(one, one) for one in row["person_ids"]],
         row["voices"] and json.dumps([wordless(voice) for voice in json.loads(row["voices"])]))
        for row in rows
    ]  # fmt: skip
    await conn.executemany(_CONTACT, changed)
    return sorted({row["account"] for row in rows})


async def unwrite(conn: Connection, tenant: int, words: Sequence[str]) -> list[int]:
    """Takes these words out of what people wrote; accounts whose texts changed."""
    accounts: set[int] = set()
    for table, column, keys in WRITTEN:
        listed = ", ".join(keys)
        for row in await conn.fetch(f"SELECT {listed}, {column} AS text FROM {table} WHERE tenant = $1", tenant):
            told = without(row["text"], words)
            if told == row["text"]:
                continue
            where = " AND ".join(f"{key} = ${index}" for index, key in enumerate(keys, 3))
            sql = f"UPDATE {table} SET {column} = $2 WHERE tenant = $1 AND {where}"
            await conn.execute(sql, tenant, told, *(row[key] for key in keys))
            accounts |= {row["account"]} if "account" in keys else set()
    return sorted(accounts)


def without(text: str, words: Sequence[str]) -> str:
    """The text with each word, in any case, replaced."""
    for word in sorted(words, key=len, reverse=True):
        begin = text.lower().find(word.lower())
        while begin >= 0 and len(text.lower()) == len(text):
            text = f"{text[:begin]}[erased]{text[begin + len(word) :]}"
            begin = text.lower().find(word.lower(), begin + len("[erased]"))
    return text


async def elsewhere(
    conn: Connection, tenant: int, aliases: dict[str, str], words: Sequence[str], now: datetime
) -> None:
    """What the other services keep of the person, each by its own function; and payloads of facts in conflict."""
    await conn.execute(_FORGET, tenant, list(aliases), list(aliases.values()), now, list(words), timeout=300)
    await conn.execute(_CONFLICTS, tenant, list(words), timeout=300)


async def ask_again(conn: Connection, tenant: int, keys: Sequence[int], more: Sequence[int], now: datetime) -> None:
    """The person's accounts are judged again, and who is one with whom is told by the new names."""
    await conn.execute(_ACCOUNTS, tenant, keys, now, EVER, list(more))
    await conn.execute(_REJOIN, tenant, keys, EVER, now)
