"""Refusals on the wire: one shape for every service, nothing of the input in it."""

import json
from typing import Annotated

import httpx2
import pytest
from fastapi import Body, FastAPI, Query
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.errors import (
    Conflict,
    Fault,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Refusal,
    Unavailable,
    install_handlers,
    pointer,
    problem,
    problem_response,
)


class SurveyClosed(Refusal):
    """This survey no longer
    takes answers.

    And more for the reader of the code.
    """

    status = 409


class Person(BaseModel, extra="forbid"):
    """A body to be refused."""

    name: str
    scores: list[int] = []


def application() -> FastAPI:
    app = FastAPI()
    install_handlers(app)

    @app.get("/things/{thing_id}")
    async def thing(thing_id: str) -> None:
        raise NotFound

    @app.post("/people")
    async def people(person: Annotated[Person, Body()], days: Annotated[int, Query(ge=1)] = 1) -> None: ...

    @app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret")

    return app


@pytest.fixture
async def client():
    transport = httpx2.ASGITransport(application(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://genki") as client:
        yield client


def test_a_refusal_is_coded_by_its_name_and_speaks_by_its_docstring() -> None:
    assert problem(SurveyClosed(), "r1") == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "This survey no longer takes answers.",
        "code": "survey_closed",
        "message": "This survey no longer takes answers.",
        "request_id": "r1",
        "errors": [],
    }


def test_detail_and_code_may_speak_of_the_occurrence() -> None:
    body = problem(Conflict("A review is open.", code="review_open"), "r1")
    assert (body["detail"], body["code"], Conflict.code) == ("A review is open.", "review_open", "conflict")


def test_at_most_twenty_errors_are_told_and_each_is_cut() -> None:
    told = problem(Invalid(errors=[Fault("/" + "x" * 9000, "too_long", "m" * 9000)] * 50), "r1")["errors"]
    assert len(told) == 20
    assert len(told[0]["pointer"]) == 200
    assert len(told[0]["message"]) == 300


def test_errors_may_be_given_as_dictionaries() -> None:
    given = {"pointer": "/a", "code": "missing", "message": "Field required"}
    assert problem(Invalid(errors=[given]), "r1")["errors"] == [given]


@pytest.mark.parametrize(("seconds", "header"), [(0, "1"), (1, "1"), (1.2, "2"), (30, "30")])
def test_retry_after_is_whole_seconds_and_never_less_than_one(seconds: float, header: str) -> None:
    response = problem_response(Unavailable(retry_after=seconds), "r1")
    assert (response.status_code, response.headers["retry-after"]) == (503, header)


def test_a_response_carries_its_id_in_header_and_body() -> None:
    response = problem_response(MethodNotAllowed(["POST", "GET"]), "r1")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"] == json.loads(bytes(response.body))["request_id"] == "r1"
    assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (("body",), ""),
        (("body", "coverage", "high", "target"), "/coverage/high/target"),
        (("body", "items", 3, "a/b~c"), "/items/3/a~1b~0c"),
        (("query", "days"), "/query/days"),
    ],
)
def test_pointers_follow_rfc_6901(location: tuple[str | int, ...], text: str) -> None:
    assert pointer(location) == text


async def test_the_answers_for_two_unknown_ids_differ_only_in_request_id(client: httpx2.AsyncClient) -> None:
    answers = [await client.get(f"/things/{name}") for name in ("mine", "another-tenants")]
    texts = [a.text.replace(a.json()["request_id"], "") for a in answers]
    assert texts[0] == texts[1]
    assert "mine" not in answers[0].text
    assert [a.status_code for a in answers] == [404, 404]
    assert answers[0].headers["x-request-id"] != answers[1].headers["x-request-id"]


async def test_a_wrong_body_is_answered_with_pointers_and_without_the_input(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/people?days=0", json={"scores": [1, "SECRET"], "extra": "SECRET"})
    assert answer.status_code == 422
    assert {(e["pointer"], e["code"]) for e in answer.json()["errors"]} == {
        ("/query/days", "greater_than_equal"),
        ("/name", "missing"),
        ("/scores/1", "int_parsing"),
        ("/extra", "extra_forbidden"),
    }
    assert "SECRET" not in answer.text


async def test_twenty_thousand_wrong_values_are_answered_in_a_few_kilobytes(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/people", json={"name": "x", "scores": ["wrong"] * 20_000})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 20
    assert len(answer.content) < 5_000


async def test_what_is_not_json_is_a_400(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/people", content=b'{"name":', headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/people", 405, "method_not_allowed"),
        ("GET", "/teapot", 418, "im_a_teapot"),
        ("GET", "/broken", 500, "unexpected"),
    ],
)
async def test_every_refusal_of_the_framework_is_a_problem(
    client: httpx2.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert "secret" not in answer.text
    if status == 405:
        assert answer.headers["allow"] == "POST"
