"""What a start refuses: settings that nobody knows, that are empty by accident, or that cannot be meant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from services.cli.environment import KNOWN, check_environment
from services.cli.report import Refused
from services.cli.up import up
from tests.journeys.apart import COMPOSE

ROOT = Path(__file__).parents[3]
WRONG = {
    "a letter missing": ({"GENKI_DATABSE_URL": "x"}, "GENKI_DATABSE_URL is no setting; is GENKI_DATABASE_URL meant?"),
    "of nobody": ({"GENKI_FOO": "1"}, "GENKI_FOO is no setting"),
    "a database without scheme": ({"GENKI_DATABASE_URL": "db/genki"}, "GENKI_DATABASE_URL should be postgresql://"),
    "an empty database": ({"GENKI_DATABASE_URL": ""}, "GENKI_DATABASE_URL should be postgresql://"),
    "an empty secret": ({"GENKI_APP_PASSWORD": " "}, "GENKI_APP_PASSWORD is set, and empty"),
    "an empty Kafka": ({"GENKI_KAFKA_BOOTSTRAP": ""}, "GENKI_KAFKA_BOOTSTRAP is set, and empty"),
    "a service without scheme": ({"GENKI_SCORING_URL": "scoring:8002"}, "GENKI_SCORING_URL should be http://"),
    "no port": ({"GENKI_NPS_URL": "http://nps:port"}, "GENKI_NPS_URL should be http://"),
    "no number": ({"GENKI_CONNECTIONS": "many"}, "GENKI_CONNECTIONS should be a whole number above 0"),
    "nothing a second": ({"GENKI_TENANT_FACTS_PER_SECOND": "0"}, "GENKI_TENANT_FACTS_PER_SECOND should be a whole"),
    "two at once": ({"GENKI_FOO": "1", "GENKI_CONNECTIONS": "-1"}, "GENKI_CONNECTIONS should be"),
}


@pytest.mark.parametrize(("environment", "said"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_setting_is_refused_by_its_name_and_its_value_is_not_told(
    environment: dict[str, str], said: str
) -> None:
    with pytest.raises(Refused, match=said.replace("?", r"\?")) as refused:
        check_environment({"PATH": "/bin", "GENKIX": "1", **environment})
    assert not any(len(value) > 4 and value in str(refused.value) for value in environment.values())


def test_what_containers_and_commands_name_is_known() -> None:
    named = {name for service in COMPOSE["services"].values() for name in service.get("environment", {})}
    named |= {
        variable
        for argument in App(default_command=up).assemble_argument_collection()
        for variable in argument.parameter.env_var or ()
    }
    assert len(named) > 12
    assert {name for name in named if name.startswith("GENKI_")} <= set(KNOWN)
    check_environment(
        {"GENKI_DATABASE_URL": "postgresql://u:p@/db?host=/tmp", "GENKI_PUBLIC_URL": "", "GENKI_TEST_X": ""}
    )


@pytest.mark.parametrize(
    ("environment", "flags", "code", "said"),
    [
        ({"GENKI_FOO": "1"}, (), 1, "GENKI_FOO is no setting"),
        ({}, ("--data", "{file}"), 1, "{file}"),
        ({"GENKI_ISSUERS": "{file}"}, (), 1, "{file}"),
        ({}, ("--only", "scoring,nothing"), 2, "no service is called nothing"),
        ({}, ("--unknown", "1"), 2, "--unknown"),
    ],
)
def test_a_start_that_cannot_be_meant_ends_at_once_with_its_reason(
    tmp_path: Path, environment: dict[str, str], flags: tuple[str, ...], code: int, said: str
) -> None:
    file = tmp_path / "empty"
    file.touch()
    env = {name: value for name, value in os.environ.items() if not name.startswith("GENKI_")}
    env |= {"GENKI_DATA": str(tmp_path / "data")}
    env |= {name: value.format(file=file) for name, value in environment.items()}
    words = [
        sys.executable,
        "-m",
        "services",
        "up",
        "--empty",
        "--port",
        "0",
        *(flag.format(file=file) for flag in flags),
    ]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, said.format(file=file) in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
