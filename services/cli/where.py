"""Which Genki a command speaks of: its data folder, its database, its log, its clock."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter, Token

from services.cli.report import Refused
from shared.clock import Clock
from shared.embedded import EmbeddedError, borrowed_postgres, passwords
from shared.postgres import DatabaseSettings
from shared.tokens import BadIssuers, Tokens, read_issuers

_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def _file(_: Any, tokens: Sequence[Token]) -> Path | None:
    return Path(tokens[0].value) if tokens[0].value else None  # a variable left empty names no file


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """The place of one Genki; every part may come from the environment."""

    data: Annotated[Path, Parameter(env_var="GENKI_DATA", help="Folder of the embedded database.")] = Path(".genki")
    database: Annotated[
        str | None, Parameter(env_var="GENKI_DATABASE_URL", help="PostgreSQL 16 or newer, as owner, not embedded.")
    ] = None
    kafka: Annotated[
        str | None, Parameter(env_var="GENKI_KAFKA_BOOTSTRAP", help="Kafka as the log: host:port[,host:port].")
    ] = None
    issuers: Annotated[
        Path | None,
        Parameter(env_var="GENKI_ISSUERS", converter=_file, help="Whose tokens are believed: a JSON file."),
    ] = None
    app_password: Annotated[str | None, Parameter(env_var="GENKI_APP_PASSWORD", show=False)] = None
    worker_password: Annotated[str | None, Parameter(env_var="GENKI_WORKER_PASSWORD", show=False)] = None

    @contextmanager
    def borrowed(self) -> Iterator[DatabaseSettings]:
        """The database for a short task: the one named, the one that runs, or one started and ended for it."""
        if self.database is not None:
            yield self.named_database(self.database)
            return
        try:
            with borrowed_postgres(self.data) as server:
                yield DatabaseSettings(server.owner_dsn, server.app_password, server.worker_password)
        except EmbeddedError as problem:
            raise Refused(str(problem)) from problem

    def named_database(self, url: str) -> DatabaseSettings:
        """Settings of a database that is not embedded; passwords not given are made once and kept in the folder."""
        app, worker = self.app_password, self.worker_password
        if app is None or worker is None:
            self.data.mkdir(parents=True, exist_ok=True)
            kept = passwords(self.data)
            app, worker = app or kept["app"], worker or kept["worker"]
        return DatabaseSettings(url, app, worker)

    def clock(self) -> Clock:
        """The clock this folder was last run with."""
        return Clock(stored_offset(self.data))

    def tokens(self) -> Tokens | None:
        """The tokens that are believed beside keys; None where no issuer is named. Raises Refused."""
        try:
            return None if self.issuers is None else Tokens(read_issuers(self.issuers), Clock())
        except BadIssuers as problem:
            raise Refused(str(problem)) from problem

    def url(self) -> str | None:
        """Where `genki up` last said it was ready."""
        path = self.data / "url"
        return path.read_text("ascii").strip() if path.exists() else None


def stored_offset(data: Path) -> timedelta:
    """The clock offset a folder was run with; zero when never."""
    path = data / "clock-offset"
    return timedelta(seconds=float(path.read_text("ascii"))) if path.exists() else timedelta(0)


def claim_offset(data: Path, offset: timedelta) -> None:
    """Keeps the offset of a run. Raises Refused below an earlier one: time would go back under the stored facts."""
    kept = stored_offset(data)
    if offset < kept:
        raise Refused(f"this folder was run with --clock-offset {kept}: it starts only with one at least as large")
    if offset != kept:
        data.mkdir(parents=True, exist_ok=True)
        (data / "clock-offset").write_text(str(offset.total_seconds()), "ascii")


def parse_offset(text: str) -> timedelta:
    """`3d`, `36h`, `90m`, `20s` or a sum of them (`1d12h`): never back. Raises ValueError."""
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", text):
        raise ValueError(f"{text!r} is no clock offset: a number with d, h, m or s, as in 3d, 36h, 1d12h")
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    return sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))
