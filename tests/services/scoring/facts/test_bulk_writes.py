"""Bulk writes: rows go in by key in byte order, out of arrays and out of a temporary table alike; locks have a class
of their own."""

import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from services.scoring.facts import store
from services.scoring.facts.store import Target, columns, merge
from tests.services.scoring.harness import House

TARGET = Target("written", columns('tenant int, id text COLLATE "C", n int'), "RETURNING id", 2)
IDS = ["B", "a", "_", "Z", "b", "A", "é", "1", "ａ"]


@pytest.mark.parametrize("cells", [4_000, 0])
async def test_rows_are_written_in_byte_order(house: House, monkeypatch: pytest.MonkeyPatch, cells: int):
    monkeypatch.setattr(store, "ARRAY_CELLS", cells)
    rows = [(1, name, 0) for name in IDS]
    Random(3).shuffle(rows)
    async with house.owner.transaction():
        await house.owner.execute("CREATE TEMP TABLE written (tenant int, id text, n int)")
        written = [row["id"] for row in await merge(house.owner, TARGET, rows)]
        await house.owner.execute("DROP TABLE written")
    assert written == sorted(IDS)


def test_either_source_is_ordered_by_the_same_words():
    order = ' ORDER BY tenant, id COLLATE "C" RETURNING id'
    assert TARGET.from_arrays.endswith(order)
    assert TARGET.from_temp.endswith(order)


def test_no_two_locks_share_a_number():
    found: Counter[str] = Counter()
    for file in (Path(__file__).parents[4] / folder for folder in ("services", "shared")):
        for path in file.rglob("*.py"):
            found.update(re.findall(r"LOCK: Final = (7_[0-9_]+)", path.read_text("utf-8")))
    assert len(found) >= 7
    assert [number for number, times in found.items() if times > 1] == []
