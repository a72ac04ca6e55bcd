"""`genki import` against a Genki that runs: files in, one document out, exit codes, sending again changes nothing."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.__main__ import main
from tests.conftest import TestDatabase
from tests.journeys.running import Ground, client, fresh

pytestmark = pytest.mark.slow


class Desk:
    """Says commands to a running Genki on one tenant, keeps what came back."""

    def __init__(self, ground: Ground, made: dict[str, Any], capture: pytest.CaptureFixture[str]) -> None:
        self.ground, self.made, self._capture = ground, made, capture
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code: object = 0
        try:
            main([*words, "--tenant", self.made["tenant_id"]])
        except SystemExit as end:
            code = end.code or 0
        self.out, self.err = self._capture.readouterr()
        assert isinstance(code, int)
        return code

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    def answer(self, path: str, name: str) -> Any:
        """A figure that has everything sent so far."""

        async def ask() -> Any:
            async with client(self.ground.processes[0].url, self.made["keys"]["admin"]) as http:
                await fresh(http, datetime.now(UTC))
                return (await http.get(path)).json()[name]

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def ground(database: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    opened = Ground(database, tmp_path_factory.mktemp("imports"))
    opened.up().wait_ready()
    yield opened
    opened.stop_all()


@pytest.fixture
def desk(ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    made = json.loads(ground.command("tenant", "create", "Imports", "--json"))
    monkeypatch.setenv("GENKI_DATABASE_URL", ground.database.owner_dsn)
    monkeypatch.setenv("GENKI_APP_PASSWORD", ground.database.app_password)
    monkeypatch.setenv("GENKI_WORKER_PASSWORD", ground.database.worker_password)
    monkeypatch.setenv("GENKI_DATA", str(ground.folder / "data"))
    return Desk(ground, made, capsys)


def usage(n: int, **more: Any) -> str:
    return json.dumps({"type": "usage", "at": "2026-01-05T00:00:00Z", "person_id": f"p{n}", "event": "e"} | more)


def test_a_sheet_is_mapped_filtered_and_answered_in_one_document(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "deals.csv"
    file.write_text("id,company,stage,day,amount\nd1,acme,Won,2026-01-05,1200\nd2,,Won,2026-01-05,5\nd3,b,Lost,,\n")
    words = ["import", "contracts", str(file), "--map", "company=account_id", "--map", "day=effective_on"]
    words += ["--map", "amount=acv_after", "--set", "change=new", "--where", "stage=Won"]
    assert desk(*words, "--dry-run", "--json") == 0
    told = {
        "rows_read": 2,
        "accepted": 1,
        "rejected": [{"line": 3, "reason": "account_id is missing", "code": "missing_field"}],
        "warnings": [],
    }
    assert desk.document == told
    assert desk(*words, "--json") == 0
    assert desk.document == told
    assert desk(*words) == 0
    assert desk.out == "2 rows read, 1 accepted\nline 3: account_id is missing (missing_field)\n"


def test_exit_codes_say_whether_anything_was_accepted(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("person_id\nnull\n")
    assert desk("import", "people", str(file), "--json") == 1
    assert desk.document == {
        "error": "nothing was accepted", "rows_read": 1, "accepted": 0, "warnings": [],
        "rejected": [{"line": 2, "reason": "person_id is empty, a placeholder, or holds #", "code": "junk_id"}],
    }  # fmt: skip
    assert desk("import", "people", str(file), "--map", "nothing=name") == 1
    assert "The header has no column nothing" in desk.err
    assert desk("import", "people", str(tmp_path / "none.csv")) == 1
    assert "No such file" in desk.err
    assert desk("import", "people") == 2
    assert desk("import", "events", str(file), "--map", "a=b") == 2


@pytest.mark.parametrize("packed", [False, True])
def test_facts_are_sent_in_thousands_and_sending_them_again_changes_nothing(
    desk: Desk, tmp_path: Path, packed: bool
) -> None:
    lines = [usage(n % 7, id=f"u{n}") if n % 2 else usage(n % 7) for n in range(2_500)]
    lines[3] = lines[3].replace('"e"', "5")
    text = "\ufeff" + "\n".join(
        [*lines, "", '{"type": "usage",', "[1]", '{"a":1},{"b":2}', usage(1, note="x" * 40_000)]
    )
    file = tmp_path / "facts.ndjson"
    file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    for _ in range(2):
        assert desk("import", "events", str(file), "--json") == 0
        told = desk.document
        assert (told["rows_read"], told["accepted"]) == (2_504, 2_499)
        assert [(one["line"], one["code"]) for one in told["rejected"]] == [
            (4, "invalid_event"), (2_502, "not_json"), (2_503, "not_an_object"), (2_504, "not_json"),
            (2_505, "too_large"),
        ]  # fmt: skip
        assert "2,504 of 2,504 sent" in desk.err
        assert desk.answer("/v1/ingest/unassigned", "count") == 2_499


def test_a_file_that_is_cut_short_says_so_and_goes_on_when_it_is_whole(desk: Desk, tmp_path: Path) -> None:
    whole = gzip.compress("\n".join(usage(n, id=f"c{n}") for n in range(3_000)).encode())
    file = tmp_path / "facts.ndjson.gz"
    file.write_bytes(whole[:-20])
    assert desk("import", "events", str(file), "--json") == 1
    assert "ended before the end-of-stream marker" in desk.document["error"]
    file.write_bytes(whole)
    assert desk("import", "events", str(file)) == 0
    assert desk.out == "3,000 rows read, 3,000 accepted\n"
