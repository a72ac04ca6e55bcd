"""What a fact still says about somebody who was erased."""

from typing import Any

import pytest

from services.scoring.erasure.rules import Erased, mentions, person_hash, scrubbed, wordless
from services.scoring.erasure.store import without
from services.scoring.erasure.worker import letters
from shared import facts

SHADE = "erased:1f"
ERASED = Erased(3, {(1, person_hash(1, "ana")): SHADE}, frozenset({1}))
GIVEN: dict[str, Any] = {"tenant": 1, "id": "f", "received": 5, "hash": 9, "at": 7}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (facts.Usage(person_id="ana", event="x", count=3, **GIVEN), {"person_id": SHADE}),
        (facts.Usage(person_id="bob", event="x", **GIVEN), {}),
        (
            facts.Person(person_id="ana", account_id="a", name="Ana", email="e", title="t", uses_product=True, **GIVEN),
            {"person_id": SHADE, "name": None, "email": None, "title": None},
        ),
        (facts.Alias(person_id="bob", previous_id="ana", **GIVEN), {"previous_id": SHADE}),
        (
            facts.SurveyResponse(response_id="r", survey_id="s", person_id="ana", score=3, comment="c", **GIVEN),
            {"person_id": SHADE, "comment": None},
        ),
        (facts.SurveyResponse(response_id="r", survey_id="s", score=3, comment="c", **GIVEN), {}),
        (
            facts.Contact(
                account_id="a", channel="phone", outcome="reached", person_ids=["bob", "ana"], note="n",
                voices=[{"kind": "request", "text": "t"}], **GIVEN,
            ),
            {"person_ids": ["bob", SHADE], "note": None, "voices": [{"kind": "request"}]},
        ),
        (
            facts.Contact(account_id="a", channel="phone", outcome="reached", person_ids=["bob"], note="n", **GIVEN),
            {},
        ),
        (facts.InvitationSent(invitation_id="i", survey_id="s", person_id="ana", **GIVEN), {"person_id": SHADE}),
        (facts.Account(account_id="ana", name="Ana", **GIVEN), {}),
    ],
)  # fmt: skip
def test_who_is_erased_is_counted_and_not_named(said: facts.AnyFact, left: dict[str, Any]) -> None:
    told = ERASED.fact(said)
    before, after = ({name: getattr(one, name) for name in one.__struct_fields__} for one in (said, told))
    assert {name: value for name, value in after.items() if before[name] != value} == left
    assert (told is said) == (not left)
    assert ERASED.fact(told) is told


def test_the_same_id_of_another_tenant_is_somebody_else() -> None:
    other = facts.Usage(person_id="ana", event="x", **{**GIVEN, "tenant": 2})
    assert ERASED.fact(other) is other


def test_every_line_of_a_record_stays_a_line() -> None:
    ours = facts.encode(facts.Usage(person_id="ana", event="x", **GIVEN))
    others = facts.encode(facts.Usage(person_id="bob", event="x", **GIVEN))
    lines = scrubbed(b"\n".join([ours, b"no json of ana", others, b"no json"]), [b"ana"], ERASED).split(b"\n")
    assert lines[1:] == [b"{}", others, b"no json"]
    assert facts.decode(lines[0]) == facts.Usage(person_id=SHADE, event="x", **GIVEN)
    assert mentions(ours, [b"ana"])
    assert mentions(rb"\u0061na", [b"ana"])
    assert not mentions(others, [b"ana"])


def test_a_dead_letter_keeps_its_place_and_its_reason() -> None:
    letter = b'{"topic":"t","partition":1,"offset":2,"line":3,"reason":"bad","raw":"no json of ana"}'
    assert letters(letter, [b"ana"], ERASED) == letter.replace(b"no json of ana", b"{}")
    assert letters(letter, [b"bob"], ERASED) == letter


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ANA SATO called, ana@x too", "[erased] called, [erased] too"),
        ("nobody called", "nobody called"),
        ("Ana Sato and Ana Sato", "[erased] and [erased]"),
    ],
)
def test_a_name_goes_from_a_text_in_any_case(text: str, left: str) -> None:
    assert without(text, ["Ana Sato", "ana@x"]) == left


def test_a_voice_is_still_one_of_its_kind() -> None:
    assert wordless({"kind": "request", "text": "t"}) == {"kind": "request"}
