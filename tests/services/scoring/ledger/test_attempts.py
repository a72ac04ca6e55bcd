"""The client's file: what a try without an end means, and what is no ledger."""

import pytest

from services.scoring.ledger.attempts import Attempt, BadLedger, Line, attempts, digest, encode
from shared.facts import Usage

TRY = Line(attempt="a-1", tenant="acme", items=[[("usage", "u-1", 5)], [("account", "g", 6), ("person", "g", 7)]])


def read(*lines: Line | bytes) -> list[Attempt]:
    return list(attempts(line if isinstance(line, bytes) else encode(line) for line in lines))


def test_every_fact_of_an_item_has_the_items_outcome() -> None:
    assert read(TRY, Line(end="a-1", results=[None, "junk_id"])) == [
        Attempt("acme", "usage", "u-1", 5, "acked"),
        Attempt("acme", "account", "g", 6, "rejected"),
        Attempt("acme", "person", "g", 7, "rejected"),
    ]


@pytest.mark.parametrize("lines", [(TRY,), (TRY, Line(end="a-1", unknown="503")), (TRY, b'{"end":"a-1","res')])
def test_no_end_no_answer_and_a_line_cut_off_are_unknown(lines: tuple[Line | bytes, ...]) -> None:
    assert {one.outcome for one in read(*lines)} == {"unknown"}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((b"what?\n", TRY), "line 1 is no line"),
        ((Line(end="a-2"),), "line 1 ends what never began"),
        ((TRY, Line(end="a-1", results=[None])), "2 items and 1 results"),
    ],
)
def test_what_is_no_ledger_is_refused(lines: tuple[Line | bytes, ...], why: str) -> None:
    with pytest.raises(BadLedger, match=why):
        read(*lines)


def test_the_digest_is_of_what_was_said_and_not_of_what_the_door_adds() -> None:
    said = Usage(tenant=0, received=0, id="u", at=5, person_id="p", event="e")
    stamped = Usage(tenant=7, received=99, hash=3, id="u", at=5, person_id="p", event="e")
    assert digest(said) == digest(stamped)
    assert digest(said) != digest(Usage(tenant=0, received=0, id="u", at=6, person_id="p", event="e"))
