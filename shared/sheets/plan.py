"""Which column tells which field: `map=column=field`, `set=field=value`, `where=column=value`. Pure."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.refusals import Fault, Invalid

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request says about its columns. `fields`: those it may tell (one that ends in a point: any name after it,
    by `map` and `set` only); `required`: those it must."""

    fields: tuple[str, ...]
    required: tuple[str, ...]
    mapped: tuple[tuple[str, str], ...]  # column, field
    constants: Mapping[str, str]
    where: Mapping[str, frozenset[str]]  # column → any of these

    def over(self, header: Sequence[str]) -> "Seat":
        """The plan on one header. A column without `map` tells the field of its own name. Raises Invalid."""
        faults = [
            Fault(f"/query/{name}", "unknown_column", f"The header has no column {column}.")
            for name, columns in (("map", [column for column, _ in self.mapped]), ("where", list(self.where)))
            for column in columns
            if _find(header, column) is None
        ]
        places = {} if faults else self._places(header)
        told = places.keys() | self.constants.keys()
        faults += [
            Fault("/query/map", "missing_field", f"No column tells {field}; say map=column={field}.")
            for field in self.required
            if not faults and field not in told
        ]
        if faults:
            raise Invalid(errors=faults)
        wanted = {_place(header, column): values for column, values in self.where.items()}
        return Seat(places, self.constants, wanted, self._warnings(header, {*places.values(), *wanted}))

    def _places(self, header: Sequence[str]) -> dict[str, int]:
        places = {field: _place(header, column) for column, field in self.mapped}
        spoken_for = set(places.values())
        for index, name in enumerate(header):
            field = _plain(name)
            free = field not in places and field not in self.constants
            if field in self.fields and not field.endswith(".") and free and index not in spoken_for:
                places[field] = index
        return places

    def _warnings(self, header: Sequence[str], used: set[int]) -> list[str]:
        unused = [name for index, name in enumerate(header) if index not in used and name]
        if not unused:
            return []
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        return [f"columns not used: {', '.join(name[:50] for name in unused[:_SHOWN])}{more}"]


@dataclass(frozen=True, slots=True)
class Seat:
    """A plan on a header: where each field lies."""

    places: Mapping[str, int]
    constants: Mapping[str, str]
    where: Mapping[int, frozenset[str]]
    warnings: list[str]

    def wants(self, cells: Sequence[str]) -> bool:
        """Whether the row is one of those asked for."""
        return all(cells[place] in values for place, values in self.where.items())

    def fields(self, cells: Sequence[str]) -> dict[str, str]:
        """What the row tells, field by field; an empty cell tells nothing."""
        told = {field: value for field, value in self.constants.items() if value}
        for field, place in self.places.items():
            if cells[place]:
                told[field] = cells[place]
        return told


def parse_plan(
    fields: Iterable[str],
    required: Iterable[str],
    maps: Iterable[str] = (),
    sets: Iterable[str] = (),
    wheres: Iterable[str] = (),
) -> Plan:
    """A plan of a request's parameters. Raises Invalid: no `=`, an unknown field, a field told twice."""
    known, faults = tuple(fields), list[Fault]()
    mapped = [(column.strip(), field.strip()) for column, field in _pairs("map", maps, faults, last=True)]
    constants = [(field.strip(), value.strip()) for field, value in _pairs("set", sets, faults)]
    where: dict[str, set[str]] = {}
    for column, value in _pairs("where", wheres, faults):
        where.setdefault(column.strip(), set()).add(value.strip())
    told = [("map", field) for _, field in mapped] + [("set", field) for field, _ in constants]
    seen: set[str] = set()
    for name, field in told:
        if not _known(field, known):
            faults.append(Fault(f"/query/{name}", "unknown_field", f"Fields are {', '.join(known)}."))
        elif field in seen:
            faults.append(Fault(f"/query/{name}", "field_twice", f"{field} is told twice."))
        seen.add(field)
    if faults:
        raise Invalid(errors=faults)
    frozen = {column: frozenset(values) for column, values in where.items()}
    return Plan(known, tuple(required), tuple(mapped), dict(constants), frozen)


def _known(field: str, known: tuple[str, ...]) -> bool:
    group, point, key = field.partition(".")
    return f"{group}." in known if point and key else field in known and not point


def _pairs(name: str, texts: Iterable[str], faults: list[Fault], *, last: bool = False) -> list[tuple[str, str]]:
    """left=right, parted at the first sign; `last`: at the last one, for a column's own name may hold some."""
    pairs: list[tuple[str, str]] = []
    for text in texts:
        left, sign, right = text.rpartition("=") if last else text.partition("=")
        if sign and left.strip():
            pairs.append((left, right))
        else:
            faults.append(Fault(f"/query/{name}", "no_pair", "Should be left=right."))
    return pairs


def _find(header: Sequence[str], column: str) -> int | None:
    """The column of that name, else one that reads alike (case, width, spaces)."""
    if column in header:
        return header.index(column)
    alike = [index for index, name in enumerate(header) if _plain(name) == _plain(column)]
    return alike[0] if len(alike) == 1 else None


def _place(header: Sequence[str], column: str) -> int:
    found = _find(header, column)
    assert found is not None  # `over` refuses columns that are not there
    return found


def _plain(name: str) -> str:
    """`Account ID` and `account-id` as `account_id`."""
    return "_".join(unicodedata.normalize("NFKC", name).casefold().replace("-", " ").replace("_", " ").split())
