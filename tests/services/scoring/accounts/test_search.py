"""Folding and ranges of text."""

from hypothesis import given
from hypothesis import strategies as st

from services.scoring.accounts.search import LONGEST, beyond, folded

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def test_width_and_case_do_not_matter():
    assert folded("ＡＣＭＥ Straße") == folded("acme STRASSE") == "acme strasse"
    assert folded("ｶﾌﾞｼｷ") == "カブシキ"


def test_folded_text_fits_an_index_entry():
    assert len(folded("\ufdfa" * 200)) == LONGEST


@given(texts.filter(bool), texts)
def test_a_text_has_the_prefix_exactly_when_it_lies_between_it_and_beyond(prefix: str, text: str):
    end = beyond(prefix)
    for candidate in (text, prefix + text):
        assert candidate.startswith(prefix) == (prefix <= candidate and (end is None or candidate < end))


def test_beyond_the_last_character_there_is_the_next_of_the_one_before():
    assert beyond("a\U0010ffff") == "b"
    assert beyond("\ud7ff") == "\ue000"
    assert beyond("\U0010ffff") is None
