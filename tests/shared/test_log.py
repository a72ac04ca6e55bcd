"""The log never shows what opens a door."""

import json

import pytest
import structlog

from shared.log import configure, hide_tokens, redact
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


def test_a_failure_is_written_without_the_variables_of_its_frames(capsys: pytest.CaptureFixture[str]) -> None:
    held = new_key("api").text
    for pretty in (False, True):
        configure("info", pretty=pretty)
        try:
            raise RuntimeError(f"no door for {held}")
        except RuntimeError:
            structlog.get_logger("test").exception("request_failed", count=1)
        finally:
            structlog.reset_defaults()
        written = capsys.readouterr().err
        assert "request_failed" in written
        assert "no door for gk_api_" in written
        assert held not in written
        assert held.split("_")[3] not in written


def test_a_line_is_one_json_object_that_begins_with_its_event(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", pretty=False)
    structlog.get_logger("test").info("key_made", kind="api", token="x")
    structlog.get_logger("test").debug("not_told")
    structlog.reset_defaults()
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert next(iter(told)) == "event"
    assert (told["event"], told["kind"], told["token"], told["level"]) == ("key_made", "api", "…", "info")
