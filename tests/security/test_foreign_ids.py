"""Every route and method of the description, asked with another tenant's ids in path, query and body: nothing is told,
not even that the id exists, and none of the other's rows changes."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx2
import pytest

from services.gateway.domain.access import RULES
from services.ingest.api import LONG_NAMES, SHORT_NAMES
from shared.rights import ROLES, may
from tests.conftest import TestDatabase
from tests.journeys.filled import Tenant, fill
from tests.journeys.test_isolation import timeless
from tests.security.inside import Inside, inside

pytestmark = pytest.mark.slow
METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
WORD, NOBODY, OTHER = "zqvictim", "zqnobody", "zqprober"
ENDLESS: Final = "/v1/stream"  # that a tenant hears of no other is a test of its own
NOW: Final = datetime.now(UTC)
SOON: Final = (NOW + timedelta(days=1)).isoformat()
# One body for each route that takes one, ids by their names. A new route joins, or the test says which is missing.
BODIES: Final[dict[str, Any]] = {
    "post /v1/accounts/{account_id}/health/override": {"band": "green", "reason": "x", "expires_at": SOON},
    "delete /v1/accounts/{account_id}/health/override": None,
    "post /v1/keep-list/{account_id}/reason": {"reason": "x"},
    "post /v1/tiers/reviews": {},
    "post /v1/tiers/reviews/{review_id}/publish": {"effective_from": "2026-02-01", "note": "x"},
    "put /v1/settings": {"value_features": [{"feature": "{event}", "weight": 1, "share": 1, "events": ["{event}"]}]},
    "post /v1/surveys": {"name": "{survey_id}", "quiet_days": 0},
    "post /v1/surveys/{survey_id}/close": None,
    "post /v1/surveys/{survey_id}/invitations": {"person_ids": ["{person_id}"]},
    "post /v1/keys": {"kind": "api", "role": "csm", "csm_id": "{csm}"},
    "delete /v1/keys/{key_id}": None,
    "post /v1/people/{person_id}/erase": {},
    "post /v1/imports/responses": "at,account_id,person_id,score\n2026-01-05,{account_id},{person_id},9\n",
    "post /v1/imports/{kind}": "account_id,name\n{account_id},A\n",
    "post /v1/events": [
        {"type": "account", "id": "f-1", "account_id": "{account_id}", "name": "taken over", "at": "{at}"},
        {"type": "person", "id": "f-2", "person_id": "{person_id}", "account_id": "{account_id}", "at": "{at}"},
        {"type": "csm", "id": "f-0", "csm_id": "{csm}", "name": "taken over", "at": "{at}"},
        {"type": "usage", "id": "f-3", "person_id": "{person_id}", "event": "{event}", "at": "{at}"},
        {"type": "contact", "id": "f-4", "account_id": "{account_id}", "channel": "phone", "outcome": "reached",
         "csm_id": "{csm}", "at": "{at}", "replaces": "f-3"},
        {"type": "contract", "id": "f-5", "account_id": "{account_id}", "effective_on": "2025-01-01",
         "change": "new", "acv_after": "1", "currency": "JPY"},
    ],
}  # fmt: skip
TRACKS: Final = {f"/v1/{name}" for name in (*LONG_NAMES, *SHORT_NAMES, "m")}
TRACKED: Final = {
    "userId": "{person_id}",
    "event": "{event}",
    "messageId": "m-1",
    "context": {"groupId": "{account_id}"},
}
OPEN: Final = ("/s/", "/u/", "/v1/projects/", "/sourceConfig")  # no key: behind links, or telling the asker's own key
NO_ID: Final = {"kind": "accounts"}


@dataclass
class Pair:
    """A filled tenant, one that asks for what is the other's, and every operation: method, path, its description."""

    genki: Inside
    victim: Tenant
    prober: Tenant
    operations: list[tuple[str, str, dict[str, Any]]]
    survey: str  # of the prober's own

    def ids(self, word: str) -> dict[str, str]:
        """The victim's ids, or as many that nobody has and that look alike."""
        own = self.victim.own
        if word == WORD:
            return dict(own)
        alike = {name: re.sub(r"[0-9a-f]", "d", value) if WORD not in value else "" for name, value in own.items()}
        return {name: alike[name] or value.replace(WORD, NOBODY) for name, value in own.items()}


@pytest.fixture(scope="module")
async def pair(database: TestDatabase) -> AsyncIterator[Pair]:
    async with inside(database) as genki:
        victim, prober = await genki.tenant(WORD), await genki.tenant(OTHER)
        await fill(victim, 3)
        survey = (await prober.asker.post("/v1/surveys", json={"name": "own", "quiet_days": 0})).json()["survey_id"]
        document = (await prober.asker.get("/openapi.json")).json()
        told = [(m, path, one) for path, by in document["paths"].items() for m, one in by.items() if m in METHODS]
        yield Pair(genki, victim, prober, told, survey)


def put(node: Any, ids: Mapping[str, str]) -> Any:
    """A body, or a path, with ids in the places that name them."""
    if isinstance(node, str):
        return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], found[0]), node)
    if isinstance(node, dict):
        return {name: put(value, ids) for name, value in node.items()}
    return [put(one, ids) for one in node] if isinstance(node, list) else node


def asked(pair: Pair, method: str, path: str, told: Mapping[str, Any], word: str) -> Iterator[tuple[str, Any, Any]]:
    """Path, query and body of each way in which this operation can name an id."""
    ids = pair.ids(word)
    names = [one["name"] for one in told.get("parameters", []) if one["in"] == "query"]
    span = {"since": str((NOW - timedelta(days=9)).date()), "as_of": str((NOW - timedelta(days=2)).date())}
    needed = span if "since" in names else {}
    spare = {"csm_id": ids["csm"], "survey": ids["survey_id"], "person": ids["person_id"]}
    body = BODIES.get(f"{method} {path}", TRACKED if method == "post" else None)
    place = put(path, ids | NO_ID)
    body = put(body, ids | {"at": (NOW - timedelta(days=2)).isoformat()})
    yield place, needed, body
    yield from ((place, needed | {name: (ids | spare)[name]}, body) for name in names if name in ids | spare)
    if path.endswith("/invitations"):  # a survey of the asker's own, and people of the other
        yield put(path, {"survey_id": pair.survey}), needed, body
    if "format" in names:
        yield place, needed | {"format": "csv"}, body


async def ask(client: httpx2.AsyncClient, method: str, path: str, query: Any, body: Any) -> tuple[Any, ...]:
    """Status, telling headers and body of the answer, without what the clock and the request alone change."""
    more: dict[str, Any] = {"json": body}
    if isinstance(body, str):
        more = {"content": body.encode(), "headers": {"content-type": "text/csv"}}
    answer = await client.request(method.upper(), path, params=query, **(more if body is not None else {}))
    kept = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "etag")}
    try:
        told = json.dumps(timeless(answer.json()))
        if method != "get" and answer.is_success:  # what was made has an id, an instant, a secret of its own
            told = json.dumps(sorted(answer.json()))
    except ValueError:
        told = answer.text
    return answer.status_code, kept, told


def nameless(told: tuple[Any, ...], ids: Mapping[str, str]) -> str:
    text = json.dumps(told)
    for name, value in ids.items():
        text = text.replace(value, f"<{name}>")
    return re.sub(r'content-length": "\d+', 'content-length": "', text)


async def digest(pair: Pair) -> dict[str, str]:
    """A digest of the victim's rows in every table that has a tenant, when they no longer move."""
    number = await pair.genki.number(pair.victim)
    tables = await pair.genki.owner(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped"
        " WHERE n.nspname IN ('access', 'ingest', 'nps', 'scoring', 'scoring_state') AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition"
    )
    assert len(tables) > 30
    parts = [
        f"SELECT '{row[0]}', md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), ''))"
        f" FROM {row[0]} t WHERE tenant = {number}"
        for row in tables
    ]
    last: dict[str, str] = {}
    for _ in range(40):
        found = {row[0]: row[1] for row in await pair.genki.owner(" UNION ALL ".join(parts))}
        if found == last:
            return found
        last = found
        await asyncio.sleep(0.7)
    raise AssertionError("never at rest")


async def test_no_route_tells_or_touches_anything_under_another_tenants_id(pair: Pair) -> None:
    before = await digest(pair)
    # What gives the asker accounts and people of its own under these names comes last.
    order = sorted(pair.operations, key=lambda one: (one[0] != "get", "{" not in one[1] or "{kind}" in one[1]))
    tried = {"path": 0, "query": 0, "body": 0}
    for method, path, told in order:
        if path.startswith(OPEN) or path == ENDLESS:
            continue
        assert method == "get" or path in TRACKS or f"{method} {path}" in BODIES, f"give {method} {path} a body"
        mine, unknown = (list(asked(pair, method, path, told, word)) for word in (WORD, NOBODY))
        client = pair.prober.asker if method == "get" or path not in TRACKS | {"/v1/events"} else pair.prober.door
        for number, (foreign, nobody) in enumerate(zip(mine, unknown, strict=True)):
            found = nameless(await ask(client, method, *foreign), pair.ids(WORD))
            assert found == nameless(await ask(client, method, *nobody), pair.ids(NOBODY)), (method, foreign)
            named = "{" in path and "{kind}" not in path and number == 0
            assert (method, path, WORD in found) == (method, path, False)
            assert (method, path, found[1:4] == "404" or not named) == (method, path, True), found
            tried["path"] += named
            tried["query"] += bool(foreign[1])
            tried["body"] += foreign[2] is not None
    assert min(tried.values()) >= 15, tried
    assert await digest(pair) == before


async def test_a_method_that_a_route_does_not_take_is_refused_the_same_whoever_has_the_id(pair: Pair) -> None:
    for path in {path for _, path, _ in pair.operations if "{" in path and not path.startswith(OPEN)}:
        for method in METHODS:
            if any((method, path) == one[:2] for one in pair.operations):
                continue
            found = [
                nameless(
                    await ask(pair.prober.asker, method, put(path, pair.ids(word) | NO_ID), None, None), pair.ids(word)
                )
                for word in (WORD, NOBODY)
            ]
            assert found[0] == found[1]
            assert found[0][1:4] in ("404", "405"), (method, path)


async def test_the_keys_tenant_wins_over_any_other_that_the_request_names(pair: Pair) -> None:
    before, number = await digest(pair), await pair.genki.number(pair.victim)
    names = (
        "tenant",
        "tenant_id",
        "x-tenant",
        "x-tenant-id",
        "x-genki-tenant",
        "genki-tenant",
        "app.tenants",
        "baggage",
    )
    for said in (str(number), pair.victim.tenant_id):
        headers = dict.fromkeys(names, said) | {"x-forwarded-user": said, "cookie": f"tenant={said}"}
        query = {"tenant": said, "tenant_id": said, "app.tenants": said}
        fact = {"type": "account", "id": f"spoof-{said}", "account_id": f"spoof-{said}", "at": NOW.isoformat()}
        answer = await pair.prober.door.post("/v1/events", json=[fact], headers=headers, params=query)
        assert answer.json()["results"][0]["status"] == "accepted", answer.text
        extra = {**fact, "id": f"more-{said}", "account_id": f"more-{said}", "tenant": number, "tenant_id": said}
        await pair.prober.door.post("/v1/events", json=[extra], headers=headers, params=query)
        call = {"userId": f"spoof-{said}", "event": "spoofed", "context": {"groupId": f"spoof-{said}", "tenant": said}}
        await pair.prober.door.post("/v1/track", json={**call, "tenant": said, "projectId": said}, headers=headers)
        path = f"/v1/surveys/{pair.victim.own['survey_id']}/invitations"
        assert (await pair.prober.asker.get(path, headers=headers, params=query)).status_code == 404
        listed = await pair.prober.asker.get("/v1/surveys", headers=headers)
        assert [one["survey_id"] for one in listed.json()["items"]][-1] == pair.survey
        made = await pair.prober.asker.post("/v1/keys", json={"kind": "write"}, headers=headers)
        held = await pair.genki.owner("SELECT tenant FROM access.key WHERE key_id = $1", made.json()["id"])
        assert held[0][0] == await pair.genki.number(pair.prober)
    assert await digest(pair) == before


HOLDERS: Final = (("write", None), ("server", None), *(("api", role) for role in ROLES))


async def test_every_kind_of_key_is_refused_on_every_route_that_it_has_no_right_to(pair: Pair) -> None:
    refused = 0
    for kind, role in HOLDERS:
        made = await pair.prober.asker.post("/v1/keys", json={"kind": kind} | ({"role": role} if role else {}))
        client = await pair.genki.client(made.json()["key"])
        for rule in RULES:
            if rule.right is None or may(kind, role, rule.right):
                continue
            path = put(rule.template, pair.ids(WORD) | NO_ID | {"model_id": "1"})
            answer = await client.request(rule.method, path)
            assert (kind, role, rule.method, path, answer.status_code) == (kind, role, rule.method, path, 403)
            refused += 1
    assert refused > 100


async def test_no_secret_of_a_key_is_in_any_table(pair: Pair) -> None:
    secrets = [key.split("_")[3] for one in (pair.victim, pair.prober) for key in one.keys.values()]
    tables = await pair.genki.owner(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'r' AND n.nspname IN ('access', 'bus', 'ingest', 'nps', 'scoring', 'scoring_state')"
    )
    ids = 0
    for row in tables:
        found = await pair.genki.owner(f"SELECT t::text FROM {row[0]} t")
        text = "\n".join(one[0] for one in found)
        assert [secret for secret in secrets if secret in text] == [], row[0]
        ids += any(key.split("_")[2] in text for key in pair.prober.keys.values())
    assert ids >= 2  # the keys themselves are there, and the audit log names them
