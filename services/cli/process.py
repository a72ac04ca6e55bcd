"""One process of Genki from start to end: open, serve, say ready, and on a signal leave nothing behind."""

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import structlog
import uvicorn

from services.cli.compose import GATEWAY, PORTS, open_parts, open_services
from services.cli.prepare import prepare
from services.cli.report import Refused, note, tell
from services.cli.where import Where, claim_offset
from shared.clock import Clock
from shared.embedded import EmbeddedError, EmbeddedPostgres, start_postgres
from shared.http.guard import Watch, guarded
from shared.http.limits import Limits
from shared.postgres import DatabaseSettings
from shared.service import Service, Worker

log = structlog.get_logger("genki.up")
GRACE: Final = 10  # seconds for requests under way at the end


@dataclass(frozen=True)
class Plan:
    """What `genki up` was asked for. `only`: the services of this process; `port` None = each service's own."""

    where: Where
    host: str
    port: int | None
    only: tuple[str, ...]
    clock: Clock
    whole: bool  # all services in one process: it migrates, and may show the demo
    demo: bool
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Running:
    """What a demo is handed once Genki is ready: the public door, the owner's database, the folder, the clock."""

    url: str
    data: Path
    database: DatabaseSettings
    clock: Clock
    stop: asyncio.Event


class Server(uvicorn.Server):
    """uvicorn without its own signal handlers: ours come first, so that workers finish and resources close."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the process's handlers alone."""
        yield


async def run(plan: Plan) -> None:
    """Until SIGINT or SIGTERM. Raises Refused when it cannot start, or when a worker gives up."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as house:
        tokens = plan.where.tokens()
        sockets = _listen(house, plan)
        settings = await _database(house, plan)
        claim_offset(plan.where.data, plan.clock.offset)
        if plan.whole and not stop.is_set():
            note("genki: bringing the database to the newest schema …")
            await prepare(settings, plan.where.kafka)
        if stop.is_set():
            return
        parts = await open_parts(house, settings, plan.where.kafka, plan.clock, tokens)
        services = await open_services(house, plan.only, parts)
        _spare_the_collector()
        log.info("started", services=sorted(services), bus=parts.bus.id, clock_offset=str(plan.clock.offset))
        await _live(plan, services, sockets, settings, stop)
    log.info("stopped")


def _spare_the_collector() -> None:
    """What was made to start stays: the collector need not walk it again and again, nor look at every few rows that a
    batch makes. Its pauses are seen in how late a figure is."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _listen(house: AsyncExitStack, plan: Plan) -> dict[str, socket.socket]:
    """A bound socket for the gateway, or one for each service where there is none. A taken port is told at once."""
    doors = [GATEWAY] if GATEWAY in plan.only else plan.only
    bound: dict[str, socket.socket] = {}
    for name in doors:
        port = PORTS[name] if plan.port is None else plan.port
        try:
            made = socket.create_server((plan.host, port), family=_family(plan.host), backlog=2048)
        except OSError as problem:
            raise Refused(f"{plan.host}:{port} cannot be listened on: {problem.strerror}") from problem
        bound[name] = house.enter_context(made)
    return bound


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


async def _database(house: AsyncExitStack, plan: Plan) -> DatabaseSettings:
    if plan.where.database is not None:
        return plan.where.named_database(plan.where.database)
    note(f"genki: starting PostgreSQL in {plan.where.data} …")
    try:
        server = await asyncio.to_thread(start_postgres, plan.where.data)
    except EmbeddedError as problem:
        raise Refused(str(problem)) from problem
    except OSError as problem:
        raise Refused(f"the folder {plan.where.data} cannot be used: {problem.strerror}") from problem
    house.push_async_callback(_end_database, server)
    return DatabaseSettings(server.owner_dsn, server.app_password, server.worker_password)


async def _end_database(server: EmbeddedPostgres) -> None:
    await asyncio.to_thread(server.stop)


async def _live(
    plan: Plan,
    services: Mapping[str, Service],
    sockets: Mapping[str, socket.socket],
    settings: DatabaseSettings,
    stop: asyncio.Event,
) -> None:
    watch = Watch(plan.limits)
    servers = [(_server(services[name], watch), bound) for name, bound in sockets.items()]
    serving = [asyncio.create_task(server.serve([bound]), name="server") for server, bound in servers]
    workers = [
        asyncio.create_task(_work(work), name=service.name) for service in services.values() for work in service.workers
    ]
    urls = [_url(plan.host, bound) for bound in sockets.values()]
    after = asyncio.create_task(_after_ready(plan, urls, settings, stop))
    stopping = asyncio.create_task(stop.wait())
    quit_unasked: list[asyncio.Task[None]] = []
    try:
        await asyncio.wait([*serving, *workers, stopping], return_when=asyncio.FIRST_COMPLETED)
        quit_unasked += [task for task in workers if task.done() and not stop.is_set()]
    finally:
        stop.set()
        await _end([after], cancel=True)
        for service in services.values():
            service.closing()
        for server, _ in servers:
            server.should_exit = True
        await _end(serving, cancel=False)
        failed = [task for task in workers if task.done() and not task.cancelled() and task.exception()]
        await _end([*workers, stopping], cancel=True)
        with suppress(FileNotFoundError):
            (plan.where.data / "url").unlink()
    if failed:
        raise Refused(f"a worker of {failed[0].get_name()} gave up: {failed[0].exception()!r}")
    if quit_unasked:
        raise Refused(f"a worker of {quit_unasked[0].get_name()} ended without being asked to")


async def _work(work: Worker) -> None:
    await work()


async def _end(tasks: Sequence["asyncio.Task[object]"], *, cancel: bool) -> None:
    if cancel:
        for task in tasks:
            task.cancel()
    done, late = await asyncio.wait(tasks, timeout=GRACE + 5) if tasks else (set(), set())
    for task in late:
        task.cancel()
    for task in done:
        if not task.cancelled() and task.exception() is not None:
            log.error("ended_with", task=task.get_name(), reason=repr(task.exception()))


def _server(service: Service, watch: Watch) -> Server:
    config = uvicorn.Config(
        service.http,
        http=guarded(watch),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=int(watch.limits.idle_seconds),
        timeout_graceful_shutdown=GRACE,
    )
    return Server(config)


def _url(host: str, bound: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{bound.getsockname()[1]}"


async def _after_ready(plan: Plan, urls: Sequence[str], settings: DatabaseSettings, stop: asyncio.Event) -> None:
    async with aiohttp.ClientSession() as session:
        for url in urls:
            await _until_ready(session, url)
            tell({"ready": url}, False, f"ready {url}")
    if GATEWAY in plan.only:
        plan.where.data.mkdir(parents=True, exist_ok=True)
        (plan.where.data / "url").write_text(urls[0], "ascii")
    if plan.whole:
        await _demo(Running(urls[0], plan.where.data, settings, plan.clock, stop), wanted=plan.demo)


async def _until_ready(session: aiohttp.ClientSession, url: str) -> None:
    told = 0.0
    loop = asyncio.get_running_loop()
    while True:
        state = "no answer yet"
        with suppress(aiohttp.ClientError, TimeoutError, ValueError):
            async with session.get(f"{url}/readyz", timeout=aiohttp.ClientTimeout(total=6)) as reply:
                if reply.status == 200:
                    return
                state = str((await reply.json())["dependencies"])
        if loop.time() - told > 5:
            note(f"genki: not ready yet: {state}")
            told = loop.time()
        await asyncio.sleep(0.05)


async def _demo(running: Running, *, wanted: bool) -> None:
    """The demo, or without it the first steps. What goes wrong in it is told and ends nothing else."""
    from services import demo

    try:
        await (demo.run(running) if wanted else demo.greet(running))
    except Refused as problem:
        note(f"genki: the demo stopped: {problem}")
