"""A second tenant sees nothing, on no route, under no id, in no figure, and changes nothing that is not its own."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import pytest

from tests.journeys.filled import ALPHA, BETA, Tenant, fill
from tests.journeys.running import Ground, client

pytestmark = pytest.mark.slow
NOBODY: Final = "zq-nobody-has-this"
TOLD_BY_TIME: Final = {"as_of", "fresh_to", "computed_at", "newest_fact_age_s", "request_id"}
# Say back the key that they are asked with, or are pages behind links, and belong to nobody.
ECHO: Final = ("/v1/projects/", "/sourceConfig", "/s/", "/u/")
UNENDING: Final = "/v1/stream"  # has its own test that no tenant hears of another


@dataclass
class Town:
    """One running Genki: a tenant that came first, two filled alike, and one with nothing in it."""

    ground: Ground
    routes: dict[str, dict[str, Any]]
    alpha: Tenant
    beta: Tenant
    empty: Tenant
    before: dict[str, dict[str, Any]]  # what beta and the empty one were answered before alpha had anything

    def paths(self) -> list[str]:
        """The templates of every GET route."""
        asked = (path for path, told in self.routes.items() if "get" in told)
        return [path for path in asked if not path.startswith((*ECHO, UNENDING))]


@pytest.fixture(scope="module")
def ground(database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One `genki up`, all services in it."""
    opened = Ground(database, tmp_path_factory.mktemp("isolation"))
    opened.restart()
    yield opened
    opened.stop_all()


@pytest.fixture(scope="module")
async def town(ground: Ground) -> AsyncIterator[Town]:
    """Beta is filled and asked about everything, then alpha is filled, under the same ids but for its own ones."""
    url = ground.door
    async with AsyncExitStack() as stack:
        tenants: dict[str, Tenant] = {}
        for word in (ALPHA, BETA, "zqempty"):
            made = json.loads(ground.command("tenant", "create", f"{word} Ltd", "--json"))
            keys = made["keys"]
            door = await stack.enter_async_context(client(url, keys["server"]))
            asker = await stack.enter_async_context(client(url, keys["admin"]))
            tenants[word] = Tenant(word, made["tenant_id"], keys, door, asker)
        alpha, beta, empty = tenants.values()
        await fill(beta, 2)
        routes = (await empty.asker.get("/openapi.json")).json()["paths"]
        found = Town(ground, routes, alpha, beta, empty, {})
        found.before.update({one.word: await everything(found, one) for one in (beta, empty)})
        await fill(alpha, 5)
        yield found


COMMON: Final = {"account_id": "acct-1", "person_id": "p-0", "event": "login", "csm": "csm-1", "days": "90"}
GROUPINGS: Final = ("tenant", "account", "tier", "csm", "team", "rank", "survey")


def variants(town: Town, path: str, ids: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """The route plain, then with each parameter that has a value in `ids` and by each grouping: (URL path, query).
    A path parameter that this test knows no id for fails it: give it one in `fill`."""
    operation = town.routes[path]["get"]
    given = [one["name"] for one in operation.get("parameters", []) if one["in"] == "query"]
    unknown = set(re.findall(r"\{(\w+)\}", path)) - town.alpha.own.keys() - town.beta.own.keys()
    assert unknown == set(), f"no id to ask {path} with"
    concrete = re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], NOBODY), path)
    queries: list[dict[str, str]] = [{}, *({name: ids[name]} for name in given if name in ids)]
    queries += [{"by": value} for value in GROUPINGS if "by" in given]
    queries += [{"as_of": (datetime.now(UTC) - timedelta(days=2)).date().isoformat()}] if "as_of" in given else []
    today = datetime.now(UTC).date()
    span = {"since": str(today - timedelta(days=9)), "as_of": str(today - timedelta(days=2))}
    needed = span if "since" in given else {}
    return [(concrete, needed | query) for query in queries]


async def everything(town: Town, tenant: Tenant, ids: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a tenant is answered on every route, by path and query: status, and the body without what time changes."""
    found: dict[str, Any] = {}
    for path in town.paths():
        for concrete, query in variants(town, path, COMMON | tenant.own if ids is None else ids):
            answer = await tenant.asker.get(concrete, params=query)
            assert answer.status_code < 500, (concrete, query, answer.text)
            found[f"{path} {json.dumps(query)}"] = (answer.status_code, timeless(told_by(answer)))
    return found


def told_by(answer: Any) -> Any:
    """The body: JSON, or the text of a page."""
    return answer.text if answer.headers["content-type"].startswith("text/html") else answer.json()


def timeless(node: Any) -> Any:
    """A body without the members that the clock or the request alone changes."""
    if isinstance(node, dict):
        return {name: timeless(value) for name, value in node.items() if name not in TOLD_BY_TIME}
    return [timeless(one) for one in node] if isinstance(node, list) else node


async def test_the_first_tenants_words_are_on_its_own_routes_so_the_search_below_means_something(town: Town) -> None:
    found = await everything(town, town.alpha)
    telling = {key.partition(" ")[0] for key, told in found.items() if ALPHA in json.dumps(told)}
    assert telling >= {
        "/v1/accounts", "/v1/accounts/{account_id}", "/v1/coverage", "/v1/ingest/conflicts", "/v1/ingest/rejections",
        "/v1/keys", "/v1/nps", "/v1/responses", "/v1/settings", "/v1/summary", "/v1/surveys",
    }  # fmt: skip
    assert {told[0] for told in found.values() if told[0] != 200} <= {422}


async def test_no_route_tells_a_tenant_a_word_of_another(town: Town) -> None:
    for asker, other in ((town.beta, ALPHA), (town.alpha, BETA), (town.empty, ALPHA), (town.empty, BETA)):
        for key, told in (await everything(town, asker)).items():
            text = json.dumps(told, ensure_ascii=False).lower()
            assert other not in text, (asker.word, key)


async def test_no_figure_of_a_tenant_moves_when_another_is_filled(town: Town) -> None:
    for tenant in (town.beta, town.empty):
        after = await everything(town, tenant)
        assert after.keys() == town.before[tenant.word].keys()
        for key, told in after.items():
            assert (tenant.word, key, told) == (tenant.word, key, town.before[tenant.word][key])


COUNTS: Final = ("events", "active_users", "active_accounts", "count", "n", "sent", "eligible", "covered", "shortfall")


SERIES: Final = "/v1/coverage/series "  # a day of nobody is still a day


async def test_an_empty_tenant_has_no_row_and_no_count_anywhere(town: Town) -> None:
    for key, (status, body) in (await everything(town, town.empty)).items():
        if status == 200:
            told = [] if key.startswith(("/v1/keys ", "/v1/audit ", SERIES)) else body.get("items", [])
            assert (key, told, body.get("call_first", [])) == (key, [], [])
            days = body["items"] if key.startswith(SERIES) else []
            assert {group["eligible"] + group["covered"] for day in days for group in day["groups"]} <= {0}
            for part in (body, body.get("overall", {}), *body.get("groups", [])):
                assert (key, {name: part.get(name, 0) for name in COUNTS}) == (key, dict.fromkeys(COUNTS, 0))
    listed = (await town.empty.asker.get("/v1/keys")).json()
    assert {key["id"] for key in listed["items"]} == {text.split("_")[2] for text in town.empty.keys.values()}


async def test_a_foreign_id_is_answered_exactly_like_one_that_nobody_has(town: Town) -> None:
    nobody = dict.fromkeys(town.alpha.own, NOBODY)
    for asker in (town.beta, town.empty):
        foreign = await everything(town, asker, town.alpha.own)
        unknown = await everything(town, asker, nobody)
        told = {key.partition(" ")[0] for key, (status, _) in unknown.items() if status == 404}
        assert told == {path for path in town.paths() if "{" in path}
        renamed = {_nameless(key, town.alpha.own): value for key, value in foreign.items()}
        assert renamed == {_nameless(key, nobody): value for key, value in unknown.items()}


def _nameless(key: str, ids: Mapping[str, str]) -> str:
    for value in ids.values():
        key = key.replace(json.dumps(value), "?")
    return key


BODIES: Final[dict[str, Any]] = {
    "/v1/tiers/reviews/{review_id}/publish": {"effective_from": "2026-02-01", "note": "taken over"},
    "/v1/surveys/{survey_id}/invitations": {"person_ids": ["p-0"]},
    "/v1/keep-list/{account_id}/reason": {"reason": "taken over"},
    "/v1/accounts/{account_id}/health/override": {
        "band": "green",
        "reason": "taken over",
        "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    },
}


async def test_a_write_under_a_foreign_id_is_a_404_like_an_unknown_one_and_changes_no_row(town: Town) -> None:
    before = await _settled(town)
    tried: list[str] = []
    for path, told in town.routes.items():
        for method in (
            told.keys() & {"post", "put", "patch", "delete"}
            if "{" in path and not path.startswith((*ECHO, "/v1/imports/{kind}"))
            else ()
        ):
            found = [
                await town.beta.asker.request(method.upper(), _filled(path, ids), json=BODIES.get(path))
                for ids in (town.alpha.own, dict.fromkeys(town.alpha.own, NOBODY))
            ]
            assert [(path, one.status_code) for one in found] == [(path, 404)] * 2
            assert timeless(found[0].json()) == timeless(found[1].json())
            tried.append(f"{method} {path}")
    assert {"delete /v1/keys/{key_id}", "post /v1/tiers/reviews/{review_id}/publish"} <= set(tried)
    assert await _settled(town) == before


def _filled(path: str, ids: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)


_TABLES: Final = """SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('access', 'bus', 'ingest', 'nps', 'scoring', 'scoring_state') AND c.relkind IN ('r', 'p')
AND NOT c.relispartition"""
_RELATIONS: Final = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('access', 'bus', 'ingest', 'nps', 'scoring', 'scoring_state')
  AND c.relkind IN ('r', 'p', 'v', 'm')
"""
WORKERS_ONLY: Final = {
    "bus.head", "bus.log", "bus.log_other", "bus.outbox", "bus.position", "bus.setting", "access.tenant",
    "scoring.archive", "scoring.archive_other", "scoring_state.dirty", "scoring_state.due", "scoring_state.recheck",
    "scoring_state.fact_seen", "scoring_state.fact_seen_0", "scoring_state.usage_2026", "scoring_state.usage_other",
}  # fmt: skip
_TICKING: Final = {'bus."position"': "caught_up_at"}  # written as time passes


async def _dump(dsn: str) -> dict[str, tuple[int, str]]:
    """Rows and a digest of every table, as the owner sees them."""
    owner = await asyncpg.connect(dsn)
    found: dict[str, tuple[int, str]] = {}
    try:
        for row in await owner.fetch(_TABLES):
            less = f" - '{_TICKING[row[0]]}'" if row[0] in _TICKING else ""
            rows = [one[0] for one in await owner.fetch(f"SELECT (to_jsonb(t){less})::text FROM {row[0]} t")]
            found[row[0]] = (len(rows), hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest())
    finally:
        await owner.close()
    assert found["access.key"][0] >= 9  # else the owner itself is held back and the dump says nothing
    return found


async def _settled(town: Town) -> dict[str, tuple[int, str]]:
    """The dump, when nothing moves any more."""
    last: dict[str, tuple[int, str]] = {}
    found = last
    for _ in range(30):
        await asyncio.sleep(0.5)
        last, found = found, await _dump(town.ground.database.owner_dsn)
        if found == last:
            return found
    moving = sorted(table for table in last if last[table] != found[table])
    raise AssertionError(f"never at rest: {moving}")


async def test_without_a_key_or_with_half_of_one_every_read_is_refused(town: Town) -> None:
    right = town.beta.keys["admin"]
    for wrong in ("-", right[:-1], right.replace("_api_", "_server_"), "gk_api_x_y_z"):
        async with client(town.ground.door, wrong) as http:
            for path in town.paths():
                answer = await http.get(_filled(path, town.beta.own))
                assert (path, answer.status_code) == (path, 401)


async def test_the_request_role_reads_no_row_unasked_and_asked_for_one_tenant_only_its_rows(town: Town) -> None:
    made = town.ground.database
    owner, app = await asyncpg.connect(made.owner_dsn), await asyncpg.connect(made.app_dsn)
    try:
        numbers = {row[0]: row[1] for row in await owner.fetch("SELECT tenant_id, tenant FROM access.tenant")}
        beta = numbers[town.beta.tenant_id]
        refused: set[str] = set()
        for table in [row[0] for row in await owner.fetch(_RELATIONS)]:
            try:
                assert (table, await app.fetchval(f"SELECT count(*) FROM {table}")) == (table, 0)
            except asyncpg.InsufficientPrivilegeError:
                refused.add(table)
                continue
            mine = await owner.fetchval(f"SELECT count(*) FROM {table} WHERE tenant = $1", beta)
            assert await _seen_by(app, table, str(beta)) == ([beta] * bool(mine), mine)
        assert refused >= WORKERS_ONLY
        assert await _seen_by(app, "scoring_state.usage", str(beta)) != ([], 0)
    finally:
        await owner.close()
        await app.close()


async def _seen_by(app: asyncpg.Connection, table: str, tenants: str) -> tuple[list[int], int]:
    async with app.transaction():
        await app.execute(f"SET LOCAL app.tenants = '{tenants}'")
        rows = await app.fetch(f"SELECT tenant, count(*) AS n FROM {table} GROUP BY tenant")
    return [row["tenant"] for row in rows], sum(row["n"] for row in rows)


async def test_the_request_role_writes_no_row_for_a_tenant_that_it_did_not_name(town: Town) -> None:
    app = await asyncpg.connect(town.ground.database.app_dsn)
    owner = await asyncpg.connect(town.ground.database.owner_dsn)
    try:
        find = "SELECT tenant FROM access.tenant WHERE tenant_id = $1"
        alpha, beta = [await owner.fetchval(find, one.tenant_id) for one in (town.alpha, town.beta)]
        for statement in (
            f"INSERT INTO nps.survey VALUES ({alpha}, 's', 'n', 'relationship', now())",
            f"INSERT INTO scoring.settings VALUES ({alpha}, 99, '{{}}', 'x', now())",
            f"UPDATE access.key SET tenant = {alpha}",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await _as_tenant(app, beta, statement)
        assert await _as_tenant(app, beta, f"DELETE FROM scoring.settings WHERE tenant = {alpha}") == "DELETE 0"
    finally:
        await app.close()
        await owner.close()


async def _as_tenant(app: asyncpg.Connection, tenant: int, statement: str) -> str:
    async with app.transaction():
        await app.execute(f"SET LOCAL app.tenants = '{tenant}'")
        return await app.execute(statement)
