"""A frontend's day: tokens at the door, changes on the stream, and every write in the audit log; one running Genki."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.journeys.running import Ground, client, fresh, send
from tests.shared.tokens.issuing import AUDIENCE, ISSUER, KEYS, claims, signed, with_secret

pytestmark = pytest.mark.slow
# Written by machines or by customers through their own links, no write of a person of the tenant.
NOT_BY_PEOPLE: Final = {
    "/v1/events", "/s/{token}", "/u/{token}", "/v1/track", "/v1/identify", "/v1/group", "/v1/page", "/v1/screen",
    "/v1/alias", "/v1/batch", "/v1/import", *(f"/v1/{letter}" for letter in "tigpsabm"),
}  # fmt: skip


@dataclass
class Town:
    """One `genki up` that believes one issuer for one of its two tenants."""

    ground: Ground
    url: str
    mine: dict[str, Any]
    theirs: dict[str, Any]

    def token(self, role: str = "manager", **changes: Any) -> str:
        return signed(self.claims(role, **changes))

    def claims(self, role: str = "manager", **changes: Any) -> dict[str, Any]:
        second = int(time.time())
        told = {"exp": second + 600, "iat": second, "genki_role": role, "genki_tenant": self.mine["tenant_id"]}
        return claims(**{**told, **changes})


@pytest.fixture(scope="module")
def town(database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("frontends")
    ground = Ground(database, folder)
    mine, theirs = (json.loads(ground.command("tenant", "create", name, "--json")) for name in ("Mine", "Theirs"))
    issuer = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["RS256"], "tenants": [mine["tenant_id"]]}
    file = folder / "issuers.json"
    file.write_text(json.dumps({"issuers": [{**issuer, "jwks": KEYS}]}))
    process = ground.up(env={"GENKI_ISSUERS": str(file)})
    yield Town(ground, process.wait_ready(), mine, theirs)
    ground.stop_all()


@pytest.fixture
async def manager(town: Town) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(town.url, town.token()) as opened:
        yield opened


@pytest.fixture
async def admin(town: Town) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(town.url, town.mine["keys"]["admin"]) as opened:
        yield opened


async def asked(town: Town, token: str, method: str = "GET", path: str = "/v1/accounts", **more: Any) -> int:
    async with client(town.url, token) as http:
        return (await http.request(method, path, **more)).status_code


async def test_every_service_believes_a_good_token_and_none_a_bad_one(town: Town) -> None:
    sheet = {"content": b"account_id,name\na-1,A\n", "headers": {"content-type": "text/csv"}}
    assert await asked(town, town.token("viewer")) == 200  # scoring
    assert await asked(town, town.token("viewer"), path="/v1/surveys") == 200  # nps
    assert await asked(town, town.token("admin"), "POST", "/v1/imports/accounts?dry_run=true", **sheet) == 200  # ingest
    assert await asked(town, town.token("admin"), path="/v1/keys") == 200  # the gateway itself
    bad = {
        "expired": town.token(exp=time.time() - 60),
        "other audience": town.token(aud="console"),
        "other issuer": town.token(iss="https://evil.example/"),
        "foreign tenant": town.token(genki_tenant=town.theirs["tenant_id"]),
        "no tenant": town.token(genki_tenant=...),
        "public key as secret": with_secret(town.claims(), json.dumps(KEYS["keys"][0]).encode()),
    }
    found = {name: [await asked(town, token, path=path) for path in PATHS] for name, token in bad.items()}
    assert found == {name: [401] * len(PATHS) for name in bad}


PATHS: Final = ("/v1/accounts", "/v1/surveys", "/v1/keys", "/v1/ingest/rejections", "/v1/audit", "/v1/stream")


async def test_a_tokens_role_is_a_keys_role(town: Town) -> None:
    assert await asked(town, town.token("viewer"), "PUT", "/v1/settings", json={}) == 403
    assert await asked(town, town.token("manager"), "PUT", "/v1/settings", json={}) == 200
    assert await asked(town, town.token("manager"), "POST", "/v1/keys", json={"kind": "write"}) == 403
    assert await asked(town, town.token("admin"), "POST", "/v1/events", json=[]) == 403


TENURE: Final = {"a": 0, "b": 5, "c": 8, "d": 12}
OVERRIDE: Final = "/v1/accounts/{account_id}/health/override"
SURVEY: Final = "/v1/surveys/{survey_id}"
BAND: Final = {"band": "green", "reason": "x", "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
POLICY: Final = {"effective_from": "2026-01-01", "high_amount": "2", "low_amount": "1", "note": "half"}
ANSWERS: Final = "at,account_id,person_id,score\n2026-01-05,acme,p,9\n"
# Every route by which people write, once: the row it leaves, the route, its body. Ids are those of answers before.
WRITES: Final[tuple[tuple[str, str, str, Any], ...]] = (
    ("settings.change settings", "put", "/v1/settings", {"tenure": TENURE}),
    ("tier_review.create {review_id}", "post", "/v1/tiers/reviews", {}),
    ("tier_review.publish {review_id}", "post", "/v1/tiers/reviews/{review_id}/publish", POLICY),
    ("health_override.create acme", "post", OVERRIDE, BAND),
    ("health_override.end acme", "delete", OVERRIDE, None),
    ("keep_reason.create acme", "post", "/v1/keep-list/{account_id}/reason", {"reason": "x"}),
    ("survey.create {survey_id}", "post", "/v1/surveys", {"name": "Q"}),
    ("survey.invite {survey_id}", "post", f"{SURVEY}/invitations", {"person_ids": ["p"]}),
    ("survey.close {survey_id}", "post", f"{SURVEY}/close", None),
    ("key.create {key_id}", "post", "/v1/keys", {"kind": "write"}),
    ("key.revoke {key_id}", "delete", "/v1/keys/{key_id}", None),
    ("import.accounts accounts", "post", "/v1/imports/{kind}", "account_id,name\na-1,A\n"),
    ("import.responses responses", "post", "/v1/imports/responses", ANSWERS),
    ("person.erase {erased}", "post", "/v1/people/{person_id}/erase", None),
)
_NAMED: Final = {"/v1/tiers/reviews": "review_id", "/v1/keys": "key_id"}  # what `id` in an answer is called in paths


async def test_every_write_leaves_its_row(town: Town, admin: httpx2.AsyncClient) -> None:
    await _account(town)
    ids, expected = {"account_id": "acme", "kind": "accounts", "person_id": "p20"}, []
    async with client(town.url, town.token("admin")) as http:
        for row, method, path, body in WRITES:
            answer = await _wrote(http, method, path.format(**ids), body)
            ids |= {"survey_id": answer["survey_id"]} if "survey_id" in answer else {}
            ids |= {_NAMED[path]: answer["id"]} if path in _NAMED else {}
            ids |= {"erased": answer["person_id"]} if path.endswith("/erase") else {}
            expected.append(row.format(**ids))
    found = (await admin.get("/v1/audit", params={"actor": f"u-1@{ISSUER}", "limit": 500})).json()["items"][::-1]
    found = found[-len(expected) :]
    assert [f"{row['action']} {row['target']}" for row in found] == expected
    assert {(row["actor_kind"], row["role"]) for row in found} == {("token", "admin")}
    change = found[0]["summary"]
    assert (change["before"], change["after"]) == ({"tenure": {"a": 0, "b": 4, "c": 8, "d": 12}}, {"tenure": TENURE})


async def _account(town: Town) -> None:
    now = datetime.now(UTC)
    at = (now - timedelta(hours=1)).isoformat()
    account = {"type": "account", "id": "a1", "account_id": "acme", "at": at, "customer_since": "2026-01-01"}
    person = {"type": "person", "account_id": "acme", "at": at, "uses_product": True, "email": "p@x.example"}
    people = [{**person, "id": f"p{n}", "person_id": "p" if n == 0 else f"p{n}"} for n in range(21)]
    async with client(town.url, town.mine["keys"]["server"]) as door:
        await send(door, [account, *people])
    async with client(town.url, town.mine["keys"]["admin"]) as http:
        await fresh(http, datetime.now(UTC))  # after the answer: then what it accepted is in the figures


async def _wrote(http: httpx2.AsyncClient, method: str, path: str, body: Any) -> dict[str, Any]:
    sheet = {"content": body.encode(), "headers": {"content-type": "text/csv"}} if isinstance(body, str) else {}
    answer = await http.request(method.upper(), path, **(sheet or {"json": body}))
    assert answer.status_code in (200, 201, 202, 204), (method, path, answer.text)
    return answer.json() if answer.content else {}


async def test_no_route_writes_without_the_test_above_knowing_it(admin: httpx2.AsyncClient) -> None:
    """A new route by which people write calls `shared.audit.record`, and joins the table of the test above."""
    paths = (await admin.get("/openapi.json")).json()["paths"]
    writes = {
        f"{method} {path}"
        for path, told in paths.items()
        for method in told.keys() & {"post", "put", "patch", "delete"}
        if path not in NOT_BY_PEOPLE
    }
    assert writes == {f"{method} {path}" for _, method, path, _ in WRITES}


async def test_the_command_line_is_audited_too(town: Town, admin: httpx2.AsyncClient) -> None:
    tenant = town.mine["tenant_id"]
    made = json.loads(town.ground.command("key", "create", "--tenant", tenant, "--kind", "write", "--json"))
    town.ground.command("key", "revoke", made["id"])
    file = town.ground.folder / "settings.json"
    file.write_text(json.dumps({"silent_churn": {"silent_days": 90, "min_events": 5}}))
    town.ground.command("settings", "put", str(file), "--tenant", tenant)
    rows = (await admin.get("/v1/audit", params={"limit": 500})).json()["items"]
    by_command = [(row["action"], row["target"]) for row in rows if row["actor"] == "command line"]
    first = [town.mine["keys"][title].split("_")[2] for title in ("admin", "write", "server")]
    assert by_command[-4:] == [*(("key.create", one) for one in first), ("tenant.create", tenant)]
    assert ("key.create", made["id"]) in by_command
    assert ("key.revoke", made["id"]) in by_command
    change = next(row for row in rows if row["action"] == "settings.change")
    assert (change["actor_label"], change["target"]) == ("command line", "settings")
    assert "silent_churn" in change["summary"]["after"]


async def test_no_secret_is_in_the_log_of_the_process_or_the_audit(town: Town, admin: httpx2.AsyncClient) -> None:
    text = town.ground.processes[0].output.read_text() + (await admin.get("/v1/audit?limit=500")).text
    for secret in (*town.mine["keys"].values(), town.token().split(".")[2]):
        assert secret.split("_")[3 if secret.startswith("gk_") else 0] not in text


async def test_a_change_is_on_the_stream_within_two_seconds_and_sigterm_does_not_wait_for_listeners(
    town: Town, manager: httpx2.AsyncClient
) -> None:
    async with AsyncExitStack() as stack:
        answer = await stack.enter_async_context(manager.stream("GET", "/v1/stream"))
        lines = answer.aiter_lines()
        assert (await anext(lines), answer.status_code) == ("retry: 2000", 200)
        door = await stack.enter_async_context(client(town.url, town.mine["keys"]["server"]))
        said = {"type": "contact", "id": "c1", "account_id": "stream-1", "channel": "phone", "outcome": "reached"}
        began = time.monotonic()
        await send(door, [{**said, "at": datetime.now(UTC).isoformat()}])
        async with asyncio.timeout(10):
            while "stream-1" not in (line := await anext(lines)):
                pass
        assert time.monotonic() - began < 2
        assert json.loads(line.removeprefix("data: "))["account_id"] == "stream-1"
        ended = time.monotonic()
        assert await asyncio.to_thread(town.ground.processes[0].end) == 0
        assert time.monotonic() - ended < 8
