"""Databases of up to a million accounts, kept in a folder and used again: a few thousand that were really folded and
assessed, multiplied by SQL under new ids."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from services.cli.prepare import PARTITIONS, prepare
from services.cli.tenants import NewTenant, create_tenant
from shared import facts
from shared.clock import Clock
from shared.embedded import OWNER, EmbeddedPostgres, start_postgres
from shared.migrations.run import migrate
from shared.postgres import DatabaseSettings
from tests.bench import made
from tests.bench.house import Base, House
from tests.bench.log import drained, held_back, records
from tests.bench.table import say
from tests.plans import columns_of, recounted

SEED: Final = 4_000  # accounts that are folded and assessed
NEIGHBOUR: Final = 2_000  # accounts of the other tenant
_PEOPLE_COPIES: Final = 5  # copies that bring their usage along
FOLDER: Final = Path(tempfile.gettempdir()) / "genki-bench-reads"
_INDEXES: Final = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made FROM pg_index
WHERE indrelid = $1::regclass AND NOT indisprimary
"""
# What is different in the n-th copy of an account, by column; every tenth belongs to one CSM who has very many.
_ID: Final = "x.account_id || '-' || n"
_CSM: Final = "CASE WHEN n % 10 = 0 THEN 'pool' WHEN n % 8 = 0 THEN x.csm_id ELSE x.csm_id || '-' || n % 8 END"
_TEAM: Final = "CASE WHEN n % 10 = 0 THEN 'pooled' WHEN n % 8 = 0 THEN x.team ELSE x.team || '-' || n % 8 END"
_CHANGED: Final[dict[str, dict[str, str]]] = {
    "scoring.account_key": {"account_id": _ID},
    "scoring_state.account_state": {
        "account_id": _ID, "id_folded": _ID, "csm_id": _CSM, "csm_name": _CSM, "team": _TEAM,
        "name": "x.name || ' ' || n", "name_folded": "x.name_folded || ' ' || n",
        "call_order": "x.call_order || '-' || n", "digest": "gen_random_uuid()",
        "score": "greatest(x.score - random() / 1000, 0)",
        "acv": "x.acv + 10000 * (n % 50)", "acv_order": "x.acv_order - 10000 * (n % 50)",
    },
    "scoring_state.standing": {}, "scoring_state.account_attribute": {}, "scoring_state.account_user": {},
    "scoring_state.contact": {"id": "x.id || '-' || n", "sent_id": "x.sent_id || '-' || n", "csm_id": _CSM},
    "scoring_state.usage": {},
}  # fmt: skip
_SOME: Final = ("scoring_state.account_user", "scoring_state.usage")  # of the first copies only
_CSMS: Final = """
INSERT INTO scoring_state.csm_attribute (tenant, csm_id, field, at, id, value)
SELECT x.tenant, x.csm_id || '-' || n, x.field, x.at, x.id,
  to_jsonb(CASE x.field WHEN 'name' THEN x.csm_id || '-' || n ELSE (x.value #>> '{}') || '-' || n END)
FROM scoring_state.csm_attribute x, generate_series(1, 7) n WHERE x.tenant = $1 AND x.field IN ('name', 'team')
UNION ALL SELECT $1, 'pool', field, '2020-01-01', 'p', to_jsonb(told)
FROM (VALUES ('name', 'pool'), ('team', 'pooled')) v(field, told)
"""


def kept(house: House, accounts: int) -> Base:
    """The base of that size, made when the folder has none; its server is the house's from now on. ANALYZEd, and at
    the newest schema."""
    folder = FOLDER / str(accounts)
    server = start_postgres(folder / "data")
    house.adopt(server)
    settings = DatabaseSettings(server.dsn(OWNER, server.owner_password), server.app_password, server.worker_password)
    told = folder / "base.json"
    if told.exists():
        asyncio.run(migrate(settings.url))
        return Base("genki", settings, NewTenant(**json.loads(told.read_text("utf-8"))))
    base = asyncio.run(_fresh(server, settings))
    asyncio.run(_fill(house, base, accounts))
    told.write_text(json.dumps(base.tenant._asdict()), "utf-8")
    return base


async def _fresh(server: EmbeddedPostgres, settings: DatabaseSettings) -> Base:
    conn = await asyncpg.connect(server.dsn(OWNER, server.owner_password, "postgres"))
    try:
        await conn.execute("DROP DATABASE IF EXISTS genki WITH (FORCE)")
        await conn.execute("CREATE DATABASE genki")
    finally:
        await conn.close()
    await prepare(settings, None, PARTITIONS)
    return Base("genki", settings, await create_tenant(settings, "Bench", "Asia/Tokyo", "JPY", Clock().now()))


async def _fill(house: House, base: Base, accounts: int) -> None:
    other = await create_tenant(base.settings, "Neighbour", "Asia/Tokyo", "JPY", Clock().now())
    worker = house.genki(base)
    seed = min(accounts, SEED)
    for tenant, count in ((base.tenant.tenant, seed), (other.tenant, min(accounts, NEIGHBOUR))):
        told = [*_book(tenant, count), *made.usage(tenant, 5, count * 20, count, days=60)]
        async with held_back(base, records(told)) as conn:
            await conn.execute("COMMIT")
            await drained(conn, assessed=True)
    worker.end()
    conn = await asyncpg.connect(base.settings.url)
    try:
        await _multiply(conn, base.tenant.tenant, accounts // seed - 1)
        await conn.execute("VACUUM ANALYZE")
    finally:
        await conn.close()


def _book(tenant: int, count: int) -> Iterator[facts.AnyFact]:
    """The bench's book; of seven accounts one has left and one begins, most have a renewal, some a plan."""
    now = time.time_ns() // 1000
    for number, fact in enumerate(made.book(tenant, count, now)):
        if isinstance(fact, facts.Account):
            day = Clock().now().date().toordinal() + number % 400
            status = {0: "churned", 1: "onboarding"}.get(number % 7, "active")
            renewal = None if number % 11 == 0 else _day(day)
            yield msgspec.structs.replace(fact, status=status, renewal_on=renewal)
        else:
            yield fact
        if isinstance(fact, facts.Contact) and number % 20 == 0:
            ahead = now + number % 60 * made.DAY_US - 20 * made.DAY_US
            yield msgspec.structs.replace(fact, id=f"p{number}", outcome="planned", at=ahead)


def _day(ordinal: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime((ordinal - 719_163) * 86_400))


async def _multiply(conn: asyncpg.Connection, tenant: int, copies: int) -> None:
    if copies < 1:
        return
    span = int(await conn.fetchval("SELECT max(account) FROM scoring.account_key") or 0)
    await conn.execute(_CSMS, tenant)
    for table, changed in _CHANGED.items():
        say(f"multiplying {table}")
        await _copied(conn, table, changed, tenant, span, min(copies, _PEOPLE_COPIES) if table in _SOME else copies)
    await recounted(conn, tenant)
    await conn.execute(f"SELECT setval('scoring.account_key_account_seq', {span * (copies + 2)})")


async def _copied(
    conn: asyncpg.Connection, table: str, changed: dict[str, str], tenant: int, span: int, copies: int
) -> None:
    columns = await columns_of(conn, table)
    told = {"account": f"x.account + n * {span}", **changed}
    values = ", ".join(told.get(name, f"x.{name}") for name in columns)
    indexes = await conn.fetch(_INDEXES, table) if table.endswith("account_state") else []
    for row in indexes:
        await conn.execute(f"DROP INDEX {row['name']}")
    sql = f"INSERT INTO {table} ({', '.join(columns)}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {table} x"
    await conn.execute(f"{sql}, generate_series(1, {copies}) n WHERE x.tenant = {tenant}", timeout=3600)
    for row in indexes:
        await conn.execute(row["made"], timeout=3600)


def main(sizes: Sequence[str]) -> None:
    """Makes the bases of these sizes."""
    from tests.bench.house import open_house

    for size in sizes:
        with open_house() as house:
            began = time.monotonic()
            base: Any = kept(house, int(size))
            say(f"{base.name} of {size} accounts in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
