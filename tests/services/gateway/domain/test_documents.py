"""One OpenAPI document out of several."""

from typing import Any

from services.gateway.domain.access import RULES
from services.gateway.domain.documents import merge

INFO = {"title": "Genki", "version": "1"}


def described(path: str, method: str, schema: str, fields: dict[str, Any]) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
    return {
        "paths": {path: {method: {"summary": schema, "responses": {"200": {"description": "OK", **body}, "422": {}}}}},
        "components": {
            "schemas": {
                schema: {"type": "object", "properties": fields},
                "HTTPValidationError": {"type": "object"},
                "List": {"items": {"$ref": f"#/components/schemas/{schema}"}, "title": str(fields)},
            }
        },
    }


SCORING = described("/v1/accounts/{id}", "get", "Item", {"a": {"type": "string"}})
NPS = described("/v1/surveys", "post", "Item", {"b": {"type": "integer"}})


def test_a_name_that_means_two_things_is_kept_apart_and_references_follow() -> None:
    document = merge(INFO, {"scoring": SCORING, "nps": NPS}, RULES)
    schemas = document["components"]["schemas"]
    assert schemas["Item"]["properties"] == {"a": {"type": "string"}}
    assert schemas["NpsItem"]["properties"] == {"b": {"type": "integer"}}
    assert schemas["NpsList"]["items"] == {"$ref": "#/components/schemas/NpsItem"}
    told = document["paths"]["/v1/surveys"]["post"]["responses"]["200"]["content"]["application/json"]
    assert told["schema"] == {"$ref": "#/components/schemas/NpsItem"}
    assert "HTTPValidationError" not in schemas


def test_the_same_name_for_the_same_thing_stays_one() -> None:
    document = merge(INFO, {"scoring": SCORING, "nps": SCORING}, RULES)
    assert set(document["components"]["schemas"]) == {"Problem", "Item", "List"}


def test_only_what_the_table_gives_to_a_service_is_public() -> None:
    inner = described("/internal/rejections/count", "get", "Count", {})
    foreign = described("/v1/keys", "post", "Key", {})
    assert merge(INFO, {"ingest": inner, "scoring": foreign}, RULES)["paths"] == {}


def test_the_summary_is_described_by_scoring() -> None:
    document = merge(INFO, {"scoring": described("/v1/summary", "get", "Summary", {})}, RULES)
    assert document["paths"]["/v1/summary"]["get"]["summary"] == "Summary"


def test_every_operation_names_its_key_and_its_refusals() -> None:
    document = merge(INFO, {"scoring": SCORING, "nps": NPS, "ingest": described("/v1/batch", "post", "B", {})}, RULES)
    account, survey = document["paths"]["/v1/accounts/{id}"]["get"], document["paths"]["/v1/surveys"]["post"]
    assert account["security"] == [{"key": []}]
    assert set(account["responses"]) == {"200", "401", "403", "404", "503"}
    assert set(survey["responses"]) == {"200", "400", "401", "403", "413", "422", "503"}
    problem = survey["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}
    assert {"writeKey": []} in document["paths"]["/v1/batch"]["post"]["security"]
    assert set(document["components"]["securitySchemes"]) == {"key", "writeKey"}


def test_text_that_has_to_be_a_number_a_day_or_one_of_a_few_is_described_as_such() -> None:
    text = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "X", "description": "Said."}
    told = {"from": text, "limit": text, "lang": text, "q": text, "days": {"type": "integer", "maximum": 7}}
    given = described("/v1/nps", "get", "N", {})
    given["paths"]["/v1/nps"]["get"]["parameters"] = [
        {"in": "query", "name": name, "schema": schema, "description": "Said."} for name, schema in told.items()
    ]
    merged = merge(INFO, {"scoring": given}, RULES)["paths"]["/v1/nps"]["get"]["parameters"]
    found = {one["name"]: one["schema"] for one in merged}
    assert found["from"] == {"type": "string", "format": "date"}
    assert found["limit"] == {"type": "integer", "minimum": 1, "maximum": 500}
    assert found["lang"]["enum"] == ["ja", "en"]
    assert (found["q"], found["days"]) == (text, told["days"])
    assert {one["description"] for one in merged} == {"Said."}
