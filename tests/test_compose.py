"""docker-compose.yml: its shape by the format's own schema; nothing in it is unpinned, unbounded or unwatched."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cyclopts import App

from services.cli.compose import PORTS, SERVICES
from services.cli.where import Where
from tests.journeys.apart import COMPOSE

SCHEMA = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
OURS = (*SERVICES, "migrate")
SERVED: list[str] = [name for name in COMPOSE["services"] if name != "migrate"]


def service(name: str) -> dict[str, Any]:
    return COMPOSE["services"][name]


def test_the_file_is_a_compose_file() -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**COMPOSE, "services": {"postgres": {"imagge": "x"}}}, schema)


def test_it_holds_the_four_services_what_they_stand_on_a_mailbox_and_the_migration() -> None:
    assert set(COMPOSE["services"]) == {"postgres", "kafka", "mailpit", "migrate", *SERVICES}
    assert service("postgres")["image"].startswith("postgres:18.")
    assert service("kafka")["image"].startswith("apache/kafka:4.")
    assert {service(name)["image"] for name in OURS} == {"genki:0.1.0"}
    assert {name: service(name)["command"] for name in SERVICES} == {name: ["up", "--only", name] for name in SERVICES}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_image_has_a_whole_version(name: str) -> None:
    version = service(name)["image"].rpartition(":")[2].lstrip("v").split("-")[0].split(".")
    assert len(version) >= 2
    assert all(part.isdecimal() for part in version)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_has_bounds_of_memory_and_log(name: str) -> None:
    assert service(name)["deploy"]["resources"]["limits"]["memory"]
    assert service(name)["logging"] == {"driver": "json-file", "options": {"max-size": "20m", "max-file": "5"}}


@pytest.mark.parametrize("name", SERVED)
def test_whatever_stays_up_is_watched(name: str) -> None:
    assert service(name)["healthcheck"]["test"][0] == "CMD"
    if name in SERVICES:
        assert f"http://127.0.0.1:{PORTS[name]}/readyz" in service(name)["healthcheck"]["test"][-1]


def test_outside_are_the_gateway_the_event_door_and_the_mailbox_of_this_machine() -> None:
    ports = {name: one["ports"] for name, one in COMPOSE["services"].items() if "ports" in one}
    assert ports == {"ingest": ["8001:8001"], "gateway": ["8000:8000"], "mailpit": ["127.0.0.1:8025:8025"]}


def test_the_services_start_after_the_migration_and_it_after_database_and_log() -> None:
    assert service("migrate")["depends_on"] == {
        name: {"condition": "service_healthy"} for name in ("postgres", "kafka")
    }
    for name in SERVICES:
        assert service(name)["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_the_services_find_each_other_the_log_and_the_database_by_name() -> None:
    for name in OURS:
        given = service(name)["environment"]
        for other in ("ingest", "scoring", "nps"):
            assert given[f"GENKI_{other.upper()}_URL"] == f"http://{other}:{PORTS[other]}"
        assert given["GENKI_KAFKA_BOOTSTRAP"] == "kafka:9092"
        assert given["GENKI_DATABASE_URL"].endswith("@postgres:5432/genki")


def test_no_password_stands_in_the_file_and_the_log_forgets() -> None:
    for key in ("GENKI_APP_PASSWORD", "GENKI_WORKER_PASSWORD"):
        assert service("ingest")["environment"][key] == f"${{{key}:?set it}}"
    assert service("kafka")["environment"]["KAFKA_LOG_RETENTION_HOURS"] == 7 * 24
    assert service("kafka")["environment"]["KAFKA_LOG_RETENTION_BYTES"] == 4 << 30


FILES = {"GENKI_ISSUERS": "/run/genki/issuers.json", "GENKI_SMTP_SECRETS": "/run/genki/smtp.toml"}


@pytest.mark.parametrize(("key", "inside"), FILES.items(), ids=FILES)
def test_a_file_named_outside_is_mounted_where_the_services_look_and_unnamed_it_is_no_file(
    key: str, inside: str
) -> None:
    mount = f"${{{key}:-/dev/null}}:{inside}:ro"
    readers = SERVICES if key == "GENKI_ISSUERS" else ("nps",)  # passwords go where mails leave
    assert {name for name in SERVICES if mount in service(name)["volumes"]} == set(readers)
    for name in readers:
        assert service(name)["environment"][key] == f"${{{key}:+{inside}}}"


@pytest.mark.parametrize(("value", "named"), [("", None), ("/run/genki/issuers.json", "/run/genki/issuers.json")])
def test_issuers_named_by_nothing_are_none(value: str, named: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(result_action="return_value")

    @app.default
    def told(*, where: Where | None = None) -> Path | None:
        return None if where is None else where.issuers

    monkeypatch.setenv("GENKI_ISSUERS", value)
    assert app([]) == (None if named is None else Path(named))
