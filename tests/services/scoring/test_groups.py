"""Which shards are assessed together."""

from services.scoring.assess import in_groups


def test_few_waiting_rows_are_read_and_written_as_one_and_many_shard_by_shard() -> None:
    assert in_groups([], 10) == []
    assert in_groups([(0, 3), (2, 3), (5, 4)], 10) == [[0, 2, 5]]
    assert in_groups([(0, 3), (2, 8), (5, 2), (7, 1)], 10) == [[0], [2, 5], [7]]
    assert in_groups([(0, 50), (1, 50)], 10) == [[0], [1]]
