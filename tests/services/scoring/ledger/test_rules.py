"""What each equation says of one fact and of all, one row per way to break it."""

from typing import Any

import pytest

from services.scoring.ledger.books import SHOWN, Books
from services.scoring.ledger.rules import (
    Applied,
    Counted,
    Entry,
    Found,
    Seen,
    Sent,
    Span,
    Spot,
    Terms,
    holes,
    judge,
    miscounted,
    misplaced,
    overlaps,
    uneven,
)

TODAY = 20_000
TERMS = Terms(TODAY, frozenset({7}))
SPOT, OTHER = Spot("genki.usage.v1", 3, 41, 0), Spot("genki.usage.v1", 3, 55, 2)
LINE = Applied(TODAY, 11, 99, True)
ACKED, UNKNOWN, REJECTED = Sent("acked", 99), Sent("unknown", 99), Sent("rejected", 99)


def fact(kind: str = "usage", **told: Any) -> Entry:
    """A fact that was sent, acknowledged, applied once and stands in every book; `told` says otherwise."""
    sound: dict[str, Any] = {
        "sent": [ACKED], "applied": [LINE], "seen": [Seen(7, 11, TODAY)], "consumed": [SPOT],
        "rows": int(kind != "usage"),
    }  # fmt: skip
    return Entry(7, kind, "f-1", **{**sound, **told})


NOWHERE: dict[str, Any] = {"applied": [], "seen": [], "consumed": [], "rows": 0}
BURIED: dict[str, Any] = {**NOWHERE, "consumed": [SPOT], "dead": {SPOT}}

SOUND = {
    "applied once": fact(),
    "a contact, with its row": fact("contact"),
    "sent three times, in the log three times, applied once": fact(sent=[ACKED] * 3, consumed=[SPOT, OTHER, SPOT]),
    "another body under the same id, the first was applied": fact(
        sent=[ACKED, Sent("acked", 5)], consumed=[SPOT, OTHER]
    ),
    "another body under the same id, the second was applied": fact(sent=[Sent("unknown", 5), ACKED]),
    "refused": fact(sent=[REJECTED], **NOWHERE),
    "refused once, accepted with a better body": fact(sent=[Sent("rejected", 5), ACKED]),
    "unknown and never stored": fact(sent=[UNKNOWN], **NOWHERE),
    "unknown and stored": fact(sent=[UNKNOWN]),
    "unknown, then acknowledged, both on the log": fact(sent=[UNKNOWN, ACKED], consumed=[SPOT, OTHER]),
    "unknown, and it waits": fact(sent=[UNKNOWN], **{**NOWHERE, "waiting": [SPOT]}),
    "acknowledged, and it is dead": fact(**BURIED),
    "dead once, then applied": fact(consumed=[SPOT, OTHER], dead={SPOT}),
    "the letter was written twice, by a fold that died in between": fact(**{**BURIED, "dead": {SPOT, SPOT}}),
    "usage of long ago, forgotten by the dedupe table": fact(applied=[Applied(TODAY - 31, 11, 99, True)], seen=[]),
    "usage applied again after its id was forgotten": fact(
        applied=[Applied(TODAY - 40, 11, 99, False), Applied(TODAY - 3, 11, 99, False)]
    ),
    "what it said was erased": fact(applied=[LINE._replace(payload=None)]),
    "the log has forgotten it": fact(applied=[LINE._replace(in_log=False)], consumed=[]),
    "a repeat of what the log has forgotten": fact(applied=[LINE._replace(in_log=False)], consumed=[OTHER]),
    "an invitation, told by nps and by no client": fact("invitation_sent", sent=[]),
    "an alias whose row tells of an earlier one": fact("alias", rows=0),
}


@pytest.mark.parametrize("entry", SOUND.values(), ids=list(SOUND))
def test_the_books_balance(entry: Entry) -> None:
    assert list(judge(entry, TERMS)) == []


BROKEN: dict[str, tuple[Entry, dict[int, str]]] = {
    "acknowledged and nowhere: the door lied": (
        fact(**NOWHERE),
        {1: "never in the log: the door answered before it was there"},
    ),
    "acknowledged, consumed and not applied": (
        fact(**{**NOWHERE, "consumed": [SPOT]}),
        {1: "in the log at genki.usage.v1/3@41:0, below the stored position: the consumer skipped it", 7: "skipped"},
    ),
    "acknowledged, and it waits for ever": (fact(**{**NOWHERE, "waiting": [SPOT]}), {1: "above the stored position"}),
    "acknowledged, and it waits in the outbox": (fact(**{**NOWHERE, "outbox": 1}), {1: "in the outbox: it waits"}),
    "unknown, then acknowledged, and nowhere": (fact(sent=[UNKNOWN, ACKED], **NOWHERE), {1: "never", 3: "never"}),
    "applied twice": (fact(applied=[LINE, LINE], consumed=[SPOT, OTHER]), {2: "applied 2 times"}),
    "a contact applied twice, years apart": (
        fact("contact", applied=[Applied(9_000, 11, 99, False), LINE], consumed=[SPOT]),
        {2: "applied 2 times"},
    ),
    "usage applied again while its id was remembered": (
        fact(applied=[Applied(TODAY - 30, 11, 99, False), LINE]),
        {2: "applied 2 times"},
    ),
    "unknown, asked again, applied twice": (
        fact(sent=[UNKNOWN, ACKED], applied=[LINE, LINE], consumed=[SPOT, OTHER]),
        {2: "applied 2 times", 3: "unknown at first, and applied 2 times"},
    ),
    "known to the dedupe table, and not in the archive": (
        fact(applied=[]),
        {1: "the consumer skipped it", 2: "known to the dedupe table, but not in the archive"},
    ),
    "in the archive, and not in the dedupe table": (fact(seen=[]), {2: "but not in the dedupe table"}),
    "a contact in the archive without its row": (
        fact("contact", rows=0),
        {2: "not in the table of its type (contact)"},
    ),
    "a contact's row that the archive does not know": (
        fact("contact", sent=[], applied=[], seen=[], consumed=[]),
        {2: "in the table of its type (contact), but not in the archive"},
    ),
    "refused and applied": (fact(sent=[REJECTED, REJECTED]), {4: "refused at every attempt, and applied"}),
    "applied, and nobody sent it": (fact(sent=[]), {5: "applied, and nobody sent it"}),
    "applied with another payload": (
        fact(applied=[LINE._replace(payload=5)]),
        {5: "applied with another payload than was sent"},
    ),
    "known under another tenant": (fact(seen=[Seen(8, 11, TODAY)]), {5: "for tenant 7, known under tenant 8"}),
    "remembered with another body": (fact(seen=[Seen(7, 12, TODAY)]), {5: "remembers another body"}),
    "applied, and not in the log that still reaches back": (fact(consumed=[]), {5: "more often than it is in the log"}),
    "consumed without an outcome, by nobody's ledger": (
        fact(sent=[], **{**NOWHERE, "consumed": [SPOT]}),
        {7: "genki.usage.v1/3@41:0 was consumed without an outcome: the consumer skipped it"},
    ),
    "consumed twice, dead once and nothing else": (
        fact(sent=[], **{**NOWHERE, "consumed": [SPOT, OTHER], "dead": {SPOT}}),
        {7: "genki.usage.v1/3@55:2 was consumed without an outcome"},
    ),
}


@pytest.mark.parametrize(("entry", "expected"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_equation_is_named_with_where_it_broke(entry: Entry, expected: dict[int, str]) -> None:
    found = {fault.equation: fault.why for fault in judge(entry, TERMS)}
    assert found.keys() == expected.keys()
    for equation, why in expected.items():
        assert why in found[equation]


def test_a_log_that_lost_records_is_blamed_for_what_is_in_none_of_them() -> None:
    faults = list(judge(fact(**NOWHERE), Terms(TODAY, frozenset({7}), log_lost=True)))
    assert [fault.why for fault in faults] == [
        "acknowledged and not applied; not in the log, which lost records: the broker lost it"
    ]


def test_without_a_client_ledger_nobody_is_asked_who_sent_it() -> None:
    assert list(judge(fact(sent=[]), Terms(TODAY))) == []
    assert list(judge(fact(sent=[]), Terms(TODAY, frozenset({8})))) == []


def test_two_batches_that_took_the_same_offsets_are_found() -> None:
    place, other = ("genki.usage.v1", 0), ("genki.usage.v1", 1)
    spans = [
        Span("pg", place, 0, 5), Span("pg", place, 5, 9), Span("pg", place, 7, 8), Span("pg", place, 9, 12),
        Span("pg", other, 0, 5), Span("q7", other, 0, 5), Span("q7", other, 4, 6),
    ]  # fmt: skip
    assert [found.why for found in overlaps(spans)] == [
        "two batches applied offsets from 7 to 7",
        "two batches applied offsets from 4 to 4",
    ]
    assert list(overlaps(span for span in spans if span.first not in (7, 4))) == []


def test_positions_that_the_log_contradicts_are_found() -> None:
    positions = {("t", 0): 5, ("t", 1): 5, ("t", 2): 5, ("t", 3): 5}
    begins, ends = {("t", 0): 0, ("t", 1): 6, ("t", 2): 5}, {("t", 0): 5, ("t", 1): 9, ("t", 2): 9, ("t", 3): 4}
    assert list(misplaced(positions, begins, ends)) == [
        Found(0, "t/1", "the log begins at 6, records from 5 on were never applied"),
        Found(0, "t/3", "the stored position 5 lies beyond the log's end 4"),
    ]


def test_a_log_with_a_hole_is_found() -> None:
    begins, ends = {("t", 0): 2, ("t", 1): 0, ("t", 2): 4}, {("t", 0): 9, ("t", 1): 3, ("t", 2): 4}
    assert list(holes({("t", 0): 7, ("t", 1): 2}, begins, ends)) == [
        Found(0, "t/1", "1 records are missing between offset 0 and the end 3")
    ]


def test_usage_that_archive_and_table_count_differently_is_found() -> None:
    archived = {(7, "open"): 5, (7, "share"): 1, (8, "open"): 2}
    assert list(uneven(archived, {**archived})) == []
    assert list(uneven(archived, {(7, "open"): 6, (8, "open"): 2})) == [
        Found(7, "events of open", "5 in the archive, 6 in the usage table"),
        Found(7, "events of share", "1 in the archive, 0 in the usage table"),
    ]


COUNTED = Counted(accepted=90, rejected=10, by_code=10, applied=80, duplicate=8, dead=2)


def test_counters_that_agree_with_the_client_and_the_log_are_silent() -> None:
    assert list(miscounted(COUNTED, (90, 10), 90)) == []


@pytest.mark.parametrize(
    ("counted", "answered", "consumed", "why"),
    [
        (COUNTED._replace(by_code=9), (90, 10), 90, "10 refused, 9 by their reasons"),
        (COUNTED, (91, 10), 90, "counted 90 accepted and 10 refused, the client was answered 91 and 10"),
        (COUNTED, (90, 10), 91, "91 lines consumed, 90 outcomes counted"),
        (COUNTED._replace(dead=1), (90, 10), 90, "90 lines consumed, 89 outcomes counted"),
    ],
    ids=["refusals without a reason", "an answer nobody counted", "a line nobody counted", "a dead line not counted"],
)
def test_counters_that_do_not_conserve_are_found(
    counted: Counted, answered: tuple[int, int], consumed: int, why: str
) -> None:
    assert [found.why for found in miscounted(counted, answered, consumed)] == [why]


def test_a_report_names_each_equation_and_the_first_twenty_ids_and_totals_by_tenant() -> None:
    books = Books(TERMS)
    books.take(fact())
    books.take(fact(sent=[REJECTED], **NOWHERE))
    books.take(fact(**BURIED))
    books.take(fact(consumed=[SPOT, OTHER]))
    for number in range(30):
        entry = fact(**NOWHERE)
        entry.id = f"lost-{number}"
        books.take(entry)
    report = books.report({7: "acme"})
    assert not report.green
    assert report.broken() == [1]
    assert report.findings[0].count == 30
    assert len(report.findings[0].first) == SHOWN == 20
    assert report.findings[0].first[19].what == "usage lost-19"
    assert report.totals == {
        "acme": {
            "ids": 34, "acked": 33, "rejected": 1, "unknown": 0, "applied": 2, "duplicate": 1, "dead": 1, "waiting": 0,
            "consumed": 4,
        }
    }  # fmt: skip
    assert "BROKEN  acknowledged is applied or dead: 30 times" in report.text()
    assert report.document()["equations"][0]["first"][0]["what"] == "usage lost-0"


def test_a_rebuild_that_differs_breaks_the_sixth_equation_and_one_that_could_not_be_breaks_none() -> None:
    report = Books(TERMS).report({})
    report.rebuilt([Found(0, "contact", "1 rows only live, 0 only rebuilt")], "30 tables out of 73 facts")
    assert report.broken() == [6]
    report.rebuilt(None, "another rebuild is under way")
    assert (report.green, report.findings[5].state) == (True, "not run")
    report.rebuilt([], "30 tables out of 73 facts")
    assert "6  ok      a rebuild from the archive gives the same tables (30 tables out of 73 facts)" in report.text()


def test_without_a_client_ledger_three_equations_are_not_run_and_the_report_says_so() -> None:
    report = Books(Terms(TODAY)).report({})
    assert report.green
    assert [one.equation for one in report.findings if one.state == "not run"] == [1, 3, 4, 6]
