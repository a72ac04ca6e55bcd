"""The public description: what it allows and what it forbids is answered without a failure; every route is in it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import httpx2
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from tests.contracts.api.conftest import Whole

EACH: Final = 4  # requests of an operation, by its description and as many against it
SILENT: Final[Any] = list(HealthCheck)  # its members() would hold deprecated ones
ENDLESS: Final = "text/event-stream"  # has tests of its own
ROUTES: Final = """
POST /v1/events
POST /v1/track /v1/identify /v1/group /v1/page /v1/screen /v1/alias /v1/batch /v1/import
POST /v1/t /v1/i /v1/g /v1/p /v1/s /v1/a /v1/b /v1/m
GET /v1/projects/{} /v1/projects/{}/settings /sourceConfig/
POST /v1/imports/{} /v1/imports/responses
GET /v1/ingest/rejections /v1/ingest/conflicts /v1/ingest/unassigned
GET /v1/summary /v1/accounts /v1/accounts/{} /v1/accounts/{}/timeline /v1/accounts/{}/talking-points
GET /v1/accounts/{}/usage /v1/accounts/{}/nps /v1/accounts/{}/contracts /v1/accounts/{}/people
GET /v1/accounts/{}/health /v1/accounts/{}/health/history /v1/accounts/{}/health/explain
GET /v1/accounts/{}/consumption-gap
POST /v1/accounts/{}/health/override
DELETE /v1/accounts/{}/health/override
GET /v1/usage /v1/coverage /v1/coverage/series /v1/coverage/worklist /v1/contact-rate /v1/activity /v1/contacts/planned
GET /v1/matrix /v1/tiers /v1/nps /v1/responses /v1/stream /v1/audit
POST /v1/tiers/reviews /v1/tiers/reviews/{}/publish
GET /v1/settings /v1/keys /v1/surveys
PUT /v1/settings
POST /v1/keys /v1/surveys /v1/surveys/{}/invitations /v1/surveys/{}/close
GET /s/{} /u/{}
POST /s/{} /u/{}
"""
EARLIER: Final = {"GET /v1/projects/{}"}  # a shorter way to say its settings: not a route


def listed() -> Iterator[str]:
    for line in ROUTES.strip().splitlines():
        method, *paths = line.split()
        yield from (f"{method} {path}" for path in paths)


async def test_every_route_of_the_contract_is_described(whole: Whole) -> None:
    told = {
        f"{method.upper()} {'/'.join('{}' if part.startswith('{') else part for part in path.split('/'))}"
        for path, operations in whole.document["paths"].items()
        for method in operations
    }
    assert sorted(set(listed()) - EARLIER - told) == []


def cases(operation: Any, mode: GenerationMode) -> list[Case]:
    """The same requests whenever asked."""
    found: list[Case] = []

    @hypothesis.settings(
        max_examples=EACH, derandomize=True, database=None, deadline=None,
        phases=[hypothesis.Phase.generate], suppress_health_check=SILENT,
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def keep(case: Case) -> None:
        found.append(case)

    keep()
    return found


def request_of(case: Case, ids: dict[str, str]) -> requests.PreparedRequest:
    """The request as it goes over the wire, with ids that somebody has where `ids` knows them."""
    for name in case.path_parameters.keys() & ids.keys():
        case.path_parameters[name] = ids[name]
    return requests.Request(**case.as_transport_kwargs(base_url="http://genki.test")).prepare()


@pytest.mark.slow
async def test_no_request_that_the_description_allows_or_forbids_makes_a_failure(whole: Whole) -> None:
    ids = {**whole.tenant.own, "kind": "accounts"}
    failed: list[tuple[object, ...]] = []
    statuses: Counter[int] = Counter()
    for number, asked in requests_of(whole.document, ids):
        for holder in whole.clients if number == 1 else ["admin"]:
            answer = await sent(whole.clients[holder], asked)
            statuses[answer.status_code] += 1
            if answer.status_code >= 500:
                failed.append((holder, asked.method, asked.url, asked.body, answer.text[:300]))
    assert failed == []
    assert statuses[200] > 150
    assert statuses.keys() >= {200, 201, 400, 403, 404, 422}


def requests_of(document: dict[str, Any], ids: dict[str, str]) -> Iterator[tuple[int, requests.PreparedRequest]]:
    """Each operation's requests, by the description and against it, every second one with ids that somebody has."""
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if ENDLESS in str(operation.definition.raw["responses"]):
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with suppress(Unsatisfiable):  # nothing of it can be wrong
                for number, case in enumerate(cases(operation, mode)):
                    yield number, request_of(case, ids if number % 2 else {})


async def sent(client: httpx2.AsyncClient, asked: requests.PreparedRequest) -> httpx2.Response:
    given: dict[str, Any] = dict(asked.headers)
    headers = {name: value for name, value in given.items() if name.lower() not in ("authorization", "host")}
    body: Any = asked.body
    return await client.request(asked.method or "", asked.url or "", content=body, headers=headers)
