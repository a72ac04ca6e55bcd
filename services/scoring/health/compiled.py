"""A health model made ready to be evaluated thousands of times a second: the same figures, bit for bit. Pure."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services.scoring.health.model import Dimension, HealthModel
    from services.scoring.health.readings import Reading

_REMEMBERED: Final = 4_096  # points of a curve: most metrics are whole days
_MODELS: Final = 1_024


def on_curve(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Piecewise linear through points that go from left to right, flat beyond both ends."""
    index = bisect_left(xs, x)
    if index == 0:
        return float(ys[0])
    if index == len(xs):
        return float(ys[-1])
    if x == xs[index]:
        return float(ys[index])
    x0, y0, x1, y1 = xs[index - 1], ys[index - 1], xs[index], ys[index]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


class Part:
    """One metric of a dimension; remembers points that it has computed."""

    __slots__ = ("_known", "_xs", "_ys", "metric", "share")

    def __init__(self, metric: str, share: float, curve: Sequence[tuple[float, float]]) -> None:
        self.metric, self.share = metric, share
        self._xs, self._ys = [x for x, _ in curve], [y for _, y in curve]
        self._known: dict[float, float] = {}

    def points(self, x: float) -> float:
        """What the metric earns."""
        found = self._known.get(x)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[x] = on_curve(self._xs, self._ys, x)
        return found


class CompiledDimension:
    """A dimension without its document."""

    __slots__ = ("lowest", "measured", "name", "parts", "weight")

    def __init__(self, dimension: "Dimension") -> None:
        self.name, self.weight, self.lowest = dimension.name, dimension.weight, dimension.combine == "min"
        self.measured = dimension.measured
        self.parts = tuple(Part(part.metric, part.share, part.curve) for part in dimension.metrics)

    def value(self, readings: "Mapping[str, Reading]") -> float | None:
        """0…100 from the metrics that have data, in model order; None without any."""
        above = below = 0.0
        least: float | None = None
        for part in self.parts:
            reading = readings.get(part.metric)
            if reading is None:
                continue
            points = reading.points
            if points is None:
                if reading.input is None:
                    continue
                points = part.points(reading.input)
            above += part.share * points
            below += part.share
            least = points if least is None or points < least else least
        if least is None:
            return None
        return least if self.lowest else above / below


class Compiled:
    """A model's dimensions and caps."""

    __slots__ = ("caps", "dimensions")

    def __init__(self, model: "HealthModel") -> None:
        self.dimensions = tuple(CompiledDimension(one) for one in model.dimensions)
        self.caps = tuple((cap.metric, cap.at_least, cap.score) for cap in model.caps)

    def values(self, readings: "Mapping[str, Reading]") -> list[float | None]:
        """The dimensions' values in model order."""
        return [dimension.value(readings) for dimension in self.dimensions]

    def raw_score(self, values: Sequence[float | None]) -> float | None:
        """Σ weight·value ÷ Σ weight of the dimensions that have data, before caps."""
        above = below = 0.0
        for dimension, value in zip(self.dimensions, values, strict=True):
            if value is not None:
                above += dimension.weight * value
                below += dimension.weight
        return above / below if below else None

    def capped(self, score: float, readings: "Mapping[str, Reading]") -> float:
        """The score, or the lowest cap that holds if that is lower."""
        for metric, at_least, most in self.caps:
            reading = readings.get(metric)
            if reading is None:
                continue
            level = reading.input if reading.for_cap is None else reading.for_cap
            if level is not None and level >= at_least and score > most:
                score = float(most)
        return score


_made: dict[int, "tuple[HealthModel, Compiled]"] = {}  # by identity: a copy of a document is another one


def compiled_of(model: "HealthModel") -> Compiled:
    """The model made ready, once; documents do not change."""
    found = _made.get(id(model))
    if found is None:
        if len(_made) >= _MODELS:
            _made.clear()
        found = _made[id(model)] = model, Compiled(model)  # held with its document, whose id none other can have then
    return found[1]
