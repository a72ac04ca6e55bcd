"""From stored attribute versions to the values the rules read: dates, money in the reporting currency, traits. Pure."""

from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from shared.money import convert
from shared.tenant_settings import TenantSettings

Version = tuple[datetime, str, str | None]  # at, id, value as JSON text (None = cleared)
Fold = dict[str, Version]  # field → the version in force
_DATES: Final = ("customer_since", "renewal_on")
_MONEY: Final = ("acv", "potential_acv")
_TRAIT: Final = "traits."


def attributes_of(fold: Fold, settings: TenantSettings) -> tuple[dict[str, Any], datetime | None]:
    """(values in force, absent where never told or cleared; `at` of the status in force)."""
    told: dict[str, Any] = {}
    for field, (_, _, value) in fold.items():
        if value is not None and field and not field.startswith("traits"):
            told[field] = _value(field, msgspec.json.decode(value), settings)
    traits = _traits(fold)
    if traits:
        told["traits"] = traits
    told = {field: value for field, value in told.items() if value is not None}
    status_at = fold["status"][0].astimezone(UTC) if "status" in told else None
    return told, status_at


def value_of(field: str, value: str | None, settings: TenantSettings) -> Any:
    """One stored version of a field as the rules read it; None = cleared, or money that has lost its rate."""
    return None if value is None else _value(field, msgspec.json.decode(value), settings)


def _value(field: str, value: Any, settings: TenantSettings) -> Any:
    if field in _DATES:
        return date.fromisoformat(value)
    if field not in _MONEY:
        return value
    if value["currency"] == settings.currency:
        return value["minor"]
    rate = settings.fx.get(value["currency"])
    return None if rate is None else convert(value["minor"], value["currency"], settings.currency, rate)


def _traits(fold: Fold) -> dict[str, Any]:
    """Traits merge per key; all of them cleared at once (`traits: null`) hides every earlier one."""
    cleared = fold.get("traits")
    return {
        field.removeprefix(_TRAIT): msgspec.json.decode(value)
        for field, (at, fact_id, value) in fold.items()
        if field.startswith(_TRAIT) and value is not None and (cleared is None or (at, fact_id) > cleared[:2])
    }
