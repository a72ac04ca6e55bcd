"""The health model document: what it may say, and which one answers."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.scoring.health.model import PRESETS, HealthModel, PublishedModel, pick, preset

PART = {"metric": "renewal", "share": 1, "curve": [[0, 0], [1, 100]]}
DIMENSION = {"name": "d", "weight": 1, "combine": "mean", "metrics": [PART]}


def model(**changes: Any) -> dict[str, Any]:
    return {"name": "m", "tiers": None, "dimensions": [DIMENSION], **changes}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_whole_document(name: str) -> None:
    document = preset(name).model_dump(mode="json")
    assert HealthModel.model_validate(document) == preset(name)
    assert len(document["dimensions"]) == 8
    assert document["bands"] == {"green": 70, "yellow": 40}


def test_there_is_no_other_preset() -> None:
    with pytest.raises(KeyError):
        preset("../../x")


def test_combine_bands_and_caps_have_defaults() -> None:
    read = HealthModel.model_validate({"name": "m", "dimensions": [{"name": "d", "weight": 1, "metrics": [PART]}]})
    assert (read.dimensions[0].combine, read.bands.green, read.caps) == ("mean", 70, ())


REFUSED: list[dict[str, Any]] = [
    {"surprise": 1},
    {"name": ""},
    {"tiers": []},
    {"tiers": ["high", "high"]},
    {"tiers": ["middle"]},
    {"dimensions": []},
    {"dimensions": [DIMENSION, DIMENSION]},
    {"dimensions": [{**DIMENSION, "name": "cap"}]},
    {"dimensions": [{**DIMENSION, "weight": 0}]},
    {"dimensions": [{**DIMENSION, "weight": "1"}]},
    {"dimensions": [{**DIMENSION, "combine": "max"}]},
    {"dimensions": [{**DIMENSION, "metrics": []}]},
    {"dimensions": [{**DIMENSION, "metrics": [PART, PART]}]},
    {"dimensions": [{**DIMENSION, "metrics": [{**PART, "metric": "mood"}]}]},
    {"dimensions": [{**DIMENSION, "metrics": [{**PART, "share": 0}]}]},
    {"dimensions": [{**DIMENSION, "metrics": [{**PART, "curve": []}]}]},
    {"dimensions": [{**DIMENSION, "metrics": [{**PART, "curve": [[0, 0], [0, 1]]}]}]},
    {"dimensions": [{**DIMENSION, "metrics": [{**PART, "curve": [[0, 101]]}]}]},
    {"dimensions": [{**DIMENSION, "metrics": [{**PART, "curve": [[float("inf"), 1]]}]}]},
    {"bands": {"green": 40, "yellow": 40}},
    {"caps": [{"metric": "mood", "at_least": 1, "score": 1}]},
    {"caps": [{"metric": "renewal", "at_least": 1, "score": 101}]},
]


@pytest.mark.parametrize("changes", REFUSED)
def test_a_document_that_cannot_be_scored_is_refused(changes: dict[str, Any]) -> None:
    assert HealthModel.model_validate(model()).name == "m"
    with pytest.raises(ValidationError):
        HealthModel.model_validate(model(**changes))


def published(version: int, tiers: list[str] | None) -> PublishedModel:
    return PublishedModel(f"m{version}", version, HealthModel.model_validate(model(tiers=tiers)))


def test_a_tiers_own_model_answers_before_the_one_for_all_and_the_latest_of_each() -> None:
    models = (published(2, None), published(1, None), published(3, ["high"]), published(4, ["high", "low"]))
    assert [pick(models, tier).id for tier in ("high", "low", "tech", None)] == ["m4", "m4", "m2", "m2"]


def test_a_tenant_without_a_model_for_a_tier_is_a_fault() -> None:
    with pytest.raises(LookupError):
        pick((published(1, ["high"]),), "tech")
