"""`genki doctor`: what is wrong, in words."""

import asyncio
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg

from services.cli.commands import Json
from services.cli.prepare import partitions_of, prepared
from services.cli.report import Refused, tell
from services.cli.where import Where, stored_offset
from shared.bus import BusBroken, BusUnavailable
from shared.bus.kafka.topics import inspect_cluster
from shared.errors import Unavailable
from shared.facts import ALL_TOPICS
from shared.postgres import DatabaseSettings, NotIsolated, open_database

_DISK: Final = 2 * 1024**3  # bytes
_STUCK: Final = """
SELECT count(*), min(received) FROM bus.outbox
WHERE shipped_to IS NULL AND received < clock_timestamp() - interval '2 minutes'
"""
_DRIFT: Final = 2.0  # seconds between this machine's clock and the database's


class Finding(NamedTuple):
    """One thing looked at: `ok` or what is wrong and what to do."""

    name: str
    good: bool
    says: str


def doctor(*, where: Where | None = None, port: int = 8000, json: Json = False) -> None:
    """Look at versions, disk, ports, clock, database and log, and say what is wrong."""
    place = where or Where()
    findings = [_python(), _disk(place.data), _port(place, port), _offset(place.data)]
    try:
        with place.borrowed() as settings:
            findings += asyncio.run(_database(settings))
    except Refused as problem:
        findings.append(Finding("database", False, str(problem)))
    if place.issuers is not None:
        findings.append(asyncio.run(_issuers(place)))
    if place.kafka is not None:
        findings.append(asyncio.run(_kafka(place.kafka)))
    marks = [f"{'ok   ' if one.good else 'WRONG'} {one.name}: {one.says}" for one in findings]
    tell({"findings": [one._asdict() for one in findings]}, json, "\n".join(marks))
    if not all(one.good for one in findings):
        sys.exit(1)


def _python() -> Finding:
    version = sys.version.split()[0]
    return Finding("python", sys.version_info >= (3, 11), version)


def _disk(data: Path) -> Finding:
    existing = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    return Finding("disk", free > _DISK, f"{free / 1024**3:.1f} GB free at {existing}, 2 GB are wanted")


def _port(place: Where, port: int) -> Finding:
    running = place.url()
    if running is not None:
        return Finding("port", True, f"Genki was last ready at {running}")
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    return Finding("port", not taken, f"{port} is taken by another program" if taken else f"{port} is free")


def _offset(data: Path) -> Finding:
    offset = stored_offset(data)
    says = f"this folder rehearses {offset} ahead" if offset else "no offset"
    return Finding("clock offset", True, says)


async def _database(settings: DatabaseSettings) -> list[Finding]:
    try:
        conn = await asyncpg.connect(settings.url, timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError) as problem:
        return [Finding("database", False, f"cannot be reached as its owner: {problem}")]
    try:
        number = int(await conn.fetchval("SHOW server_version_num"))
        found = [
            Finding("database", number >= 160000, f"PostgreSQL {number // 10000}.{number % 10000}, 16 is the oldest")
        ]
        drift = abs((await conn.fetchval("SELECT clock_timestamp()") - datetime.now(UTC)).total_seconds())
        found.append(Finding("clock", drift < _DRIFT, f"{drift:.3f} s between this machine and the database"))
        if not await prepared(conn):
            return [*found, Finding("schema", False, "never migrated: run genki migrate")]
        found.append(Finding("log", True, f"{await partitions_of(conn)} partitions a topic"))
        found.append(await _outbox(conn))
    finally:
        await conn.close()
    return [*found, await _told("isolation", _isolation(settings))]


async def _outbox(conn: asyncpg.Connection) -> Finding:
    """Records wait here while Kafka is away, and when it will not take them."""
    stuck, since = await conn.fetchrow(_STUCK) or (0, None)
    says = f"{stuck} records wait since {since}: Kafka is away, or refuses them (outbox_record_refused in the log)"
    return Finding("outbox", not stuck, says if stuck else "nothing waits for long")


def _isolation(settings: DatabaseSettings) -> Callable[[], Awaitable[str]]:
    async def look() -> str:
        await (await open_database(settings)).close()
        return "row-level security holds"

    return look


async def _kafka(bootstrap: str) -> Finding:
    async def look() -> str:
        cluster = await inspect_cluster(bootstrap, ALL_TOPICS)
        return f"cluster {cluster.id}, {cluster.partitions} partitions a topic, batch sizes fit"

    return await _told("kafka", look)


async def _issuers(place: Where) -> Finding:
    try:
        tokens = place.tokens()
        found = {} if tokens is None else await tokens.look()
    except (Refused, Unavailable) as problem:
        return Finding("issuers", False, str(problem))
    told = [f"{issuer}: {keys} keys, {tenants} tenants" for issuer, (keys, tenants) in found.items()]
    return Finding("issuers", all(keys for keys, _ in found.values()), "; ".join(told))


async def _told(name: str, look: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, True, await look())
    except (BusBroken, BusUnavailable, NotIsolated, OSError, asyncpg.PostgresError) as problem:
        return Finding(name, False, f"{type(problem).__name__}: {problem}")
