"""A tenant's settings: the one document that says which figures its customer success team counts by.

The defaults are the domain's. A document is taken as a whole or refused as a whole; an unknown key is refused.
"""

from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.fields import Currency, Name, Number, Rate, Share, TimeZone, WindowField, distinct, exact, problems
from shared.money import MoneyError, convert, minor_digits, to_decimal, to_decimal_text, to_minor
from shared.window import Window

__all__ = [
    "MoneyError",
    "TenantSettings",
    "Tier",
    "Window",
    "convert",
    "exact",
    "minor_digits",
    "problems",
    "replace_sections",
    "to_decimal",
    "to_decimal_text",
    "to_minor",
]

Tier = Literal["high", "low", "tech"]
Channel = Literal["phone", "video", "meeting", "chat", "email", "event", "tech_touch"]
CountingOutcome = Literal["reached", "replied"]  # the other outcomes never count
Priority = Literal["High", "Middle", "Low"]
TIERS: Final[tuple[Tier, ...]] = ("high", "low", "tech")
RANKS: Final = ("A", "B", "C", "D")
TENURES: Final = ("a", "b", "c", "d")


class Section(BaseModel):
    """A part of the document: immutable, nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


_PERSONAL: Final[tuple[Channel, ...]] = (
    "phone",
    "video",
    "meeting",
    "chat",
    "email",
    "event",
)


class CoveragePolicy(Section):
    """What covers an account of one tier: a counting contact within `window`; `target` is the share to reach."""

    window: WindowField
    target: Share
    channels: Annotated[tuple[Channel, ...], Field(min_length=1), AfterValidator(distinct)] = _PERSONAL
    outcomes: Annotated[tuple[CountingOutcome, ...], Field(min_length=1), AfterValidator(distinct)] = (
        "reached",
        "replied",
    )


class CoverageSettings(Section):
    high: CoveragePolicy = CoveragePolicy(window=Window.parse("P1M"), target=0.8)
    low: CoveragePolicy = CoveragePolicy(window=Window.parse("P2M"), target=0.7)
    tech: CoveragePolicy = CoveragePolicy(window=Window.parse("P6M"), target=0.5, channels=(*_PERSONAL, "tech_touch"))

    def of(self, tier: str) -> CoveragePolicy:
        """The policy of a tier."""
        return {"high": self.high, "low": self.low, "tech": self.tech}[tier]


LoadRange = Annotated[tuple[StrictInt, StrictInt], Field(min_length=2, max_length=2)]


class LoadSettings(Section):
    """Accounts per CSM that are neither too few nor too many: [lower end, upper end]."""

    high: LoadRange = (5, 10)
    low: LoadRange = (20, 30)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (self.high, self.low):
            if not 0 < low <= high <= 1_000_000:
                raise PydanticCustomError("bad_range", "a load range is [lower, upper] with 0 < lower ≤ upper")
        return self


class TierSettings(Section):
    """The tiers' shares of the accounts with a value, in percent, and how long a policy's amounts are meant to hold."""

    high_percent: Annotated[Number, Field(gt=0, le=100)] = 10
    low_percent: Annotated[Number, Field(gt=0, le=100)] = 30
    period: WindowField = Window.parse("P6M")
    load: LoadSettings = LoadSettings()

    @model_validator(mode="after")
    def _within_hundred(self) -> Self:
        if exact(self.high_percent) + exact(self.low_percent) > 100:
            raise PydanticCustomError(
                "percent_above_100",
                "high_percent and low_percent are more than 100 together",
            )
        return self


Cut = Annotated[Number, Field(ge=0, le=1e15)]


class RankCuts(Section):
    """The least value of each rank."""

    A: Cut = 21
    B: Cut = 11
    C: Cut = 6
    D: Cut = 1

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if not self.A > self.B > self.C > self.D:
            raise PydanticCustomError("cuts_not_monotone", "rank cuts fall from A to D")
        return self


class RankSettings(Section):
    """The matrix' first axis: `ids`, `seats`, `acv` (in units of the reporting currency) or `trait:<name>`."""

    by: Annotated[str, StringConstraints(pattern=r"^(ids|seats|acv|trait:.{1,200})$")] = "ids"
    cuts: RankCuts = RankCuts()


class TenureSettings(Section):
    """The least whole months since the start of each class; `a` begins at 0: every started account has one."""

    a: Literal[0] = 0
    b: Annotated[StrictInt, Field(gt=0)] = 4
    c: StrictInt = 8
    d: StrictInt = 12

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.b < self.c < self.d:
            raise PydanticCustomError("cuts_not_monotone", "tenure cuts rise from a to d")
        return self


_ROWS: Final[dict[str, tuple[Priority, Priority, Priority, Priority]]] = {
    "A": ("High", "High", "High", "High"),
    "B": ("High", "High", "Middle", "Middle"),
    "C": ("Middle", "Middle", "Low", "Low"),
    "D": ("Low", "Low", "Low", "Low"),
}
DEFAULT_PRIORITIES: Final[dict[str, Priority]] = {
    rank + tenure: priority for rank, row in _ROWS.items() for tenure, priority in zip(TENURES, row, strict=True)
}


def _all_cells(value: dict[str, Priority]) -> dict[str, Priority]:
    if unknown := value.keys() - DEFAULT_PRIORITIES.keys():
        raise PydanticCustomError("unknown_cell", "no cell is called {cell}", {"cell": min(unknown)[:20]})
    return {**DEFAULT_PRIORITIES, **value}


class ChurnTargets(Section):
    """Churn per 12 months that each tier may have; null = unset. The better looked after, the lower."""

    high: Share | None = None
    low: Share | None = None
    tech: Share | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        told = [target for target in (self.high, self.low, self.tech) if target is not None]
        if told != sorted(told):
            raise PydanticCustomError("targets_not_monotone", "churn targets rise from high to tech")
        return self


class SilentChurn(Section):
    """Loss in a product without contracts: `min_events` in 90 days, then `silent_days` without any."""

    silent_days: Annotated[StrictInt, Field(ge=1, le=3650)] = 180
    min_events: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 5


class ValueFeature(Section):
    """A feature that carries value; any of `events` (default: the feature's own name) is its use."""

    feature: Name
    weight: Annotated[Number, Field(gt=0, le=1_000_000)] = 1
    share: Annotated[Number, Field(gt=0, le=1)] = 1
    events: Annotated[tuple[Name, ...], Field(min_length=1, max_length=200), AfterValidator(distinct)]
    released_on: date | None = None

    @model_validator(mode="before")
    @classmethod
    def _own_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and "events" not in value and isinstance(value.get("feature"), str):
            return {**value, "events": [value["feature"]]}
        return value


def _distinct_features(features: tuple[ValueFeature, ...]) -> tuple[ValueFeature, ...]:
    _ = distinct(tuple(feature.feature for feature in features))
    return features


class Smtp(Section):
    """The mail server that invitations leave through. `tls`: `auto` is TLS from the start on port 465, else STARTTLS
    where the server offers it. The password of `user` is no setting: the sending process is given it in a file."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    host: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    port: Annotated[StrictInt, Field(ge=1, le=65535)] = 587
    tls: Literal["auto", "starttls", "tls", "none"] = "auto"
    user: Name | None = None
    sender: Annotated[
        str,
        StringConstraints(pattern=r"^[^\r\n]*[^@\s<>]+@[^@\s<>]+>?$", max_length=320),
        Field(alias="from"),
    ]

    @model_validator(mode="after")
    def _never_in_the_clear(self) -> Self:
        if self.user is not None and self.tls == "none":
            raise PydanticCustomError("password_in_the_clear", "a user needs tls: the password would go in the clear")
        return self


class BrandName(Section):
    ja: Name
    en: Name


class Brand(Section):
    """How the tenant calls itself towards its customers."""

    name: BrandName


class TenantSettings(Section):
    """The whole document. `fx` gives reporting units per unit of another currency, as decimal text."""

    time_zone: TimeZone = "Asia/Tokyo"
    currency: Currency = "JPY"
    fx: dict[Currency, Rate] = Field(default_factory=dict)
    coverage: CoverageSettings = CoverageSettings()
    tiers: TierSettings = TierSettings()
    rank: RankSettings = RankSettings()
    tenure: TenureSettings = TenureSettings()
    priorities: Annotated[dict[str, Priority], AfterValidator(_all_cells)] = Field(
        default_factory=lambda: dict(DEFAULT_PRIORITIES)
    )
    churn_targets: ChurnTargets = ChurnTargets()
    silent_churn: SilentChurn = SilentChurn()
    value_features: Annotated[
        tuple[ValueFeature, ...],
        Field(max_length=500),
        AfterValidator(_distinct_features),
    ] = ()
    smtp: Smtp | None = None
    brand: Brand | None = None

    @model_validator(mode="after")
    def _foreign_rates(self) -> Self:
        if self.currency in self.fx:
            raise PydanticCustomError("rate_of_reporting", "the reporting currency has no rate")
        return self

    def document(self) -> dict[str, Any]:
        """The settings as JSON, in the contract's order; smtp and brand only when set."""
        body = self.model_dump(mode="json", by_alias=True)
        return {key: value for key, value in body.items() if value is not None}


def replace_sections(settings: TenantSettings, changes: dict[str, Any]) -> TenantSettings:
    """The settings with top-level keys of `changes` replaced, null removes smtp or brand. Raises ValidationError."""
    return TenantSettings.model_validate({**settings.document(), **changes})
