"""The log never shows what opens a door."""

import pytest

from shared.log import hide_tokens, redact
from shared.tenancy import new_key


def test_a_key_in_a_line_is_cut_after_its_id() -> None:
    key = new_key("server")
    assert hide_tokens(f"GET /v1/projects/{key.text}/settings") == f"GET /v1/projects/gk_server_{key.key_id}_…/settings"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def.ghi", "Authorization: Bearer …"),
        ("Basic Z2tfeDo=", "Basic …"),
        ("/s/AAAAAAAAAAAAAAAAAAAAAA?score=9", "/s/…?score=9"),
        ("/u/AAAAAAAAAAAAAAAAAAAAAA", "/u/…"),
        ("/v1/surveys/relationship-2017", "/v1/surveys/relationship-2017"),
        ("the basic model", "the basic …"),
    ],
)
def test_credentials_and_survey_tokens_are_cut(text: str, shown: str) -> None:
    assert hide_tokens(text) == shown


def test_named_secrets_are_hidden_and_other_facts_stay() -> None:
    line = {"event": "key_made", "token": "x", "Authorization": "y", "key_id": "abc", "count": 3}
    assert redact(None, "info", {**line, "authorization": "z"})["authorization"] == "…"
    assert redact(None, "info", {"event": "e", "count": 3, "key_id": "abc"}) == {
        "event": "e",
        "count": 3,
        "key_id": "abc",
    }
