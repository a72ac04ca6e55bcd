"""Every book read from a real database: balanced as the fold leaves it, and red for each row that somebody touches."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from services.scoring.ledger import read
from services.scoring.ledger.attempts import Line, digest, encode
from services.scoring.ledger.books import Report
from services.scoring.ledger.read import audit
from shared import facts
from shared.bus import Outgoing
from shared.facts import InvitationBounced, InvitationSent, type_of
from shared.postgres import DatabaseSettings
from tests.conftest import TestDatabase
from tests.services.scoring.builders import TODAY
from tests.services.scoring.conftest import house
from tests.services.scoring.harness import House, TestTenant

__all__ = ["house"]
DAY = timedelta(days=1)


def told(tenant: TestTenant) -> list[facts.AnyFact]:
    """One fact of every kind at least."""
    number, now = tenant.number, tenant.house.clock.micros()
    sent = {"survey_id": "s", "invitation_id": "i", "person_id": "p", "at": now, "tenant": number, "received": now}
    return [
        tenant.account("a", acv="1000", seats=3),
        tenant.account("b", merged_into="a"),
        tenant.account("c"),
        tenant.person("p", "a", name="Aiko"),
        tenant.person("q", None, title="engineer"),
        tenant.csm("k", name="Sato"),
        tenant.contact("a", TODAY - DAY),
        tenant.contract("a", TODAY - 9 * DAY, acv="1000"),
        tenant.response(9, TODAY - DAY, "a", "p"),
        InvitationSent(id="is", **sent),
        InvitationSent(id="is-again", **{**sent, "at": now - 5}),
        InvitationBounced(id="ib", **sent),
        facts.Alias(id="l", person_id="p", previous_id="p-before", at=now, tenant=number, received=now),
        *(tenant.usage(f"p{n % 7}", TODAY - n % 30 * DAY, "a" if n % 2 else None, times=1 + n % 3) for n in range(60)),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lived(house: House, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Path]]:
    """Two tenants of which all was sent, some of it again and some of it wrong; and what one's client kept."""
    first, second = await house.tenant(), await house.tenant()
    said, others = told(first), told(second)
    repeated = said[-1]
    assert isinstance(repeated, facts.Usage)
    await first.tell(*said, *others)
    await first.tell(*said[::3], facts.decode(facts.encode(repeated).replace(b'"open"', b'"shut"')))
    bad = [b"what?", facts.encode(repeated).replace(b'"tenant":1', b'"tenant":99'), facts.encode(said[0])]
    await house.bus.publish([Outgoing(facts.USAGE_TOPIC, 1, bad, house.clock.micros())], 10)
    await house.settle()
    kept = tmp_path_factory.mktemp("ledger") / "sent.ndjson"
    mine = [one for one in said if type_of(one) not in ("survey_response", "invitation_sent", "invitation_bounced")]
    items = [[(type_of(one), one.id, digest(one))] for one in mine]
    end = Line(end="1", results=[None for _ in items])
    kept.write_bytes(encode(Line(attempt="1", tenant=first.name, items=items)) + encode(end))
    yield house, kept


async def audited(database: TestDatabase, house: House, kept: Path | None = None) -> Report:
    settings = DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password)
    lines: list[str] = []
    report = await audit(settings, None, house.clock.now(), kept, lines.append)
    assert lines[-1].startswith("judged: ")
    return report


async def test_what_the_fold_leaves_balances(database: TestDatabase, lived: tuple[House, Path]) -> None:
    report = await audited(database, *lived)
    assert report.green, report.text()
    assert report.totals["t_1"] == {
        "ids": 73, "acked": 69, "rejected": 0, "unknown": 0, "applied": 73, "duplicate": 27, "dead": 0, "waiting": 0,
        "consumed": 100,
    }  # fmt: skip
    assert report.totals["t_2"]["applied"] == report.totals["t_2"]["consumed"] == 73
    assert report.totals["tenant 0"]["dead"] == report.totals["tenant 99"]["dead"] == 1


async def test_lots_of_three_rows_find_the_same_as_large_ones(
    database: TestDatabase, lived: tuple[House, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await audited(database, *lived)
    monkeypatch.setattr(read, "_CHUNK", 3)
    assert (await audited(database, *lived)).document() == whole.document()


async def test_without_a_client_the_rest_is_proven(database: TestDatabase, lived: tuple[House, Path]) -> None:
    report = await audited(database, lived[0])
    assert report.green, report.text()
    assert {one.equation: one.state for one in report.findings if one.state != "ok"} == {
        1: "not run", 3: "not run", 4: "not run", 6: "not run",
    }  # fmt: skip


SEEN, ARCHIVE, USAGE = "scoring_state.fact_seen", "scoring.archive", "scoring_state.usage"
_ONE = "WHERE ctid = (SELECT min(ctid) FROM {table})"
_AGAIN = "month, topic, part, first_offset, next_offset, received_from, received_to, facts, bus, body"
TOUCHED = {
    "an id forgotten": (
        SEEN,
        "DELETE FROM {table} WHERE key = (SELECT key FROM {table} WHERE seen_on = 'infinity' LIMIT 1)",
        {2: "in the archive, but not in the dedupe table"},
    ),
    "an id nobody applied": (
        SEEN,
        "INSERT INTO {table} VALUES (gen_random_uuid(), 1, 'infinity', 5)",
        {2: "known to the dedupe table, but not in the archive"},
    ),
    "another body remembered": (
        SEEN,
        "UPDATE {table} SET body = body + 1 WHERE seen_on = 'infinity' AND tenant = 1",
        {5: "the dedupe table remembers another body than the archive holds"},
    ),
    "an id under another tenant": (
        SEEN,
        "UPDATE {table} SET tenant = 2 WHERE key = (SELECT key FROM {table} WHERE tenant = 1 LIMIT 1)",
        {5: "applied for tenant 1, known under tenant 2"},
    ),
    "an archived record gone": (
        ARCHIVE,
        "DELETE FROM {table} WHERE seq = (SELECT min(seq) FROM {table} WHERE topic = 'genki.usage.v1')",
        {1: "the consumer skipped it", 2: "not in the archive", 7: "the usage table"},
    ),
    "an archived record twice": (
        ARCHIVE,
        f"INSERT INTO {{table}} ({_AGAIN}) SELECT {_AGAIN} FROM {{table}} ORDER BY seq LIMIT 1",
        {2: "two batches applied offsets", 5: "applied more often than it is in the log"},
    ),
    "a contact gone": ("scoring_state.contact", "DELETE FROM {table}", {2: "not in the table of its type (contact)"}),
    "an answer nobody gave": (
        "scoring_state.response",
        "INSERT INTO {table} (tenant, id, response_id, survey_id, at) VALUES (1, 'x', 'x', 'x', now())",
        {2: "in the table of its type (survey_response), but not in the archive"},
    ),
    "usage counted once too often": (
        USAGE,
        "UPDATE {table} SET events = events + 1 WHERE ctid = (SELECT min(ctid) FROM {table})",
        {7: "in the usage table"},
    ),
    "a position beyond the log": (
        "bus.position",
        "UPDATE {table} SET next = next + 1 WHERE topic = 'genki.usage.v1' AND part = 0",
        {7: "lies beyond the log's end"},
    ),
    "a record of the log gone": (
        "bus.log",
        "DELETE FROM {table} WHERE topic = 'genki.usage.v1' AND off = 1",
        {7: "records are missing"},
    ),
    "dead letters gone": (
        "bus.log",
        "DELETE FROM {table} WHERE topic = 'genki.dead.v1'",
        {7: "was consumed without an outcome"},
    ),
}


@asynccontextmanager
async def touched(house: House, table: str, statement: str) -> AsyncIterator[None]:
    """The statement for as long as the block lasts; then the table is as it was."""
    system = "OVERRIDING SYSTEM VALUE " if table == ARCHIVE else ""
    await house.owner.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table}")
    await house.owner.execute(statement.format(table=table))
    try:
        yield
    finally:
        await house.owner.execute(
            f"DELETE FROM {table}; INSERT INTO {table} {system}SELECT * FROM kept; DROP TABLE kept"
        )


@pytest.mark.parametrize(("table", "statement", "expected"), TOUCHED.values(), ids=list(TOUCHED))
async def test_a_row_that_somebody_touches_is_found(
    database: TestDatabase, lived: tuple[House, Path], table: str, statement: str, expected: dict[int, str]
) -> None:
    house, kept = lived
    async with touched(house, table, statement):
        report = await audited(database, house, kept)
    whys = {one.equation: " | ".join(found.why for found in one.first) for one in report.findings if one.count}
    assert whys.keys() >= expected.keys(), report.text()
    for equation, why in expected.items():
        assert why in whys[equation]


async def test_what_the_client_sent_and_what_waits_is_told(
    database: TestDatabase, lived: tuple[House, Path], tmp_path: Path
) -> None:
    house, kept = lived
    more = tmp_path / "more.ndjson"
    items = [[("usage", "u-lost", 5)], [("usage", "u-waits", 6)], [("usage", "u-refused", 7)]]
    line = Line(attempt="2", tenant="t_1", items=items)
    more.write_bytes(kept.read_bytes() + encode(line) + encode(Line(end="2", results=[None, None, "junk_id"])))
    waits = facts.Usage(tenant=1, id="u-waits", received=house.clock.micros(), at=0, person_id="p", event="e")
    await house.publish([waits])
    report = await audited(database, house, more)
    assert report.broken() == [1]  # and no other: what was touched before was put back
    assert {found.what for found in report.findings[0].first} == {"usage u-lost", "usage u-waits"}
    assert "it waits" in report.text()
    assert "never in the log" in report.text()
    await house.settle()
    assert (await audited(database, house, kept)).broken() == [5]  # now it is applied, and this client never sent it
