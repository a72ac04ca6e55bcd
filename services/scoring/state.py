"""An assessment as the row that lists and answers read, and what that row adds to the live totals. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from operator import sub
from typing import Any, Final

import msgspec
from asyncpg.pgproto.pgproto import UUID  # as the driver's own rows have it, and quicker to make

from services.scoring.accounts.search import folded
from services.scoring.assessment import Assessment
from services.scoring.facts.store import Target, columns
from services.scoring.matrix.rules import BANDS, NANO, PRIORITIES

ACCOUNT_STATE: Final = Target(
    "account_state",
    columns(
        "tenant int, account int, account_id text, shard smallint, day date, name text, status text, churned boolean,"
        " start date, start_source text, acv bigint, value bigint, tier text, rank text, tenure text, priority text,"
        " csm_id text, csm_name text, team text, renewal_on date, score float8, band text, effective_band text,"
        " confidence float8, change_1d float8, change_7d float8, change_28d float8, band_7d text, ids int,"
        " active_users_28d int, first_usage_day date, last_usage_day date, covered boolean, due_at timestamptz,"
        " last_contact_at timestamptz, last_contact_channel text, last_contact_csm text, planned_at timestamptz,"
        " planned_channel text, in_use boolean, contacted boolean, needs_action text, needs int, health text,"
        " priority_order smallint, band_order smallint, acv_order bigint, call_order text, id_folded text,"
        " name_folded text, digest uuid, computed_at timestamptz"
    ),
    "",
    2,
)
STATE_COLUMNS: Final = tuple(ACCOUNT_STATE.names)
_UPDATES: Final = ", ".join(f"{name} = excluded.{name}" for name in STATE_COLUMNS[2:])
UPSERT_STATE: Final = Target(
    "account_state", ACCOUNT_STATE.columns, f"ON CONFLICT (tenant, account) DO UPDATE SET {_UPDATES}", 2
)
STANDING: Final = Target(
    "standing",
    columns("tenant int, account int, ago smallint, day date, value bigint, tier text, score float8, band text"),
    "ON CONFLICT (tenant, account, ago) DO UPDATE SET day = excluded.day, value = excluded.value,"
    " tier = excluded.tier, score = excluded.score, band = excluded.band",
    3,
)
COUNTER: Final = Target(
    "counter",
    columns(
        "tenant int, dim text, key text, tier text, shard smallint, accounts int, acv bigint, eligible int,"
        " covered int, in_use int, contacted int, scored int, score bigint"
    ),
    "ON CONFLICT (tenant, dim, key, tier, shard) DO UPDATE SET "
    + ", ".join(
        f"{name} = counter.{name} + excluded.{name}"
        for name in ("accounts", "acv", "eligible", "covered", "in_use", "contacted", "scored", "score")
    ),
    5,
)
# What is read of a row before it is written over: what it added to the totals, and whether it was another one at all.
OLD_COLUMNS: Final = (
    "account", "day", "status", "churned", "acv", "tier", "rank", "tenure", "priority", "csm_id", "team", "score",
    "band", "effective_band", "band_7d", "covered", "in_use", "contacted", "digest",
)  # fmt: skip
LAST: Final = 2**62  # where null stands in an order that runs upward
Counts = tuple[int, ...]  # accounts, acv, eligible, covered, in_use, contacted, scored, score
NOTHING: Final[Counts] = (0,) * 8
Row = dict[str, Any]
_ENCODER: Final = msgspec.json.Encoder()


def row_of(
    found: Assessment, tenant: int, account: int, shard: int, day: date, band_7d: str | None, computed_at: datetime
) -> Row:
    """The account_state row of an assessment, by column name."""
    contact, planned = found.last_contact, found.planned
    row = {
        "tenant": tenant, "account": account, "account_id": found.account_id, "shard": shard, "day": day,
        "name": found.name, "status": found.status, "churned": found.churned, "start": found.start,
        "start_source": found.start_source, "acv": found.acv, "value": found.value, "tier": found.tier,
        "rank": found.rank, "tenure": found.tenure, "priority": found.priority, "csm_id": found.csm_id,
        "csm_name": found.csm_name, "team": found.team, "renewal_on": found.renewal_on, "score": found.score,
        "band": found.band, "effective_band": found.effective_band, "confidence": found.confidence,
        "change_1d": found.change_1d, "change_7d": found.change_7d, "change_28d": found.change_28d,
        "band_7d": band_7d, "ids": found.ids, "active_users_28d": found.active_users_28,
        "first_usage_day": found.first_usage_day, "last_usage_day": found.last_usage_day, "covered": found.covered,
        "due_at": found.due_at, "last_contact_at": contact.at if contact else None,
        "last_contact_channel": contact.channel if contact else None,
        "last_contact_csm": contact.csm_id if contact else None, "planned_at": planned.at if planned else None,
        "planned_channel": planned.channel if planned else None, "in_use": found.in_use,
        "contacted": found.contacted, "needs_action": _json([fired.as_json() for fired in found.needs_action]),
        "needs": len(found.needs_action), "health": _json(health_document(found)), **orders(found),
        "id_folded": folded(found.account_id), "name_folded": folded(found.name) if found.name else None,
    }  # fmt: skip
    return {**row, "digest": _digest(row), "computed_at": computed_at}


def _digest(row: Row) -> UUID:
    """Equal where everything that a reader sees is equal: inner keys (tenant, account, shard: the first, second and
    fourth column) and when it was computed do not count."""
    values = list(row.values())
    told = msgspec.msgpack.encode([values[2], *values[4:]])
    return UUID(hashlib.blake2b(told, digest_size=16).digest())


def _json(value: Any) -> str:
    return _ENCODER.encode(value).decode()


def health_document(found: Assessment) -> dict[str, Any]:
    """The parts of the health answer that are no columns."""
    held = found.override
    override = held and {
        "band": held.band,
        "reason": held.reason,
        "author": held.author,
        "expires_at": held.expires_at.isoformat().replace("+00:00", "Z"),
    }
    return {
        "model": {"id": found.model_id, "version": found.model_version},
        "dimensions": list(found.dimensions),
        "override": override,
    }


def orders(found: Assessment) -> Row:
    """Small integers and one text by which the default list and "call first" are read from an index."""
    return {
        "priority_order": PRIORITIES.index(found.priority),
        "band_order": BANDS.index(found.effective_band),
        "acv_order": acv_order(found.acv),
        "call_order": None if found.churned or not found.needs_action else call_order(found),
    }


def acv_order(acv: int | None) -> int:
    """Where an amount stands when the highest comes first and null last."""
    return LAST if acv is None else -acv


def call_order(found: Assessment) -> str:
    """The "call first" key as text that sorts alike in byte order."""
    soon, priority, not_red, fired, no_acv, negative_acv, _ = found.call_first_key
    return (
        f"{int(soon)}{priority}{int(not_red)}{99 + fired:02d}{int(no_acv)}{LAST + negative_acv:020d}{found.account_id}"
    )


Place = tuple[str, str, str]  # dim, key, tier


def places(row: Mapping[str, Any]) -> tuple[Place, ...]:
    """The totals that one account is part of, by (dim, key, tier)."""
    tier = row["tier"] or ""
    status = ("status", row["status"], tier)
    if row["churned"]:
        return (status,)
    rank, band, before = row["rank"], row["effective_band"], row["band_7d"]
    given = (
        status,
        ("tenant", "", tier),
        ("tier", tier, tier),
        ("csm", row["csm_id"] or "", tier),
        ("team", row["team"] or "", tier),
        ("rank", rank or "", tier),
        ("band", band, tier),
        ("cell", f"{rank or '-'}{row['tenure'] or '-'}", tier),
        ("priority", row["priority"] or "", tier),
    )
    return given if before is None or before == band else (*given, ("moved", f"{before}>{band}", tier))


def counts(row: Mapping[str, Any]) -> Counts:
    """What one account adds to each of them."""
    score = row["score"]
    return (
        1,
        row["acv"] or 0,
        int(row["covered"] is not None),
        int(row["covered"] is True),
        int(row["in_use"]),
        int(row["in_use"] and row["contacted"]),
        int(score is not None),
        0 if score is None else nano(score),
    )


def nano(score: float) -> int:
    """A score in 10⁻⁹ points: whole numbers do not drift with the order of additions."""
    return round(score * NANO)


def difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[Place, Counts]:
    """New counts less old ones, without what stays the same."""
    was, now = counts(old) if old else NOTHING, counts(new) if new else NOTHING
    before, after = places(old) if old else (), places(new) if new else ()
    if before == after:
        return dict.fromkeys(after, _less(now, was)) if was != now else {}
    changed = dict.fromkeys(set(before) & set(after), _less(now, was)) if was != now else {}
    changed |= dict.fromkeys(set(after) - set(before), now)
    changed |= dict.fromkeys(set(before) - set(after), _less(NOTHING, was))
    return changed


def _less(these: Counts, those: Counts) -> Counts:
    return tuple(map(sub, these, those))
