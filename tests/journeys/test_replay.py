"""The archive is the memory: a rebuild equals what is live, names what is not, and takes its place as facts arrive."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from services.scoring.replay import Busy, Comparison, Unreadable, check, replay
from services.scoring.replay.hold import LOCK
from services.scoring.ticker import keep_log
from shared.postgres import DatabaseSettings
from tests.conftest import TestDatabase
from tests.journeys.running import ROOT
from tests.journeys.test_oracle_house import BASE, FEATURES, FX, PORTION, wire
from tests.oracle.book import write_book
from tests.services.scoring.dump import dump
from tests.services.scoring.harness import House, TestTenant, stamp

pytestmark = pytest.mark.slow
_CATALOG = """
SELECT c.relname, c.relkind::text, c.relrowsecurity, c.relforcerowsecurity, c.reloptions, pg_get_userbyid(c.relowner),
  array(SELECT unnest(c.relacl)::text ORDER BY 1) AS grants,
  array(SELECT format('%s %s %s %s', p.polname, p.polcmd, pg_get_expr(p.polqual, c.oid),
    pg_get_expr(p.polwithcheck, c.oid)) FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1) AS policies,
  array(SELECT format('%s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    coalesce((SELECT collname FROM pg_collation l WHERE l.oid = a.attcollation), ''))
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns
FROM pg_class c WHERE c.relnamespace = to_regnamespace($1) ORDER BY 1
"""
_SCHEMAS = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'scoring%' ORDER BY 1"


class Memory:
    """A company that was told a book, and its rebuilds."""

    def __init__(self, house: House, tenant: TestTenant, settings: DatabaseSettings) -> None:
        self.house, self.tenant, self.settings = house, tenant, settings
        self.lines: list[str] = []

    async def check(self) -> Comparison:
        return await check(self.settings, self.house.clock, self.lines.append)

    async def replay(self) -> Comparison:
        return await replay(self.settings, self.house.clock, self.lines.append)

    async def run(self, sql: str, *values: Any) -> None:
        """As the owner, whatever tenant."""
        await self.house.owner.execute(sql, *values)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def memory(house: House, database: TestDatabase) -> AsyncIterator[Memory]:
    """Eighty accounts with everything that happens, told out of order over two days, with a hand in it."""
    house.clock.set(BASE + timedelta(minutes=1))
    tenant = await house.tenant()
    book = write_book(BASE, "Asia/Tokyo", "JPY", accounts=76, seed=2, invited=True)
    features = [{"feature": name, "weight": 1, "share": 1, "events": events} for name, events in FEATURES.items()]
    await tenant.settings(value_features=features, fx=FX)
    arriving = wire(book, tenant, 1)
    for begun in range(0, len(arriving), PORTION):
        await tenant.tell(*arriving[begun : begun + PORTION])
    await lived(house, tenant)
    yield Memory(house, tenant, DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password))


async def lived(house: House, tenant: TestTenant) -> None:
    """Manual bands, one of them ended early; a tier policy; midnights."""
    listed = (await tenant.get("/v1/accounts?limit=4"))["items"]
    wish = {"band": "red", "reason": "a hunch", "expires_at": stamp(house.clock.now() + timedelta(days=20))}
    for item in listed:
        answer = await tenant.call("POST", f"/v1/accounts/{item['account_id']}/health/override", wish)
        assert answer.status_code in (200, 201), answer.text
    house.clock.move(hours=1)
    answer = await tenant.call("DELETE", f"/v1/accounts/{listed[0]['account_id']}/health/override")
    assert answer.status_code in (200, 204), answer.text
    review = (await tenant.call("POST", "/v1/tiers/reviews", {})).json()
    since = (house.clock.now() + timedelta(days=2)).date()
    policy = {"effective_from": since.isoformat(), "high_amount": "40000", "low_amount": "12000", "note": "as agreed"}
    answer = await tenant.call("POST", f"/v1/tiers/reviews/{review['id']}/publish", policy)
    assert answer.status_code == 200, answer.text
    for hours in (1, 30, 40):
        house.clock.move(hours=hours)
        await house.settle()


async def test_a_rebuild_out_of_the_archive_equals_what_is_live(memory: Memory) -> None:
    before = await dump(memory.house.owner, memory.tenant.number)
    found = await memory.check()
    assert [(one.table, one.only_live, one.only_rebuilt) for one in found.tables if not one.equal] == []
    rows = {one.table: one.live for one in found.tables}
    told = ("usage", "contact", "contract", "response", "account_state", "standing", "counter", "account_join", "due")
    assert min(rows[table] for table in told) > 0
    assert rows["account_state"] >= 70
    assert {"fact_seen", "dirty", "recheck", "stream"} & rows.keys() == set()
    assert found.facts > 3_000
    assert found.repeats == 0
    assert await dump(memory.house.owner, memory.tenant.number) == before
    assert [row[0] for row in await memory.house.owner.fetch(_SCHEMAS)] == ["scoring", "scoring_state"]
    assert "facts in the archive" in memory.lines[0]


async def test_a_record_that_stands_twice_in_the_archive_counts_once(memory: Memory) -> None:
    columns = "month, topic, part, first_offset, next_offset, received_from, received_to, facts, bus, body"
    await memory.run(
        f"INSERT INTO scoring.archive ({columns}) SELECT {columns} FROM scoring.archive ORDER BY seq LIMIT 7"
    )
    found = await memory.check()
    assert found.different == ()
    assert found.repeats > 0


DROP_ONE = "DELETE FROM scoring_state.contract WHERE ctid = (SELECT min(ctid) FROM scoring_state.contract)"
DAMAGE = {  # table → what is done to it, and how many rows only the live and only the rebuilt state has then
    "usage": (
        "UPDATE {0} SET events = events + 1 WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM {0} LIMIT 1)", (1, 1)
    ),
    "contact": ("DELETE FROM {0} WHERE ctid = (SELECT min(ctid) FROM {0})", (0, 1)),
    "counter": ("UPDATE {0} SET score = score + 1 WHERE ctid = (SELECT min(ctid) FROM {0} WHERE accounts > 0)", (1, 1)),
    "account_state": (
        "UPDATE {0} SET score = score + 1e-7 WHERE ctid = (SELECT min(ctid) FROM {0} WHERE score > 1)", (1, 1)
    ),
    "due": ("INSERT INTO {0} SELECT tenant, '2100-01-01', 'account', '1' FROM access.tenant", (1, 0)),
}  # fmt: skip


async def test_one_row_that_differs_is_found_and_its_table_named(memory: Memory) -> None:
    for table, (statement, _) in DAMAGE.items():
        await memory.run(statement.format(f"scoring_state.{table}"))
    found = await memory.check()
    told = {one.table: (one.only_live, one.only_rebuilt) for one in found.tables if not one.equal}
    assert told == {table: rows for table, (_, rows) in DAMAGE.items()}
    assert found.document()["different"] == sorted(DAMAGE)
    assert (await memory.replay()).different == tuple(sorted(DAMAGE))


async def test_a_swap_restores_what_was_damaged_and_keeps_every_right(memory: Memory) -> None:
    owner, number = memory.house.owner, memory.tenant.number
    whole = await dump(owner, number)
    catalog = [tuple(row) for row in await owner.fetch(_CATALOG, "scoring_state")]
    told = await owner.fetch("SELECT * FROM scoring_state.stream ORDER BY tenant, seq")
    listed = await memory.tenant.get("/v1/accounts?limit=500")
    await memory.run("DELETE FROM scoring_state.usage WHERE extract(day FROM day)::int % 2 = 0")
    await memory.run("UPDATE scoring_state.account_state SET band = 'none'; TRUNCATE scoring_state.fact_seen")
    await memory.run("DELETE FROM scoring_state.counter; DELETE FROM scoring_state.membership")
    found = await memory.replay()
    assert found.swapped
    assert set(found.different) == {"usage", "account_state", "counter", "membership"}
    assert await dump(owner, number) == whole
    assert [tuple(row) for row in await owner.fetch(_CATALOG, "scoring_state")] == catalog
    assert len(catalog) > 100
    assert await owner.fetch("SELECT * FROM scoring_state.stream ORDER BY tenant, seq") == told
    assert len(told) > 10
    assert [row[0] for row in await owner.fetch(_SCHEMAS)] == ["scoring", "scoring_state"]
    assert (await memory.tenant.get("/v1/accounts?limit=500"))["items"] == listed["items"]
    assert (await memory.check()).equal


async def test_what_was_known_before_a_swap_is_a_duplicate_after_it(memory: Memory) -> None:
    fact = memory.tenant.contact("a001", BASE)
    await memory.tenant.tell(fact)
    await memory.replay()
    whole = await dump(memory.house.owner, memory.tenant.number)
    await memory.tenant.tell(fact)
    assert await dump(memory.house.owner, memory.tenant.number) == whole


async def test_facts_that_arrive_during_a_swap_are_neither_lost_nor_counted_twice(memory: Memory) -> None:
    """Fold, assessments and the ticker run as they do in a service, and settings change in between."""
    house, tenant = memory.house, memory.tenant
    await keep_log(house.owner, house.clock.now().date())  # or the ticker makes the day's partition under an append
    over = asyncio.Event()
    fold = asyncio.create_task(folding(house, over))
    running = [fold, *(asyncio.create_task(work) for work in (house.assessor.run(), house.ticker.run()))]
    sent: list[int] = []
    told = asyncio.Event()
    telling = asyncio.create_task(arriving(house, tenant, sent, told))
    for _ in range(2):
        found = await memory.replay()
        assert found.different == ()
        await tenant.call("PUT", "/v1/settings", {"fx": FX})
    told.set()
    await telling
    assert [task for task in running if task.done()] == []
    over.set()
    await fold
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await house.settle()
    counted = await house.owner.fetchval(
        "SELECT sum(events) FROM scoring_state.usage JOIN scoring.feature_key USING (tenant, feature)"
        " WHERE tenant = $1 AND event = 'during'",
        tenant.number,
    )
    assert len(sent) > 20
    assert counted == len(sent)
    assert (await memory.check()).equal


async def folding(house: House, over: asyncio.Event) -> None:
    while not over.is_set():
        await house.fold.step(0.05)


async def arriving(house: House, tenant: TestTenant, sent: list[int], over: asyncio.Event) -> None:
    """One fact after another, each twice."""
    while not over.is_set():
        fact = tenant.usage(f"p{len(sent) % 7}", house.clock.now(), "a002", "during")
        await house.publish([fact, fact])
        sent.append(1)
        await asyncio.sleep(0.01)


async def test_what_an_interrupted_rebuild_left_is_dropped_by_the_next(memory: Memory) -> None:
    await memory.run("CREATE SCHEMA scoring_rebuilt; CREATE TABLE scoring_rebuilt.usage (a int)")
    task = asyncio.create_task(memory.check())
    await asyncio.sleep(0.3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [row[0] for row in await memory.house.owner.fetch(_SCHEMAS)] == ["scoring", "scoring_state"]
    assert (await memory.check()).equal


async def test_a_second_rebuild_beside_the_first_is_refused(memory: Memory) -> None:
    other = await asyncpg.connect(memory.settings.url)
    await other.execute(f"SELECT pg_advisory_lock({LOCK})")
    with pytest.raises(Busy):
        await memory.check()
    await other.close()


async def test_an_archive_that_cannot_be_read_replaces_nothing(memory: Memory) -> None:
    whole = await dump(memory.house.owner, memory.tenant.number)
    await memory.run(
        "INSERT INTO scoring.archive (month, topic, part, first_offset, next_offset, received_from, received_to, facts,"
        " bus, body) SELECT month, topic, part, first_offset, next_offset, received_from, received_to, 1, bus, $1"
        " FROM scoring.archive LIMIT 1",
        zstd(b'{"type":"usage","tenant":1}'),
    )
    with pytest.raises(Unreadable, match="1 archived lines cannot be read"):
        await memory.replay()
    await memory.run("DELETE FROM scoring.archive WHERE body = $1", zstd(b'{"type":"usage","tenant":1}'))
    assert await dump(memory.house.owner, memory.tenant.number) == whole


async def test_another_process_finds_the_same_bytes(memory: Memory, tmp_path: Path) -> None:
    """The command, with its own seed for hashes; it says what it compared, and a difference is exit code 1."""
    for seed, said in (("1", True), ("2", False)):
        done = await command(memory, tmp_path, seed)
        document = json.loads(done.stdout)
        assert (document["equal"], document["different"]) == (said, [] if said else ["contract"]), done.stderr
        assert done.returncode == (0 if said else 1)
        assert b"facts in the archive" in done.stderr
        await memory.run(DROP_ONE)


async def command(memory: Memory, folder: Path, seed: str) -> "subprocess.CompletedProcess[bytes]":
    """`genki replay --check`, at the hour at which the house stands."""
    ahead = memory.house.clock.now() - datetime.now(UTC)
    (folder / "clock-offset").write_text(str(ahead.total_seconds()), "ascii")
    environment = {
        **os.environ,
        "GENKI_DATABASE_URL": memory.settings.url,
        "GENKI_APP_PASSWORD": memory.settings.app_password,
        "GENKI_WORKER_PASSWORD": memory.settings.worker_password,
        "GENKI_DATA": str(folder),
        "PYTHONHASHSEED": seed,
    }
    words = [sys.executable, "-m", "services", "replay", "--check", "--json"]
    return await asyncio.to_thread(
        subprocess.run, words, cwd=ROOT, env=environment, capture_output=True, timeout=120, check=False
    )


def zstd(body: bytes) -> bytes:
    import cramjam

    return bytes(cramjam.zstd.compress(body, 3))
