"""The document of the log says what is on it: every golden line is valid by its schema, on the topic it is put on."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.gateway.domain.asyncapi import document
from shared import facts

GOLDEN = sorted((Path(__file__).parents[3] / "contracts/facts").glob("*.json"))
DOCUMENT = document("9.9.9")


def channel_of(topic: str) -> dict[str, Any]:
    [found] = [one for one in DOCUMENT["channels"].values() if one["address"] == topic]
    return found


def found(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def valid(payload: dict[str, str], value: Any) -> None:
    jsonschema.validate(value, {**payload, "components": DOCUMENT["components"]})


def test_it_is_asyncapi_3_of_this_version_and_every_reference_leads_somewhere() -> None:
    assert (DOCUMENT["asyncapi"], DOCUMENT["info"]["version"]) == ("3.0.0", "9.9.9")
    references = re.findall(r'"\$ref": "(#[^"]+)"', json.dumps(DOCUMENT))
    assert len(references) > 20
    assert all(found(one) for one in references)


def test_every_topic_has_a_channel_and_every_type_of_fact_one_message() -> None:
    assert {one["address"] for one in DOCUMENT["channels"].values()} == set(facts.ALL_TOPICS)
    told = [kind for one in DOCUMENT["channels"].values() for kind in one["messages"]]
    assert sorted(told) == sorted([*(path.stem for path in GOLDEN), "dead_line"])


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_line_is_valid_on_the_channel_that_it_is_put_on(path: Path) -> None:
    fact = facts.decode(path.read_bytes().strip())
    topic, _ = facts.place(fact, 12)
    message = found(channel_of(topic)["messages"][facts.type_of(fact)]["$ref"])
    line = json.loads(facts.encode(fact))
    valid(message["payload"], line)
    with pytest.raises(jsonschema.ValidationError):
        valid(message["payload"], line | {"received": "yesterday"})


def test_instants_say_their_unit() -> None:
    usage = DOCUMENT["components"]["schemas"]["Usage"]["properties"]
    assert "microseconds" in usage["at"]["description"]
    assert "microseconds" in usage["received"]["description"]
