"""Connected ids and which of them stands for all. Pure."""

from collections.abc import Iterable, Mapping


def components(edges: Iterable[tuple[int, int]]) -> list[set[int]]:
    """The sets of ids that edges connect, whichever way these point; an edge to itself connects nothing."""
    found: dict[int, set[int]] = {}
    for one, other in edges:
        if one != other:
            both = found.get(one, {one}) | found.get(other, {other})
            for member in both:
                found[member] = both
    return list({id(members): members for members in found.values()}.values())


def canonical(members: Iterable[int], ids: Mapping[int, str]) -> int:
    """The key of the smallest id (by code point) of a component."""
    return min(members, key=lambda member: ids[member])
