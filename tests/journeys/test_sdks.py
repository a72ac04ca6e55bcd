"""The tracking libraries of Segment and RudderStack, as they come from the registry, against a running Genki."""

import asyncio
import base64
import gzip
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient

from tests.journeys.proxy import Fault, proxy
from tests.journeys.running import Ground, client, fresh

pytestmark = pytest.mark.slow
CAPTURES = Path(__file__).resolve().parents[1] / "fixtures" / "sdk-captures.jsonl"
LINES: list[dict[str, Any]] = [json.loads(line) for line in CAPTURES.read_text("utf-8").splitlines()]
POSTS = [line for line in LINES if line["m"] == "POST"]
_SET_BY_CLIENT = {"host", "content-length", "connection", "transfer-encoding"}


@dataclass(frozen=True)
class Tenant:
    """One tenant of the running Genki: its keys, and an HTTP client that may ask everything."""

    url: str
    tenant_id: str
    write: str
    admin: str
    dsn: str

    async def ask(self, path: str, **params: Any) -> Any:
        """A read, when every fact sent so far is in the figures."""
        async with client(self.url, self.admin) as http:
            await fresh(http, datetime.now(UTC))
            answer = await http.get(path, params=params)
            assert answer.status_code == 200, answer.text
            return answer.json()

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the tables hold of this tenant ($1), read as the owner."""
        owner = await asyncpg.connect(self.dsn)
        try:
            tenant = await owner.fetchval("SELECT tenant FROM access.tenant WHERE tenant_id = $1", self.tenant_id)
            return [tuple(row) for row in await owner.fetch(sql, tenant)]
        finally:
            await owner.close()


@pytest.fixture(scope="module")
def ground(database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """One `genki up`, all services in it, for every test here."""
    opened = Ground(database, tmp_path_factory.mktemp("sdks"))
    opened.up().wait_ready()
    yield opened
    opened.stop_all()


@pytest.fixture
def tenant(ground: Ground) -> Tenant:
    """A tenant of the test's own."""
    made = json.loads(ground.command("tenant", "create", "SDK", "--time-zone", "UTC", "--json"))
    keys = made["keys"]
    return Tenant(ground.processes[0].url, made["tenant_id"], keys["write"], keys["admin"], ground.database.owner_dsn)


SEEN = "SELECT count(*) FROM scoring_state.fact_seen WHERE tenant = $1"
FIELDS = """SELECT field, value #>> '{}' FROM scoring_state.account_attribute WHERE tenant = $1
    ORDER BY field"""
PERSON = """SELECT field, value #>> '{}' FROM scoring_state.person_attribute WHERE tenant = $1 AND account = 0
    ORDER BY field"""
ALIASES = """SELECT p.person_id, q.person_id FROM scoring_state.alias a JOIN scoring.person_key p USING (tenant, person)
    JOIN scoring.person_key q ON q.tenant = a.tenant AND q.person = a.previous WHERE a.tenant = $1"""


def segment_client(tenant: Tenant, host: str, **more: Any) -> SegmentClient:
    return SegmentClient(tenant.write, host=host, on_error=_raise, **more)


def rudder_client(tenant: Tenant, host: str, **more: Any) -> RudderClient:
    return RudderClient(tenant.write, host=host, on_error=_raise, **more)


def _raise(error: Exception, _items: Any) -> None:
    raise AssertionError(f"the library gave up: {error}")


@pytest.mark.parametrize("library", [segment_client, rudder_client], ids=["segment", "rudderstack"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_every_call_of_a_library_is_in_the_answers(
    tenant: Tenant, library: Callable[..., Any], packed: bool
) -> None:
    sdk = library(tenant, tenant.url, gzip=packed)
    sdk.identify("ada", {"name": "Ada Lovelace", "email": "ada@acme.example", "title": "Engineer"})
    sdk.group("ada", "acme", {"name": "Acme 株式会社", "industry": "Robots", "plan": "pro", "employees": 12})
    sdk.track("ada", "Report Viewed", {"rows": 7})
    sdk.track("ada", "Report Viewed", {"rows": 8})
    sdk.page("ada", "Docs", "Home", {"path": "/"})
    sdk.screen("ada", "Main", "Start")
    sdk.track("bob", "Report Viewed", context={"groupId": "beta"})
    sdk.track("nobody-knows", "Report Viewed")
    sdk.alias("old-ada", "ada")
    await asyncio.to_thread(sdk.flush)
    await asyncio.to_thread(sdk.join)
    await _answers_hold(tenant)


async def _answers_hold(tenant: Tenant) -> None:
    usage = await tenant.ask("/v1/usage")
    assert [usage[name] for name in ("events", "active_users", "active_accounts")] == [5, 2, 2]
    for event, count in (("Report Viewed", 3), ("Home", 1), ("Start", 1)):
        assert (event, (await tenant.ask("/v1/usage", event=event))["events"]) == (event, count)
    acme = await tenant.ask("/v1/accounts/acme")
    assert (acme["name"], acme["active_users_28d"], acme["acv"]) == ("Acme 株式会社", 1, None)
    assert (await tenant.ask("/v1/accounts/acme/usage"))["events"] == 4
    assert (await tenant.ask("/v1/accounts/beta/usage"))["events"] == 1
    assert (await tenant.ask("/v1/accounts/beta"))["name"] is None
    assert (await tenant.ask("/v1/ingest/unassigned"))["count"] == 1
    assert (await tenant.ask("/v1/ingest/rejections"))["items"] == []
    assert (await tenant.ask("/v1/ingest/conflicts"))["items"] == []
    told = [("industry", "Robots"), ("name", "Acme 株式会社"), ("plan", "pro"), ("traits.employees", "12")]
    assert await tenant.rows(FIELDS) == told
    assert await tenant.rows(PERSON) == [("email", "ada@acme.example"), ("name", "Ada Lovelace"), ("title", "Engineer")]
    assert await tenant.rows(ALIASES) == [("ada", "old-ada")]
    assert await tenant.rows(SEEN) == [(10,)]  # a group call with a person is an account fact and a membership


# Of 12 batches: refused before Genki hears of them, told 503 although stored, or cut off although stored.
PLAN: tuple[Fault, ...] = (
    "503", "503 stored", "pass", "429", "503 stored", "cut stored", "pass", "pass", "429", "503", "pass", "503 stored",
    "503", "503 stored", "cut stored", "pass", "429", "503 stored", "pass", "429", "429", "cut stored",
)  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_429_and_503_before_and_after_storing_leave_exactly_the_events_that_were_sent(
    tenant: Tenant, packed: bool
) -> None:
    async with proxy(tenant.url, PLAN) as (url, trace):
        sdk = segment_client(tenant, url, upload_size=10, gzip=packed)
        for number in range(120):
            sdk.track(f"p{number % 7}", f"e{number % 3}", {"n": number}, context={"groupId": f"a{number % 5}"})
        await asyncio.wait_for(asyncio.to_thread(sdk.flush), 60)
        await asyncio.to_thread(sdk.join)
    assert tuple(trace.faults[: len(PLAN)]) == PLAN
    assert max(trace.retries) >= 2
    assert set(trace.statuses) == {200}
    arrived = Counter(one for ids in trace.passed for one in ids)
    assert len(arrived) == 120
    assert sum(arrived.values()) > 150  # so what follows was earned: many came twice or more
    usage = await tenant.ask("/v1/usage")
    assert [usage[name] for name in ("events", "active_users", "active_accounts")] == [120, 7, 5]
    assert [(await tenant.ask("/v1/usage", event=f"e{n}"))["events"] for n in range(3)] == [40, 40, 40]
    assert await tenant.rows(SEEN) == [(120,)]
    assert (await tenant.ask("/v1/ingest/rejections"))["items"] == []
    assert (await tenant.ask("/v1/ingest/conflicts"))["items"] == []  # a retry differs in sentAt alone


async def test_rudderstack_under_503_before_and_after_storing_leaves_exactly_the_events_that_were_sent(
    tenant: Tenant,
) -> None:
    async with proxy(tenant.url, ("503 stored", "pass", "cut stored", "pass", "503")) as (url, trace):
        sdk = rudder_client(tenant, url, upload_size=10)
        for number in range(40):
            sdk.track(f"p{number % 7}", "e", {"n": number}, context={"groupId": f"a{number % 5}"})
        await asyncio.wait_for(asyncio.to_thread(sdk.flush), 60)
        await asyncio.to_thread(sdk.join)
    arrived = Counter(one for ids in trace.passed for one in ids)
    assert (len(arrived), sum(arrived.values())) == (40, 60)
    assert (await tenant.ask("/v1/usage"))["events"] == 40
    assert await tenant.rows(SEEN) == [(40,)]
    assert (await tenant.ask("/v1/ingest/conflicts"))["items"] == []


def captured(line: Mapping[str, Any], write_key: str) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """A captured request with another write key: method, path, headers, body as it was packed."""
    old = _key_of(line)
    headers = [
        (name, _basic(write_key) if name.lower() == "authorization" else value)
        for name, value in line["h"].items()
        if name.lower() not in _SET_BY_CLIENT
    ]
    path, body = (text.replace(old, write_key) if old else text for text in (line["path"], line["body"] or ""))
    if old:  # exactly as quoted, so that nothing else of the body changes
        body = (line["body"] or "").replace(f'"{old}"', f'"{write_key}"')
    packed = body.encode()
    if line["h"].get("Content-Encoding") == "gzip":
        packed = gzip.compress(packed)
    return line["m"], path, headers, packed


def _key_of(line: Mapping[str, Any]) -> str:
    told = line["h"].get("Authorization", "")
    if told.startswith("Basic "):
        return base64.b64decode(told[6:]).decode().partition(":")[0]
    found = re.search(r"/v1/projects/([^/]+)/settings|[?&]writeKey=([^&]+)", line["path"])
    return (found[1] or found[2]) if found else ""


def _basic(write_key: str) -> str:
    return "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()


@pytest.fixture
async def wire() -> AsyncIterator[httpx2.AsyncClient]:
    """A client that adds no header of its own but those of HTTP itself."""
    async with httpx2.AsyncClient(timeout=30) as opened:
        for name in ("user-agent", "accept", "accept-encoding"):
            opened.headers.pop(name, None)
        yield opened


async def _replay(wire: httpx2.AsyncClient, line: Mapping[str, Any], tenant: Tenant) -> httpx2.Response:
    method, path, headers, body = captured(line, tenant.write)
    return await wire.request(method, tenant.url + path, headers=headers, content=body)


def _messages(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    body = json.loads(line["body"])
    name = line["path"].removeprefix("/v1/")
    long = {"t": "track", "i": "identify", "g": "group", "p": "page", "s": "screen", "a": "alias"}.get(name, name)
    return [{"type": long, **message} for message in body.get("batch", [body])]


async def test_what_real_libraries_sent_is_accepted_word_for_word(tenant: Tenant, wire: httpx2.AsyncClient) -> None:
    for _ in range(2):  # the second time nothing is new
        for line in POSTS:
            answer = await _replay(wire, line, tenant)
            told = {"success": True, "accepted": len(_messages(line)), "rejected": []}
            assert (answer.status_code, answer.json()) == (200, told), line["path"]
    sent = {message["messageId"]: message for line in POSTS for message in _messages(line)}
    kinds = Counter(message["type"] for message in sent.values())
    usage = kinds["track"] + kinds["page"] + kinds["screen"]
    facts = sum(kinds.values()) + kinds["group"]  # an account and a membership each
    assert (len(POSTS), set(kinds)) == (16, {"track", "page", "screen", "identify", "group", "alias"})
    counted = (await tenant.ask("/v1/usage"))["events"] + (await tenant.ask("/v1/ingest/unassigned"))["count"]
    assert (counted, await tenant.rows(SEEN)) == (usage, [(facts,)])
    assert (await tenant.ask("/v1/ingest/rejections"))["items"] == []
    assert (await tenant.ask("/v1/ingest/conflicts"))["items"] == []


PREFLIGHTS = [line for line in LINES if line["m"] == "OPTIONS"]


@pytest.mark.parametrize("line", PREFLIGHTS, ids=lambda line: line["path"].partition("?")[0])
async def test_a_preflight_allows_what_the_browser_asks_for(
    tenant: Tenant, wire: httpx2.AsyncClient, line: dict[str, Any]
) -> None:
    answer = await _replay(wire, line, tenant)
    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] in ("*", line["h"]["Origin"])
    methods = _listed(answer.headers["access-control-allow-methods"])
    assert line["h"]["Access-Control-Request-Method"].lower() in methods
    wanted = _listed(line["h"]["Access-Control-Request-Headers"])
    assert wanted <= _listed(answer.headers["access-control-allow-headers"])


def _listed(text: str) -> set[str]:
    return {part.strip().lower() for part in text.split(",")}


async def test_answers_to_a_browser_may_be_read_by_it_refusals_too(tenant: Tenant, wire: httpx2.AsyncClient) -> None:
    line = next(line for line in POSTS if "Origin" in line["h"])
    taken = await _replay(wire, line, tenant)
    refused = await wire.post(tenant.url + "/v1/track", json={}, headers={"authorization": _basic("wk_unknown")})
    assert [taken.status_code, refused.status_code] == [200, 401]
    assert [one.headers["access-control-allow-origin"] for one in (taken, refused)] == ["*", "*"]
    assert {"code", "message"} <= set(refused.json())  # without both, RudderStack for Python retries for ever


async def test_the_documents_fetched_first_name_the_key_and_this_door(tenant: Tenant, wire: httpx2.AsyncClient) -> None:
    fetched = {line["path"].split("/")[1]: line for line in LINES if line["m"] == "GET"}
    assert set(fetched) == {"v1", "sourceConfig"}
    segment = (await _replay(wire, fetched["v1"], tenant)).json()
    options = segment["integrations"]["Segment.io"]
    assert (options["apiKey"], f"{options['protocol']}://{options['apiHost']}") == (tenant.write, f"{tenant.url}/v1")
    assert segment["metrics"]["sampleRate"] == 0
    rudder = (await _replay(wire, fetched["sourceConfig"], tenant)).json()["source"]
    assert (rudder["writeKey"], rudder["enabled"], rudder["destinations"]) == (tenant.write, True, [])
    off = {"enabled": False}
    assert rudder["config"]["statsCollection"] == {"errors": off, "metrics": off}
