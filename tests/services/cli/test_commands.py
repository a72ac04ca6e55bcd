"""The commands one by one, in this process, on the session's database."""

import json
from pathlib import Path

import asyncpg
import pytest

from services.__main__ import main
from services.cli.where import parse_offset
from tests.conftest import TestDatabase, run_apart


class Say:
    """Says a command and keeps what came back."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.out = self.err = ""

    def __call__(self, words: list[str]) -> int:
        code: object = 0
        try:
            main(words)
        except SystemExit as end:
            code = end.code or 0
        self.out, self.err = self._capture.readouterr()
        assert isinstance(code, int)
        return code


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    return Say(capsys)


@pytest.fixture
def place(database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("GENKI_APP_PASSWORD", database.app_password)
    monkeypatch.setenv("GENKI_WORKER_PASSWORD", database.worker_password)
    return ["--database", database.owner_dsn, "--data", str(tmp_path)]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["nonsense"], 2, "Unknown command"),
        (["key", "create", "--tenant", "x", "--kind", "gold"], 2, "Invalid value"),
        (["key", "create", "--tenant", "x", "--kind", "api"], 1, "role: Should be one of"),
        (["key", "create", "--tenant", "nobody", "--kind", "write"], 1, "there is no tenant nobody"),
        (["key", "revoke", "nothing"], 1, "there is no key nothing"),
        (["tenant", "create", "X", "--time-zone", "Mars/Olympus"], 1, "no IANA time zone"),
        (["tenant", "create", "X", "--currency", "ZZZ"], 1, "no ISO 4217 currency"),
        (["up", "--only", "oracle"], 2, "no service is called oracle"),
        (["up", "--clock-offset", "-3d"], 2, "--clock-offset"),
        (["up", "--clock-offset", "soon"], 2, "is no clock offset"),
        (["settings", "get", "--tenant", "x"], 1, "start it with `genki up`"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(
    place: list[str], words: list[str], code: int, says: str, say: Say
) -> None:
    assert say([*words, *place]) == code
    assert (say.out, says in say.err) == ("", True), say.err


def test_json_is_exactly_one_document_even_when_refused(place: list[str], say: Say) -> None:
    assert say(["key", "revoke", "nothing", "--json", *place]) == 1
    assert json.loads(say.out) == {"error": "there is no key nothing"}


def test_a_key_is_made_listed_and_revoked(place: list[str], say: Say) -> None:
    say(["tenant", "create", "Keys", "--json", *place])
    tenant = json.loads(say.out)["tenant_id"]
    words = ["--tenant", tenant, "--json", *place]
    assert say(["key", "create", "--kind", "api", "--role", "csm", "--csm", "kato", *words]) == 0
    made = json.loads(say.out)
    assert (made["kind"], made["role"], made["key"].split("_")[:3]) == ("api", "csm", ["gk", "api", made["id"]])
    assert say(["key", "revoke", made["id"], *place]) == 0
    say(["key", "list", *words])
    listed = {key["id"]: key for key in json.loads(say.out)["items"]}
    assert len(listed) == 4
    assert [key for key, entry in listed.items() if entry["revoked_at"]] == [made["id"]]


def test_migrate_repeats_and_refuses_another_number_of_partitions(place: list[str], say: Say) -> None:
    assert say(["migrate", "--json", *place]) == 0
    assert json.loads(say.out) == {"migrated": True, "partitions": 12}
    assert say(["migrate", "--partitions", "24", *place]) == 1
    assert "needs a drained log" in say.err


def test_doctor_says_since_when_the_outbox_holds_records_that_do_not_leave(
    database: TestDatabase, place: list[str], say: Say
) -> None:
    async def wait(since: str) -> None:
        conn = await asyncpg.connect(database.owner_dsn)
        await conn.execute(
            "INSERT INTO bus.outbox (topic, part, received, facts, body)"
            f" VALUES ('t', 0, clock_timestamp() - interval '{since}', 1, 'x')"
        )
        await conn.close()

    def outbox() -> str:
        say(["doctor", *place])
        return next(line for line in say.out.splitlines() if " outbox: " in line)

    say(["migrate", *place])
    run_apart(wait("1 minute"))
    assert outbox() == "ok    outbox: nothing waits for long"
    run_apart(wait("1 hour"))
    assert outbox().startswith("WRONG outbox: 1 records wait since ")


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("3d", 259_200), ("1d12h", 129_600), ("1.5h", 5_400)])
def test_a_clock_offset_is_a_sum_of_days_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert parse_offset(text).total_seconds() == seconds


@pytest.mark.parametrize("words", ["up", "migrate", "doctor", "tenant create", "key create", "settings put"])
def test_every_command_has_help_with_an_example(words: str, say: Say) -> None:
    say([*words.split(), "--help"])
    assert f"Example: genki {words}" in say.out
