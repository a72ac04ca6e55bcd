"""Integer keys of text ids: the same for ever, also when memory has no room for all of them."""

import pytest

from services.scoring import keys
from shared.postgres import Database


async def test_a_full_map_is_emptied_and_finds_the_same_keys_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_LIMIT", 3)
    persons = keys.Keys(db.worker).persons
    first = await persons.of([(1, "a"), (1, "b"), (1, "c")])
    second = await persons.of([(1, "c"), (1, "d"), (2, "a")])
    assert second[1, "c"] == first[1, "c"]
    assert len({*first.values(), *second.values()}) == 5
    for known in (first, second, {**first, **second}):
        assert await persons.of(known) == known
