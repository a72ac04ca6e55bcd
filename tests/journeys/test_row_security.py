"""Row-level security itself: Genki refuses to start where it has a hole, and the request role sees nothing unasked."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from shared.postgres import APP_ROLE, WORKER_ROLE, DatabaseSettings, NotIsolated, open_database
from tests.conftest import TestDatabase, run_apart
from tests.journeys.running import Ground

SCHEMAS: Final = ("access", "bus", "ingest", "nps", "scoring", "scoring_state")
_RELATIONS: Final = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1
"""


async def execute(dsn: str, *statements: str) -> None:
    """Runs statements one by one."""
    conn = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await conn.execute(statement)
    finally:
        await conn.close()


HOLES: Final = {
    "FORCE taken off": ("ALTER TABLE scoring_state.contact NO FORCE ROW LEVEL SECURITY", "contact"),
    "policy dropped": ("DROP POLICY tenant ON scoring_state.contact", "contact"),
    "role bypasses": (f"ALTER ROLE {APP_ROLE} BYPASSRLS", f"{APP_ROLE} is a superuser, bypasses"),
    "role owns a table": (f"ALTER TABLE nps.survey OWNER TO {APP_ROLE}", f"{APP_ROLE} is a superuser, bypasses"),
}


@pytest.fixture
def own_database(new_database: Callable[[], TestDatabase]) -> Iterator[TestDatabase]:
    """A database of the test's own; roles belong to the whole server and are set right again."""
    made = new_database()
    yield made
    run_apart(execute(made.owner_dsn, f"ALTER ROLE {APP_ROLE} NOBYPASSRLS", f"ALTER ROLE {WORKER_ROLE} NOBYPASSRLS"))


@pytest.mark.slow
@pytest.mark.parametrize(("statement", "told"), HOLES.values(), ids=list(HOLES))
def test_genki_does_not_start_where_tenants_are_not_kept_apart_and_says_why(
    own_database: TestDatabase, tmp_path: Path, statement: str, told: str
) -> None:
    ground = Ground(own_database, tmp_path)
    run_apart(execute(own_database.owner_dsn, statement))
    process = ground.up()
    try:
        assert process.handle.wait(60) == 1
    finally:
        ground.stop_all()
    said = process.output.read_text()
    assert "NotIsolated" in said
    assert told in said
    assert "ready http" not in said


async def _opens(made: TestDatabase) -> str:
    """Empty when the boot check passes, else what it says."""
    settings = DatabaseSettings(made.owner_dsn, made.app_password, made.worker_password, 1, 1)
    try:
        database = await open_database(settings)
    except NotIsolated as problem:
        return str(problem)
    await database.close()
    return ""


async def test_force_off_row_security_off_or_a_dropped_policy_of_any_table_is_found(database: TestDatabase) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    guarded = [name for name in await _relations(owner) if await _granted(owner, name)]
    assert {"access.key", "ingest.rejection", "nps.survey", "scoring.settings", "scoring_state.usage"} <= set(guarded)
    try:
        for table in guarded:
            for hole in ("NO FORCE", "DISABLE"):
                await owner.execute(f"ALTER TABLE {table} {hole} ROW LEVEL SECURITY")
                found = await _opens(database)
                assert (table, found.endswith(table.rpartition(".")[2])) == (table, True), hole
                await owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY")
    finally:
        await owner.close()
    assert await _opens(database) == ""


async def _relations(owner: asyncpg.Connection) -> list[str]:
    return [row[0] for row in await owner.fetch(_RELATIONS, list(SCHEMAS))]


async def _granted(owner: asyncpg.Connection, table: str) -> bool:
    return bool(await owner.fetchval("SELECT has_table_privilege($1, $2, 'SELECT')", APP_ROLE, table))


OTHER_HOLES: Final = {
    "worker bypasses": f"ALTER ROLE {WORKER_ROLE} BYPASSRLS",
    "worker owns a table": f"ALTER TABLE nps.survey OWNER TO {WORKER_ROLE}",
    "view past the policy": f"CREATE VIEW nps.v AS SELECT * FROM nps.survey; GRANT SELECT ON nps.v TO {APP_ROLE}",
    "tenant list granted": f"GRANT SELECT ON access.tenant TO {APP_ROLE}",
    "queue granted": f"GRANT SELECT ON scoring_state.dirty TO {APP_ROLE}",
    "new table unguarded": f"CREATE TABLE nps.n (tenant int); GRANT SELECT ON nps.n TO {APP_ROLE}",
    "partition granted": f"GRANT SELECT ON scoring_state.usage_2026 TO {APP_ROLE}",
    "member of the workers": f"GRANT {WORKER_ROLE} TO {APP_ROLE}",
    "column granted": f"GRANT SELECT (tenant_id) ON access.tenant TO {APP_ROLE}",
    "log granted": f"GRANT SELECT ON bus.log TO {APP_ROLE}",
    "archive granted": f"GRANT SELECT ON scoring.archive TO {APP_ROLE}",
    "policy that lets all through": "ALTER POLICY tenant ON scoring.settings USING (true)",
    "second policy": f"CREATE POLICY more ON scoring.settings TO {APP_ROLE} USING (true)",
    "policy dropped beside the owner's": "DROP POLICY tenant ON scoring.settings",
}


@pytest.mark.parametrize(
    "statement",
    [
        *(pytest.param(text, id=name) for name, text in OTHER_HOLES.items()),
    ],
)
async def test_other_ways_past_the_policy_are_found_too(own_database: TestDatabase, statement: str) -> None:
    await execute(own_database.owner_dsn, statement)
    try:
        assert await _opens(own_database) != ""
    finally:
        await execute(own_database.owner_dsn, f"REVOKE {WORKER_ROLE} FROM {APP_ROLE}")
