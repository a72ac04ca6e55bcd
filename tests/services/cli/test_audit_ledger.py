"""`genki audit-ledger`: its words, its document, its exit code."""

import json
from pathlib import Path

import pytest

from services.scoring.ledger.attempts import Line, encode
from tests.conftest import TestDatabase
from tests.services.cli.test_commands import Say, place, say

__all__ = ["place", "say"]


def kept(folder: Path, tenant: str) -> str:
    """A client's ledger: one fact acknowledged, one refused."""
    file = folder / "sent.ndjson"
    line = Line(attempt="1", tenant=tenant, items=[[("usage", "u-1", 5)], [("usage", "u-2", 6)]])
    file.write_bytes(encode(line) + encode(Line(end="1", results=[None, "junk_id"])))
    return str(file)


def test_books_that_balance_end_with_0_and_say_what_was_not_run(place: list[str], say: Say) -> None:
    assert say(["tenant", "create", "Books", *place]) == 0
    assert say(["audit-ledger", "--no-rebuild", "--json", *place]) == 0
    document = json.loads(say.out)
    assert document["green"] is True
    assert [one["state"] for one in document["equations"] if one["equation"] in (2, 5, 7)] == ["ok"] * 3
    assert [one["note"] for one in document["equations"] if one["equation"] in (1, 3, 4)] == ["no client ledger"] * 3
    assert "genki: archive: 0 facts" in say.err


def test_what_a_client_was_promised_and_nobody_has_ends_with_1_and_its_name(
    place: list[str], say: Say, tmp_path: Path
) -> None:
    say(["tenant", "create", "Books", "--json", *place])
    tenant = json.loads(say.out)["tenant_id"]
    assert say(["audit-ledger", "--no-rebuild", "--ledger", kept(tmp_path, tenant), *place]) == 1
    assert "1  BROKEN  acknowledged is applied or dead: 1 times" in say.out
    assert "usage u-1: acknowledged and not applied; never in the log: the door answered before it was there" in say.out
    assert "6  not run a rebuild from the archive gives the same tables (not asked for)" in say.out
    assert f"{tenant}: 2 ids, 1 acked, 1 rejected" in say.out
    assert "the books do not balance" in say.err


@pytest.mark.parametrize(
    ("written", "says"),
    [("what?\n{}\n", "BadLedger: line 1 is no line"), (None, "FileNotFoundError")],
    ids=["no ledger", "no file"],
)
def test_a_file_that_is_no_ledger_is_refused(
    place: list[str], say: Say, tmp_path: Path, database: TestDatabase, written: str | None, says: str
) -> None:
    file = tmp_path / "what.ndjson"
    if written is not None:
        file.write_text(written)
    assert say(["audit-ledger", "--ledger", str(file), *place]) == 1
    assert says in say.err
