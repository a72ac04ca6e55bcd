"""From what is known of an account to a score with its reasons. Pure; sums run in model order in IEEE doubles.

A metric that has no data leaves its dimension, a dimension without data leaves the score; what stays shares the weight.
Sums are written as loops: the built-in `sum` of later Pythons compensates, and the same facts must give the same bits.
"""

from typing import Any, Final

from msgspec import Struct

from services.scoring.account import Moment, Override
from services.scoring.health.compiled import CompiledDimension, compiled_of
from services.scoring.health.model import Bands, HealthModel
from services.scoring.health.readings import Reading, Readings

UNKNOWN: Final = "unknown"


class Health(Struct, frozen=True):
    """A score of 0…100 (None without data), its band, the share of model weight that had data, and its rows:
    `{name, value, weight, model_weight, contribution, inputs}` per dimension, `{name: "cap", contribution}` of one."""

    score: float | None
    band: str
    confidence: float
    dimensions: tuple[dict[str, Any], ...]


NOTHING: Final = Health(None, UNKNOWN, 0.0, ())  # of a churned account


def band_of(score: float | None, bands: Bands) -> str:
    """`green`, `yellow`, `red`, or `unknown` without a score."""
    if score is None:
        return UNKNOWN
    if score >= bands.green:
        return "green"
    return "yellow" if score >= bands.yellow else "red"


def effective_band(band: str, override: Override | None, moment: Moment) -> str:
    """What lists and filters use: the manual band while one holds, else the computed."""
    return override.band if override is not None and moment.at < override.expires_at else band


def evaluate(model: HealthModel, readings: Readings) -> Health:
    """The health of an account that is not churned. Contributions, a cap's included, sum to the score within 1e-9."""
    compiled = compiled_of(model)
    values = compiled.values(readings)
    all_weight = known_weight = 0.0
    for dimension, value in zip(compiled.dimensions, values, strict=True):
        all_weight += dimension.weight
        known_weight += 0.0 if value is None else dimension.weight
    rows = [
        _row(dimension, value, known_weight, readings)
        for dimension, value in zip(compiled.dimensions, values, strict=True)
    ]
    raw = compiled.raw_score(values)
    if raw is None:
        return Health(None, UNKNOWN, 0.0, tuple(rows))
    score = compiled.capped(raw, readings)
    if score < raw:
        rows.append({"name": "cap", "contribution": score - raw})
    return Health(score, band_of(score, model.bands), known_weight / all_weight, tuple(rows))


def score_of(model: HealthModel, readings: Readings) -> float | None:
    """The score that `evaluate` gives, bit for bit, without its reasons: for earlier days, of which only it is kept."""
    compiled = compiled_of(model)
    raw = compiled.raw_score(compiled.values(readings))
    return None if raw is None else compiled.capped(raw, readings)


def _row(dimension: CompiledDimension, value: float | None, known_weight: float, readings: Readings) -> dict[str, Any]:
    weight = None if value is None else dimension.weight / known_weight
    return {
        "name": dimension.name,
        "value": value,
        "weight": weight,
        "model_weight": dimension.weight,
        "contribution": None if value is None or weight is None else weight * value,
        "inputs": {metric: _input(readings.get(metric)) for metric in dimension.measured},
    }


def _input(reading: Reading | None) -> float | None:
    return None if reading is None else reading.input
