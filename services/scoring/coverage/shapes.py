"""The shapes of coverage answers, for the OpenAPI document."""

from pydantic import BaseModel

from services.scoring.accounts.shapes import Asked


class CoverageFigure(BaseModel):
    """`rate` and `target` are fractions 0…1, null where nobody is eligible."""

    eligible: int
    covered: int
    rate: float | None
    target: float | None


class CoverageGroup(CoverageFigure):
    """A group. `key` null = nobody; `window` ISO 8601, null where tiers are mixed; `shortfall`: how many more must be
    covered to reach the target."""

    key: str | None
    name: str | None
    window: str | None
    shortfall: int


class CoverageAnswer(Asked):
    """Coverage of the whole and of its groups."""

    overall: CoverageFigure
    groups: list[CoverageGroup]
