"""`genki up`: the whole of Genki in one process, or one service of it."""

import asyncio
import os
import sys
from typing import Annotated

import structlog
import uvloop
from cyclopts import Parameter
from cyclopts.types import PositiveInt

from services.cli.compose import SERVICES
from services.cli.environment import check_environment
from services.cli.process import Plan, run
from services.cli.report import WrongUsage
from services.cli.where import Where, parse_offset
from shared import log as logging_setup
from shared.clock import Clock
from shared.http.limits import Limits


def up(
    *,
    where: Where | None = None,
    host: Annotated[str, Parameter(env_var="GENKI_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, Parameter(env_var="GENKI_PORT", help="Port, 8000 by default; 0 takes a free one.")
    ] = None,
    empty: Annotated[bool, Parameter(negative=(), help="No demo tenant.")] = False,
    only: Annotated[
        str | None, Parameter(help="Services of this process, comma-separated; it then does not migrate.")
    ] = None,
    clock_offset: Annotated[str, Parameter(help="Shift every clock ahead, for rehearsals: 3d, 36h, 1d12h.")] = "0s",
    connections: Annotated[
        PositiveInt, Parameter(env_var="GENKI_CONNECTIONS", help="Most open connections of this process.")
    ] = Limits.connections,
    connections_per_address: Annotated[
        PositiveInt | None,
        Parameter(env_var="GENKI_CONNECTIONS_PER_ADDRESS", help="Of these from one address; half of all by default."),
    ] = None,
) -> None:
    """Run Genki until SIGINT or SIGTERM; prints `ready http://H:N` when it takes requests."""
    check_environment(os.environ)
    place = where or Where()
    names = SERVICES if only is None else _names(only)
    try:
        offset = parse_offset(clock_offset)
    except ValueError as problem:
        raise WrongUsage(str(problem)) from problem
    logging_setup.configure("warning" if sys.stderr.isatty() else "info")  # a line a request is for log files
    if offset:
        structlog.get_logger("genki.up").warning("clock_shifted", offset=str(offset), note="this is a rehearsal")
    limits = Limits(connections, connections_per_address or max(1, connections // 2))
    whole = only is None
    plan = Plan(place, host, port, names, Clock(offset), whole=whole, demo=whole and not empty, limits=limits)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(plan))


def _names(only: str) -> tuple[str, ...]:
    asked = [name.strip() for name in only.split(",")]
    unknown = sorted(set(asked) - set(SERVICES))
    if unknown:
        raise WrongUsage(f"no service is called {', '.join(unknown)}; there are {', '.join(SERVICES)}")
    return tuple(name for name in SERVICES if name in asked)
