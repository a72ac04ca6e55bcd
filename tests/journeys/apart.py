"""The processes that docker-compose.yml names, without containers: its commands and environment, other addresses."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from tests.journeys.running import ROOT, Ground, Process
from tests.kafka_broker import free_port

COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
NAMES: Final = ("scoring", "ingest", "nps", "gateway")
_SECRET: Final = re.compile(r"\$\{(\w+):[?+-][^}]*\}")


@dataclass
class Apart(Ground):
    """A database and a Kafka with a process for each service, each on a port of its own that stays across restarts."""

    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in NAMES})
    running: dict[str, Process] = field(default_factory=dict)

    def restart(self, *flags: str) -> str:
        for name in reversed(self.running):
            assert self.running[name].end() == 0, name
        for name in NAMES:
            self.launch(name, *flags)
        for process in self.running.values():
            process.wait_ready()
        self.door = self.running["gateway"].url
        return self.door

    def attempt(self, *flags: str) -> Process:
        return self._process("gateway", flags, {"GENKI_PORT": "0"})

    def launch(self, name: str, *flags: str) -> Process:
        """Starts one service as its container would be. Not waited for."""
        self.running[name] = self._process(name, flags, {"GENKI_PORT": str(self.ports[name])})
        return self.running[name]

    def environment(self, name: str) -> dict[str, str]:
        """The container's environment, with the addresses of this machine in place of its own."""
        local = {
            **self._env(),
            **{f"GENKI_{one.upper()}_URL": f"http://127.0.0.1:{port}" for one, port in self.ports.items()},
        }
        given = COMPOSE["services"][name]["environment"]
        return {key: local.get(key, _SECRET.sub("", value)) for key, value in given.items()}

    def _process(self, name: str, flags: tuple[str, ...], more: Mapping[str, str]) -> Process:
        output = self.folder / f"{name}-{len(self.processes)}.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GENKI_")}
        of_the_image = {"GENKI_DATA": str(self.folder / name)}
        with output.open("wb") as sink:
            handle = subprocess.Popen(
                [sys.executable, "-m", "services", *COMPOSE["services"][name]["command"], *flags],
                cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT,
                env={**clean, **of_the_image, **self.environment(name), **more},
            )  # fmt: skip
        self.processes.append(Process(handle, output))
        return self.processes[-1]
