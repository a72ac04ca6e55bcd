"""The health model document: dimensions of metrics, their curves, bands and caps. A version of it never changes."""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.fields import Name, Number
from shared.tenant_settings import Tier

Metric = Literal[
    "active_days_28",
    "active_days_90",
    "days_since_usage",
    "features_used_ratio_28",
    "active_users_per_seat_28",
    "contact_age_ratio",
    "nps_weighted",
    "active_users_ratio_28",
    "step_age_ratio",
    "renewal",
    "payment_overdue_days",
]
PRESETS = ("default", "monthly_rhythm")

Position = Annotated[Number, Field(ge=-1e9, le=1e9)]
Points = Annotated[Number, Field(ge=0, le=100)]
Weight = Annotated[Number, Field(gt=0, le=1e6)]


class Part(BaseModel):
    """Immutable, nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _rising(curve: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if any(left[0] >= right[0] for left, right in pairwise(curve)):
        raise PydanticCustomError("curve_not_rising", "a curve's points go from left to right")
    return curve


Curve = Annotated[tuple[tuple[Position, Points], ...], Field(min_length=1, max_length=100), AfterValidator(_rising)]


class MetricPart(Part):
    """One metric's share in its dimension and the points it earns."""

    metric: Metric
    share: Weight = 1
    curve: Curve


class Dimension(Part):
    """A part of the score: the share-weighted mean of its metrics that have data, or the lowest of them."""

    name: Name
    weight: Weight
    combine: Literal["mean", "min"] = "mean"
    metrics: Annotated[tuple[MetricPart, ...], Field(min_length=1, max_length=20)]

    @cached_property
    def measured(self) -> tuple[Metric, ...]:
        """The names of its metrics."""
        return tuple(part.metric for part in self.metrics)

    @model_validator(mode="after")
    def _each_metric_once(self) -> Self:
        if len({part.metric for part in self.metrics}) < len(self.metrics):
            raise PydanticCustomError("duplicate", "a metric stands once in a dimension")
        if self.name == "cap":
            raise PydanticCustomError("reserved_name", "cap is the name of the row that a cap makes")
        return self


class Bands(Part):
    """The least score of green and of yellow; below is red."""

    green: Points = 70
    yellow: Points = 40

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if not self.green > self.yellow:
            raise PydanticCustomError("bands_not_monotone", "green begins above yellow")
        return self


class Cap(Part):
    """From this much of the metric on, the score is at most `score`."""

    metric: Metric
    at_least: Position
    score: Points


def _tiers(tiers: tuple[Tier, ...] | None) -> tuple[Tier, ...] | None:
    if tiers is not None and len(set(tiers)) != len(tiers):
        raise PydanticCustomError("duplicate", "named twice")
    return tiers


class HealthModel(Part):
    """The document. `tiers` null = for every tier that has no model of its own."""

    name: Name
    tiers: Annotated[tuple[Tier, ...] | None, Field(min_length=1), AfterValidator(_tiers)] = None
    dimensions: Annotated[tuple[Dimension, ...], Field(min_length=1, max_length=50)]
    bands: Bands = Bands()
    caps: Annotated[tuple[Cap, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _each_dimension_once(self) -> Self:
        if len({dimension.name for dimension in self.dimensions}) < len(self.dimensions):
            raise PydanticCustomError("duplicate", "a dimension stands once in a model")
        return self


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A model document as it was published: its id, and its version among those of the tenant."""

    id: str
    version: int
    document: HealthModel


@lru_cache(maxsize=len(PRESETS))
def preset(name: str) -> HealthModel:
    """A model that Genki brings: `default` or `monthly_rhythm`. Raises KeyError for another name."""
    if name not in PRESETS:
        raise KeyError(name)
    text = files(__package__ or "").joinpath("models", f"{name}.json").read_text(encoding="utf-8")
    return HealthModel.model_validate(json.loads(text))


def pick(models: tuple[PublishedModel, ...], tier: str | None) -> PublishedModel:
    """The model in force for a tier: the latest that names it, else the latest for all tiers. Raises LookupError."""
    for_all = [model for model in models if model.document.tiers is None]
    own = [model for model in models if model.document.tiers is not None and tier in model.document.tiers]
    if not own and not for_all:
        raise LookupError("no published model is for every tier")
    return max(own or for_all, key=lambda model: model.version)
