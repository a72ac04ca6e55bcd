"""Shares: who takes more than flows in waits, and nobody else does."""

import pytest

from shared import shares
from shared.errors import TooMany
from shared.shares import Shares


class Hand:
    """A clock moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def refused(one: Shares, asker: object, amount: int = 1) -> str | None:
    """What the asker is told to wait, or None."""
    try:
        one.take(asker, amount)
    except TooMany as refusal:
        return refusal.headers["Retry-After"]
    return None


def test_what_is_saved_up_may_be_taken_at_once_and_then_only_what_flows_in() -> None:
    clock = Hand()
    held = Shares(10, 5, clock)
    assert [refused(held, "a", 25) for _ in range(3)] == [None, None, "1"]
    clock.now += 1
    assert [refused(held, "a", 10) for _ in range(2)] == [None, "1"]


def test_no_more_is_saved_up_than_that_of_so_many_seconds() -> None:
    clock = Hand()
    held = Shares(10, 5, clock)
    assert refused(held, "a", 1) is None
    clock.now += 3_600
    assert [refused(held, "a", 50) for _ in range(2)] == [None, "1"]


def test_one_large_request_is_taken_and_paid_for_afterwards() -> None:
    clock = Hand()
    held = Shares(10, 1, clock)
    assert refused(held, "a", 100) is None
    assert refused(held, "a") == "9"
    clock.now += 9
    assert refused(held, "a") == "1"
    clock.now += 0.1
    assert refused(held, "a") is None


def test_ones_debt_is_nobody_elses() -> None:
    held = Shares(1, 1, Hand())
    assert refused(held, 1, 1_000) is None
    assert refused(held, 1) == "999"
    assert [refused(held, asker) for asker in range(2, 50)] == [None] * 48


def test_askers_who_owe_nothing_are_forgotten_when_there_are_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_MOST", 10)
    clock = Hand()
    held = Shares(1, 5, clock)
    assert refused(held, "debtor", 1_000) is None
    for asker in range(100):
        assert refused(held, asker) is None
        clock.now += 1
    assert len(held._held) <= 10
    assert refused(held, "debtor") is not None
