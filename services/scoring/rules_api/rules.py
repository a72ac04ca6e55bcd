"""How a settings document changes: as a whole or not at all, and never in what the facts were read by. Pure."""

from collections.abc import Iterator
from typing import Any, Final, cast

from pydantic import ValidationError

from shared.refusals import Conflict, Fault, Invalid, pointer
from shared.tenant_settings import TenantSettings, problems, replace_sections

FIXED: Final = ("time_zone", "currency")
OPENLY: Final = frozenset((
    "fx", "coverage", "tiers", "rank", "tenure", "priorities", "churn_targets", "silent_churn", "value_features",
))  # fmt: skip  # what the audit log shows; a new part of the settings is withheld until it is named here


class FixedAtCreation(Conflict):
    """Time zone and currency are chosen when the tenant is made and do not change: stored days and amounts rest on
    them."""


def changed(settings: TenantSettings, changes: dict[str, Any]) -> TenantSettings:
    """The settings with the top-level keys of `changes` replaced. Raises Invalid with a pointer for each fault, and
    FixedAtCreation for another time zone or currency."""
    try:
        wished = replace_sections(settings, changes)
    except ValidationError as error:
        raise Invalid(errors=problems(error)) from None
    unkept = [Fault(pointer(path), "not_storable", "Holds a NUL.") for path in nul_paths(wished.document())]
    if unkept:
        raise Invalid(errors=unkept)
    moved = [name for name in FIXED if getattr(wished, name) != getattr(settings, name)]
    if moved:
        message = "Chosen when the tenant is made; it does not change."
        raise FixedAtCreation(errors=[Fault(f"/{name}", "fixed_at_creation", message) for name in moved])
    return wished


def told_of(before: TenantSettings, after: TenantSettings) -> dict[str, dict[str, Any]]:
    """What the audit log says of a change: the top-level keys that differ, as they were and are. What may hold an
    address, a name or a secret is only named."""
    was, now = before.document(), after.document()
    keys = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
    return {
        "before": {key: _shown(key, was.get(key)) for key in keys},
        "after": {key: _shown(key, now.get(key)) for key in keys},
    }


def _shown(key: str, value: Any) -> Any:
    return value if key in OPENLY or value is None else "withheld"


def nul_paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where a key or text holds a NUL, which no table keeps."""
    if isinstance(value, str) and "\0" in value:
        yield path
    elif isinstance(value, dict):
        for key, inner in cast(dict[str, object], value).items():
            if "\0" in key:
                yield path
            yield from nul_paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast(list[object], value)):
            yield from nul_paths(inner, (*path, index))
