"""A person who is erased is nowhere any more: not in a table, the archive, the dead letters, a sheet or a line of the
log file; not after late facts, dead letters put back or a rebuild; and every figure stays."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import cramjam
import httpx2
import pytest

from services.scoring.replay import check, replay
from shared import facts
from shared.bus import Outgoing
from shared.bus.postgres import PostgresBus
from shared.clock import Clock, to_micros
from shared.postgres import DatabaseSettings
from tests.journeys.running import Ground, client, fresh, send

pytestmark = pytest.mark.slow
CANARY = "zqcanary"
WHO, ANONYMOUS = f"{CANARY}@x.example", f"{CANARY}-anonymous"
NAME, NOTE = "Zqcanary Yamada", f"{CANARY}-said-this"
NOW = datetime.now(UTC).replace(microsecond=0)
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^(pg_|information_schema)' ORDER BY 1
"""
FIGURES = ("/v1/accounts?limit=50", "/v1/coverage", "/v1/nps", "/v1/usage?by=feature", "/v1/accounts/acme/usage")


@dataclass
class Scene:
    """A running Genki with one tenant, as an admin, a server and a browser reach it."""

    ground: Ground
    owner: asyncpg.Connection
    asker: httpx2.AsyncClient
    door: httpx2.AsyncClient
    browser: httpx2.AsyncClient

    @property
    def settings(self) -> DatabaseSettings:
        made = self.ground.database
        return DatabaseSettings(made.owner_dsn, made.app_password, made.worker_password)

    async def get(self, path: str) -> Any:
        answer = await self.asker.get(path)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        return {name: value for name, value in told.items() if name not in ("as_of", "fresh_to")}

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self.asker.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def figures(self) -> list[Any]:
        await fresh(self.asker, datetime.now(UTC))
        return [await self.get(path) for path in FIGURES]


@asynccontextmanager
async def opened(ground: Ground) -> AsyncIterator[Scene]:
    keys = json.loads(ground.command("tenant", "create", "first", "--json"))["keys"]
    url = ground.up().wait_ready()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client(url, keys[name])) for name in ("admin", "server", "write")]
        owner = await asyncpg.connect(ground.database.owner_dsn)
        yield Scene(ground, owner, *clients)
        await owner.close()


def told() -> list[dict[str, Any]]:
    """What two people did in one account; one of them in every way there is."""
    days = [(NOW - timedelta(days=back)).isoformat() for back in range(1, 12)]
    person = {"type": "person", "account_id": "acme", "at": days[-1]}
    used = {"type": "usage", "event": "login"}
    reached = {"type": "contact", "account_id": "acme", "channel": "phone", "outcome": "reached", "at": days[3]}
    voices = [{"kind": "request", "text": NOTE}]
    return [
        {"type": "account", "id": "a1", "account_id": "acme", "name": "Acme", "at": days[-1], "status": "active"},
        {**person, "id": "p1", "person_id": WHO, "name": NAME, "email": f"{CANARY}-mail@x.example", "title": NOTE},
        {**person, "id": "p2", "person_id": "other", "name": "Ota"},
        *({**used, "id": f"u{n}", "person_id": WHO, "at": day} for n, day in enumerate(days)),
        *({**used, "id": f"v{n}", "person_id": ANONYMOUS, "at": day} for n, day in enumerate(days[:3])),
        {**used, "id": "w1", "person_id": "other", "at": days[0]},
        {**reached, "id": "c1", "person_ids": [WHO, "other"], "note": NOTE, "voices": voices},
        {**reached, "id": "c2", "person_ids": ["other"], "note": "a note about nobody"},
    ]  # fmt: skip


async def live(scene: Scene) -> str:
    """Fills the tenant; the person's link."""
    await send(scene.door, told())
    await send(scene.door, [{**told()[1], "title": "another"}])  # a conflict
    refused = await scene.door.post("/v1/events", json=[{"type": "usage", "id": "r1", "person_id": WHO, "event": 3}])
    assert refused.json()["results"][0]["status"] == "rejected"
    alias = {"type": "alias", "userId": WHO, "previousId": ANONYMOUS, "messageId": "m1"}
    await until(lambda: taken(scene.browser, "/v1/batch", {"batch": [alias]}))
    await fresh(scene.asker, datetime.now(UTC))
    survey = await scene.post("/v1/surveys", {"name": "Summer", "quiet_days": 0}, 201)
    path = f"/v1/surveys/{survey['survey_id']}/invitations"
    [item] = (await scene.post(path, {"person_ids": [WHO]}))["items"]
    assert (await scene.asker.post(item["link"], data={"score": "2", "comment": NOTE})).status_code == 303
    wish = {"band": "red", "reason": f"{NAME} is unhappy", "expires_at": (NOW + timedelta(days=3)).isoformat()}
    answer = await scene.asker.post("/v1/accounts/acme/health/override", json=wish)
    assert answer.status_code in (200, 201), answer.text
    await bury(scene)
    await until(lambda: scene.owner.fetchval("SELECT count(*) FROM ingest.rejection"))
    return item["link"]


async def taken(http: httpx2.AsyncClient, path: str, body: Any) -> bool:
    """Whether it is accepted: a log that is only just being made ready says 503 now and then."""
    return (await http.post(path, json=body)).status_code == 200


async def bury(scene: Scene) -> None:
    """A dead letter that names the person, one whose line is no JSON, and one that names nobody."""
    fact = facts.Usage(tenant=1, id="d1", received=to_micros(NOW), at=to_micros(NOW), person_id=WHO, event="login")
    lines = [
        facts.encode(fact).replace(b'"login"', b'"login","count":2000000'),
        f"not json {WHO}".encode(),
        b"not json either",
    ]
    async with asyncpg.create_pool(scene.ground.database.worker_dsn, min_size=1, max_size=1) as pool:
        await PostgresBus(pool, 12).publish([Outgoing(facts.USAGE_TOPIC, 0, lines, to_micros(NOW))], 10)
    await until(lambda: scene.owner.fetchval("SELECT count(*) FROM bus.log WHERE topic = $1", facts.DEAD_TOPIC))


async def until(asked: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not await asked():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def found(scene: Scene, *without: str) -> dict[str, list[str]]:
    """Where the person is still named: table → rows, everything compressed unpacked."""
    tables = [row[0] for row in await scene.owner.fetch(_TABLES) if row[0] not in without]
    assert len(tables) > 50
    named = {table: [*map(plain, await scene.owner.fetch(f"SELECT * FROM {table}"))] for table in tables}
    kept = {table: [row for row in rows if CANARY in row.lower()] for table, rows in named.items()}
    return {table: rows for table, rows in kept.items() if rows}


def plain(row: asyncpg.Record) -> str:
    return " ".join(unpacked(value) if isinstance(value, bytes) else str(value) for value in row.values())


def unpacked(value: bytes) -> str:
    if value[:4] == b"\x28\xb5\x2f\xfd":
        value = bytes(cramjam.zstd.decompress(value))
    return value.decode(errors="backslashreplace")


async def erase(scene: Scene) -> Any:
    """Asks, and asks again until it is done."""
    first = await scene.asker.post(f"/v1/people/{WHO}/erase")
    assert first.status_code == 202, first.text
    assert (first.json()["state"], first.json()["ids"]) == ("erasing", 2)

    async def done() -> bool:
        again = await scene.asker.post(f"/v1/people/{WHO}/erase")
        assert again.status_code in (200, 202), again.text
        assert again.json()["person_id"] == first.json()["person_id"]
        return again.status_code == 200

    await until(done)
    return first.json()


async def test_who_is_erased_is_nowhere_and_stays_counted(ground: Ground) -> None:
    async with opened(ground) as scene:
        link = await live(scene)
        before = await scene.figures()
        everywhere = await found(scene)
        assert everywhere.keys() >= {
            "bus.log", "ingest.rejection", "nps.answer", "nps.invitation", "scoring.archive", "scoring.conflict",
            "scoring.health_override", "scoring.person_key", "scoring_state.account_state", "scoring_state.contact",
            "scoring_state.person_attribute", "scoring_state.response",
        }  # fmt: skip

        assert (await scene.asker.post("/v1/people/nobody/erase")).status_code == 404
        alias = (await erase(scene))["person_id"]
        assert alias.startswith("erased:")
        assert unnamed(await scene.figures()) == unnamed(before)
        assert await found(scene) == {}
        people = (await scene.get("/v1/accounts/acme/people"))["items"]
        assert sorted(one["name"] or "" for one in people) == ["", "Ota"]
        assert any(one["person_id"].startswith("erased:") and one["active_days_28"] == 11 for one in people)
        assert (await scene.asker.post(link, data={"score": "9"})).status_code != 303

        await comes_back(scene)
        after = await scene.figures()
        assert await found(scene, "bus.log") == {}
        assert (await check(scene.settings, Clock(), lambda _: None)).different == ()
        assert (await replay(scene.settings, Clock(), lambda _: None)).different == ()
        ground.command("dead", "replay", "--all")
        assert await scene.figures() == after
        assert await found(scene, "bus.log") == {}
        sheet = await scene.asker.get("/v1/accounts?format=csv")
        assert CANARY not in sheet.text.lower()
        assert CANARY not in ground.processes[0].output.read_text().lower()
        erasures = (await scene.get("/v1/audit?action=person.erase"))["items"]
        assert [(row["target"], row["summary"]) for row in erasures] == [(alias, {"ids": 2})]


def unnamed(figures: list[Any]) -> Any:
    """Without the reason that named the person."""
    return json.loads(json.dumps(figures).replace(NAME, "[erased]"))


async def comes_back(scene: Scene) -> None:
    """Late facts that name the person, a sheet, a new alias, a survey that invites them again."""
    late = (NOW - timedelta(hours=1)).isoformat()
    person = {"type": "person", "account_id": "acme", "person_id": WHO, "name": NAME, "email": WHO, "at": late}
    used = {"type": "usage", "person_id": ANONYMOUS, "event": "login", "at": late}
    spoken = {"type": "contact", "account_id": "acme", "channel": "phone", "outcome": "reached", "at": late}
    events = await scene.get("/v1/usage?by=feature")
    await send(scene.door, [
        {**person, "id": "late1"}, {**used, "id": "late2"},
        {**spoken, "id": "late3", "person_ids": [WHO], "note": NOTE, "voices": [{"kind": "request", "text": NOTE}]},
    ])  # fmt: skip
    await fresh(scene.asker, datetime.now(UTC))
    assert await scene.get("/v1/usage?by=feature") != events
    survey = await scene.post("/v1/surveys", {"name": "Autumn", "quiet_days": 0}, 201)
    [item] = (await scene.post(f"/v1/surveys/{survey['survey_id']}/invitations", {"person_ids": [WHO]}))["items"]
    assert item["status"] == "skipped", item
