"""Versions as they stood at several moments, out of rows that say before which moments each was told. Pure."""

from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Subject = TypeVar("Subject", bound=Hashable)


def at_moments(rows: Iterable[tuple[Subject, Key, Any, int]], moments: int) -> list[dict[Subject, dict[Key, Any]]]:
    """Per moment, the latest first: subject → key → value. A row is (subject, key, value, part): `part` earlier moments
    lie before it, and of one subject, key and part there is one row. What did not change between two moments is the
    same object at both."""
    oldest: dict[Subject, dict[Key, Any]] = {}
    later: list[list[tuple[Subject, Key, Any]]] = [[] for _ in range(moments)]
    for subject, key, value, part in rows:
        if part:
            later[part].append((subject, key, value))
        elif subject in oldest:
            oldest[subject][key] = value
        else:
            oldest[subject] = {key: value}
    found = [oldest]
    for changes in later[1:]:
        found.append(_changed(found[-1], changes))
    return found[::-1]


def _changed(
    before: dict[Subject, dict[Key, Any]], changes: list[tuple[Subject, Key, Any]]
) -> dict[Subject, dict[Key, Any]]:
    if not changes:
        return before
    new: dict[Subject, dict[Key, Any]] = {}
    for subject, key, value in changes:
        new.setdefault(subject, dict(before.get(subject, {})))[key] = value
    return before | new
