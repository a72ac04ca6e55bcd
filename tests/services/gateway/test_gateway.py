"""The whole gateway: what it composes out of the services behind it, and what it says when one is away."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from services.gateway.app import open_gateway
from services.gateway.settings import GatewaySettings
from shared.clock import Clock
from shared.errors import Unavailable
from shared.service import Service
from shared.tenancy import Keyring
from tests.services.gateway.conftest import Echo, Keys, serving


class Behind:
    """A gateway with its services inside or outside; `close()` one of them to see it away."""

    def __init__(self, url: str, keys: Keys, echoes: dict[str, Echo], gateway: Service, hops: dict[str, Any]) -> None:
        self.url, self.keys, self.echoes, self.gateway, self.hops = url, keys, echoes, gateway, hops
        self.headers = {"Authorization": f"Bearer {keys.text['viewer']}"}


async def answers() -> None: ...


async def away() -> None:
    raise Unavailable


@pytest.fixture(params=["inside", "outside"])
async def behind(request: pytest.FixtureRequest) -> AsyncIterator[Behind]:
    keys, echoes = Keys(), {name: Echo(name) for name in ("ingest", "scoring", "nps")}
    database: Any = SimpleNamespace(ping=answers, app=None)
    async with AsyncExitStack() as stack:
        hops = {name: await stack.enter_async_context(AsyncExitStack()) for name in echoes}
        upstreams: dict[str, Service | str] = {name: echo.service() for name, echo in echoes.items()}
        if request.param == "outside":
            upstreams = {n: await hops[n].enter_async_context(serving(e.app)) for n, e in echoes.items()}
        clock = Clock(timedelta(days=3))
        opened = open_gateway(GatewaySettings(), upstreams, database, Keyring(keys.find, clock), clock)
        gateway = await stack.enter_async_context(opened)
        url = await stack.enter_async_context(serving(gateway.http, public=True))
        yield Behind(url, keys, echoes, gateway, hops | {"database": database})


@pytest.fixture
async def client(behind: Behind) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=behind.url, timeout=10) as made:
        yield made


async def test_healthz_says_the_clock_is_shifted(client: httpx2.AsyncClient) -> None:
    told = (await client.get("/healthz")).json()
    assert (told["status"], told["clock_offset_s"]) == ("ok", 259200.0)


async def test_readyz_names_each_dependency(client: httpx2.AsyncClient, behind: Behind) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "dependencies": dict.fromkeys(("database", "bus", "ingest", "scoring", "nps"), "ok"),
    }
    behind.echoes["scoring"].state = "does not answer"
    answer = await client.get("/readyz")
    told = answer.json()["dependencies"]
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert (told["bus"], told["scoring"], told["ingest"]) == ("does not answer", "bus: does not answer", "ok")
    behind.hops["database"].ping = away
    assert (await client.get("/readyz")).json()["dependencies"]["database"] == "does not answer"


async def test_a_service_that_works_on_without_a_dependency_keeps_the_gateway_ready(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    behind.echoes["ingest"].state = "ok: Kafka is away, facts wait in the outbox"
    answer = await client.get("/readyz")
    told = answer.json()["dependencies"]
    assert (answer.status_code, told["ingest"]) == (200, "ok")
    assert told["bus"] == "ok: Kafka is away, facts wait in the outbox"
    behind.echoes["scoring"].state = "does not answer"
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["dependencies"]["bus"]) == (503, "does not answer")


@pytest.mark.parametrize("behind", ["outside"], indirect=True)  # in one process they live and die together
async def test_a_service_away_is_a_503_and_the_others_answer_on(client: httpx2.AsyncClient, behind: Behind) -> None:
    await behind.hops["scoring"].aclose()
    answer = await client.get("/v1/usage", headers=behind.headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await client.get("/v1/ingest/rejections", headers=behind.headers)).status_code == 201
    assert (await client.get("/openapi.json")).status_code == 503
    ready = (await client.get("/readyz")).json()["dependencies"]
    assert (ready["scoring"], ready["ingest"]) == ("scoring: does not answer", "ok")


async def test_the_summary_is_scorings_with_ingests_count_of_the_refused(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    answer = await client.get("/v1/summary?team=east", headers=behind.headers)
    assert answer.json() == {"headline": {"unassigned": 3, "rejected_24h": 17}, "query": "team=east"}


async def test_a_refused_summary_passes_as_scoring_refused_it(client: httpx2.AsyncClient, behind: Behind) -> None:
    answer = await client.get("/v1/summary?as_of=bad", headers=behind.headers)
    assert (answer.status_code, answer.json()) == (422, {"code": "invalid"})
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("behind", ["outside"], indirect=True)  # in one process they live and die together
async def test_the_summary_lives_without_ingest(client: httpx2.AsyncClient, behind: Behind) -> None:
    await behind.hops["ingest"].aclose()
    answer = await client.get("/v1/summary", headers=behind.headers)
    assert answer.json()["headline"] == {"unassigned": 3, "rejected_24h": None}


async def test_groups_by_survey_have_the_names_that_nps_knows_and_other_groups_their_own(
    client: httpx2.AsyncClient, behind: Behind
) -> None:
    told = (await client.get("/v1/nps?by=survey&to=2026-01-01", headers=behind.headers)).json()
    assert told == {
        "groups": [{"key": "s-1", "name": "秋", "nps": 100 / 3}, {"key": "s-2", "name": None, "nps": None}],
        "query": "by=survey&to=2026-01-01",
    }
    plain = (await client.get("/v1/nps?by=tier", headers=behind.headers)).json()
    assert [group["name"] for group in plain["groups"]] == [None, None]
    refused = await client.get("/v1/nps?by=bad", headers=behind.headers)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("behind", ["outside"], indirect=True)
async def test_figures_by_survey_live_without_nps(client: httpx2.AsyncClient, behind: Behind) -> None:
    await behind.hops["nps"].aclose()
    told = (await client.get("/v1/nps?by=survey", headers=behind.headers)).json()
    assert [group["name"] for group in told["groups"]] == [None, None]


async def test_the_description_is_one_of_all_services_and_the_gateways_own(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/v1/coverage"]["get"]["summary"] == "by scoring"
    keys = document["paths"]["/v1/keys"]
    assert set(keys) == {"get", "post"}
    assert set(document["paths"]["/v1/keys/{key_id}"]) == {"delete"}
    assert set(keys["post"]["responses"]) == {"201", "400", "401", "403", "413", "422", "503"}
    assert {"Problem", "KeyMade", "KeyPage"} <= set(document["components"]["schemas"])


async def test_the_docs_are_one_page_without_script_or_foreign_parts(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<code>/v1/coverage</code>" in answer.text
    assert "<script" not in answer.text
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "sha256-" in answer.headers["content-security-policy"]


async def test_metrics_are_told_in_prometheus_text(client: httpx2.AsyncClient, behind: Behind) -> None:
    await client.get("/v1/accounts/acme/health", headers=behind.headers)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'route="/v1/accounts/{account_id}/health"' in answer.text
    assert "acme" not in answer.text
    assert "genki_clock_offset_seconds 259200.0" in answer.text


async def test_keys_are_for_admins(client: httpx2.AsyncClient, behind: Behind) -> None:
    for holder in ("write", "server", "manager", "csm", "viewer"):
        headers = {"Authorization": f"Bearer {behind.keys.text[holder]}"}
        for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/x")):
            assert (await client.request(method, path, headers=headers)).status_code == 403, (holder, method)
