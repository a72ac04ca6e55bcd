"""Writes usage and membership: a late membership moves the usage that was waiting for it, or had gone elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date
from typing import TYPE_CHECKING, Any, Final

from services.scoring.facts import tables
from services.scoring.facts.store import Target, columns, load, merge
from services.scoring.facts.usage import (
    UNASSIGNED,
    Homes,
    Membership,
    Person,
    UsageBatch,
    UsageKey,
    joined,
    moved_home,
    place_waiting,
    together,
)
from shared.clock import from_micros, to_micros
from shared.postgres import Connection

if TYPE_CHECKING:
    from services.scoring.gather import Rows

# Advisory lock class, mixed with the name of the state, key = tenant: folds that place usage share it, joins take it
# alone.
PERSONS_LOCK: Final = 7_314
_HOLD: Final = """
SELECT pg_advisory_xact_lock_shared($1 # hashtext(current_schema()), tenant)
FROM unnest($2::int[]) AS w(tenant) ORDER BY tenant
"""
_SAME: Final = """
SELECT m.tenant, m.person, o.person AS other FROM unnest($1::int[], $2::int[]) AS w(tenant, person)
JOIN person_join m USING (tenant, person) JOIN person_join o ON o.tenant = m.tenant AND o.canonical = m.canonical
"""
_MEMBERSHIPS: Final = """
SELECT m.* FROM unnest($1::int[], $2::int[]) AS w(tenant, person) JOIN membership m USING (tenant, person)
"""
# The days on which somebody's account was inferred, with the account.
_IMPLIED: Final = """
SELECT DISTINCT u.tenant, u.person, u.day, u.account FROM unnest($1::int[], $2::int[]) AS w(tenant, person)
JOIN usage u ON u.tenant = w.tenant AND u.person = w.person AND u.implied
"""
_MOVE: Final = """
UPDATE usage u SET account = m.account FROM t_move m
WHERE u.tenant = m.tenant AND u.account = m.was AND u.person = m.person AND u.day = m.day AND u.implied
"""
# First and last usage day again for the accounts that a person's usage left or joined.
_FORGET: Final = """
DELETE FROM account_user a USING unnest($1::int[], $2::int[], $3::int[]) AS w(tenant, account, person)
WHERE a.tenant = w.tenant AND a.account = w.account AND a.person = w.person
"""
_RECOUNT: Final = """
INSERT INTO account_user (tenant, account, person, first_day, last_day)
SELECT u.tenant, u.account, u.person, min(u.day), max(u.day)
FROM unnest($1::int[], $2::int[], $3::int[]) AS w(tenant, account, person)
JOIN usage u USING (tenant, account, person) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_MOVED: Final = Target("move", columns("tenant int, person int, day date, was int, account int"), "", 3)
Move = tuple[int, int, date, int, int]  # tenant, person, day, account before, account now


async def write_usage(conn: Connection, rows: "Rows") -> None:
    """Writes the batch's memberships and usage, moves what changes its account, and marks every account concerned."""
    batch = rows.usage
    if not (batch.named or batch.waiting or batch.memberships):
        return
    same = await _same_persons(conn, batch.persons())
    before = await _memberships(conn, {one for others in same.values() for one in others} | batch.persons())
    after = _with_batch(before, batch)
    await merge(conn, tables.MEMBERSHIP, _changed_rows(before, after, batch))
    homes = {person: _home(same.get(person, [person]), after) for person in batch.persons()}
    for tenant, person in batch.memberships.keys() & same.keys():  # others' usage may follow: not this batch's to write
        rows.ask(tenant, "alias", str(person), date.min, batch.received[tenant, person])
    moves = await _moves(conn, before, homes, {p: days for p, days in batch.memberships.items() if p not in same})
    await _move(conn, moves)
    usage = place_waiting(batch, homes)
    await merge(conn, tables.USAGE, ((*key, count, from_micros(at)) for key, (count, at) in usage.items()))
    await merge(conn, tables.ACCOUNT_USER, _users(usage))
    await _recount(conn, moves)
    _mark(rows, usage, moves)


Days = dict[date, Membership]


async def _same_persons(conn: Connection, persons: Iterable[Person]) -> dict[Person, list[Person]]:
    """Of persons that are joined with others: all of these. Holds off joins of the tenants until the commit."""
    asked = sorted(persons)
    if not asked:
        return {}
    await conn.execute(_HOLD, PERSONS_LOCK, sorted({tenant for tenant, _ in asked}))
    found: dict[Person, list[Person]] = {}
    for row in await conn.fetch(_SAME, *_columns(asked)):
        found.setdefault((row["tenant"], row["person"]), []).append((row["tenant"], row["other"]))
    return found


def _home(same: Iterable[Person], after: Mapping[Person, Days]) -> Homes:
    return Homes(together(after[one].values() for one in same))


async def _memberships(conn: Connection, persons: Iterable[Person]) -> dict[Person, Days]:
    asked = sorted(persons)
    known: dict[Person, Days] = {person: {} for person in asked}
    if asked:
        for row in await conn.fetch(_MEMBERSHIPS, *_columns(asked)):
            known[row["tenant"], row["person"]][row["day"]] = _membership(row)
    return known


def _membership(row: Any) -> Membership:
    first = (to_micros(row["first_at"].astimezone(UTC)), row["first_id"])
    last = (to_micros(row["last_at"].astimezone(UTC)), row["last_id"])
    return Membership(row["day"], first, row["first_account"], last, row["last_account"])


def _with_batch(before: Mapping[Person, Days], batch: UsageBatch) -> dict[Person, Days]:
    after = {person: dict(days) for person, days in before.items()}
    for person, days in batch.memberships.items():
        for day, row in days.items():
            after[person][day] = joined(after[person].get(day), row)
    return after


def _changed_rows(
    before: Mapping[Person, Days], after: Mapping[Person, Days], batch: UsageBatch
) -> list[tuple[Any, ...]]:
    return [
        (*person, day, from_micros(row.first[0]), row.first[1], row.first_account,
         from_micros(row.last[0]), row.last[1], row.last_account)
        for person, days in batch.memberships.items()
        for day in days
        if (row := after[person][day]) != before[person].get(day)
    ]  # fmt: skip


async def _moves(
    conn: Connection,
    before: Mapping[Person, Days],
    homes: Mapping[Person, Homes],
    memberships: Mapping[Person, Days],
) -> list[Move]:
    """Which stored days of inferred usage belong elsewhere now."""
    moved = sorted(
        person
        for person, days in memberships.items()
        if moved_home(Homes(before[person].values()), homes[person], days)
    )
    if not moved:
        return []
    stored = await conn.fetch(_IMPLIED, *_columns(moved))
    found = ((row["tenant"], row["person"], row["day"], row["account"]) for row in stored)
    return [
        (tenant, person, day, was, now)
        for tenant, person, day, was in found
        if (now := homes[tenant, person].of(day)) != was
    ]


async def _move(conn: Connection, moves: Sequence[Move]) -> None:
    if moves:
        await load(conn, _MOVED, moves)
        await conn.execute(_MOVE)


async def _recount(conn: Connection, moves: Sequence[Move]) -> None:
    pairs = {(tenant, account, person) for tenant, person, _, was, now in moves for account in (was, now)}
    pairs = sorted(pair for pair in pairs if pair[1] != UNASSIGNED)
    if pairs:
        await conn.execute(_FORGET, *_columns(pairs))
        await conn.execute(_RECOUNT, *_columns(pairs))


def _users(usage: Iterable[UsageKey]) -> list[tuple[int, int, int, date, date]]:
    spans: dict[tuple[int, int, int], list[date]] = {}
    for tenant, account, person, _, day, _ in usage:
        if account == UNASSIGNED:
            continue
        span = spans.setdefault((tenant, account, person), [day, day])
        span[0], span[1] = min(span[0], day), max(span[1], day)
    return [(*key, first, last) for key, (first, last) in spans.items()]


def _mark(rows: "Rows", usage: Iterable[UsageKey], moves: Iterable[Move]) -> None:
    received = rows.usage.received
    for tenant, account, person, _, day, implied in usage:
        if implied and account != UNASSIGNED:
            rows.touch(tenant, account, received[tenant, person], day)
    for tenant, person, day, was, now in moves:
        for account in (was, now):
            if account != UNASSIGNED:
                rows.touch(tenant, account, received[tenant, person], day)


def _columns(rows: Sequence[tuple[int, ...]]) -> list[list[int]]:
    return [list(column) for column in zip(*rows, strict=True)]


# As _MOVE, for persons that are joined: what moves may meet rows that are there already.
_BRING: Final = """
WITH gone AS (
  DELETE FROM usage u USING t_move m WHERE u.tenant = m.tenant AND u.account = m.was AND u.person = m.person
  AND u.day = m.day AND u.implied RETURNING u.*, m.account AS home)
INSERT INTO usage (tenant, account, person, feature, day, implied, events, last_at)
SELECT tenant, home, person, feature, day, implied, sum(events), max(last_at) FROM gone GROUP BY 1, 2, 3, 4, 5, 6
ON CONFLICT (tenant, account, person, feature, day, implied) DO UPDATE SET
events = usage.events + excluded.events, last_at = greatest(usage.last_at, excluded.last_at)
"""


async def move_home(conn: Connection, tenant: int, same: Mapping[int, Sequence[int]]) -> set[int]:
    """Brings inferred usage of joined persons to the account that all their memberships together say; the accounts it
    left or joined. `same`: person → all ids of the person. The caller holds PERSONS_LOCK."""
    persons = [(tenant, person) for person in sorted(same)]
    known = await _memberships(conn, persons)
    homes = {person: _home([(tenant, other) for other in others], known) for person, others in same.items()}
    stored = await conn.fetch(_IMPLIED, *_columns(persons)) if persons else []
    found = ((row["person"], row["day"], row["account"]) for row in stored)
    moves = [(tenant, person, day, was, now) for person, day, was in found if (now := homes[person].of(day)) != was]
    if moves:
        await load(conn, _MOVED, moves)
        await conn.execute(_BRING)
        await _recount(conn, moves)
    return {account for _, _, _, was, now in moves for account in (was, now)} - {UNASSIGNED}
