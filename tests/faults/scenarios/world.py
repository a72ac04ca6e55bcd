"""The world around: disks that fill up, cables that are cut, clocks that jump."""

import asyncio
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from services.cli.tenants import create_key
from services.gateway.domain.access import KeyWish
from shared.embedded.programs import call
from tests.faults.cellar import fill
from tests.faults.ground import NAMES, Ground
from tests.faults.scenarios.words import used
from tests.faults.stage import Stage
from tests.faults.wire import wire
from tests.kafka_broker import BrokerFailed, free_port

HOUR: Final = 3600


async def disk_of_postgres(stage: Stage) -> None:
    """PostgreSQL's disk is full and then has room again: refusals for now meanwhile, nothing lost, nothing broken."""
    ground = stage.ground
    assert ground.disk is not None
    async with stage.load() as run:
        ballast = fill(ground.disk)
        stage.row.faults += 1
        await asyncio.sleep(5 if stage.short else 15)
        ballast.unlink()
        await asyncio.to_thread(_up_again, ground)
        stage.back(await ground.progress(90), 60)
    await stage.balance(run)
    await asyncio.gather(*(asyncio.to_thread(one.end) for one in ground.services.values()))
    ground.postgres.stop()
    checked = call("pg_checksums", "--check", "-D", str(ground.disk / "pg" / "postgres"))
    ground.postgres.start()
    assert checked.returncode == 0, checked.stderr
    stage.note("checksums right")


def _up_again(ground: Ground) -> None:
    deadline = time.monotonic() + 90
    while not ground.postgres.up():  # it restarts by itself after a panic, unless its recovery found no room either
        assert time.monotonic() < deadline, "PostgreSQL does not come up"
        ground.postgres.start()
        time.sleep(0.5)


async def disk_of_broker(stage: Stage) -> None:
    """The broker's disk is full, which ends it; with room again it is started again, and nobody notices but the lag."""
    ground = stage.ground
    assert ground.disk is not None
    async with stage.load() as run:
        ballast = fill(ground.disk, 4096)
        stage.row.faults += 1
        await asyncio.sleep(5 if stage.short else 15)
        stage.note("the broker ended" if not ground.broker.alive() else "the broker stayed up")
        ballast.unlink()
        await asyncio.to_thread(_broker_again, ground)
        stage.back(await ground.progress(90), 60)
    await stage.balance(run)


def _broker_again(ground: Ground) -> None:
    if ground.broker.alive():
        ground.broker.kill()
    for _ in range(3):
        try:
            ground.broker.start()
        except BrokerFailed:
            time.sleep(1)
        else:
            return
    raise AssertionError("the broker does not come up")


async def cut(stage: Stage) -> None:
    """The cable between ingest and the broker, then the one between scoring and PostgreSQL: silence, no refusal."""
    ground = stage.ground
    with ExitStack() as wires:
        kafka = wires.enter_context(wire(ground.broker.wire_port, ground.broker.inner))
        port = free_port()
        database = wires.enter_context(wire(port, ground.postgres.socket))
        url = ground.settings.url.partition("?")[0].replace("@/", f"@127.0.0.1:{port}/")
        ingest = {"GENKI_KAFKA_BOOTSTRAP": ground.broker.wired}
        await asyncio.to_thread(lambda: ground.as_told("ingest", env=ingest))
        await asyncio.to_thread(lambda: ground.as_told("scoring", env={"GENKI_DATABASE_URL": url}))
        await asyncio.to_thread(ground.wait_ready)
        async with stage.load() as run:
            kafka.cut()
            stage.row.faults += 1
            since = len(run.summary.answers)
            await asyncio.sleep(20)
            slow = max(one.seconds for one in run.summary.answers[since:])
            stage.within(slow, 5.5, "answered behind a cut cable")
            kafka.mend()
            stage.back(await ground.progress())
            database.cut()
            stage.row.faults += 1
            noticed = await asyncio.to_thread(_not_ready, ground)
            await asyncio.sleep(max(0.0, 20 - noticed))
            database.mend()
            stage.back(await ground.progress())
        await stage.balance(run)
        for name in ("ingest", "scoring"):
            await asyncio.to_thread(ground.as_told, name)
        await asyncio.to_thread(ground.wait_ready)
    stage.note(f"slowest answer {slow:.1f} s; scoring not ready after {noticed:.1f} s")


def _not_ready(ground: Ground) -> float:
    began = time.monotonic()
    while ground.services["scoring"].ready():
        assert time.monotonic() - began < 15, "scoring does not notice that its database is out of reach"
        time.sleep(0.2)
    return time.monotonic() - began


async def clocks(stage: Stage) -> None:
    """The clock of one service after the other jumps by an hour, ahead and back: nothing stands still, no key lives
    longer than it should, scores are scores."""
    ground = stage.ground
    files = {name: ground.folder / f"{name}.clock" for name in NAMES}
    for name, file in files.items():
        await asyncio.to_thread(ground.cast, name, f"clock:{file}")
    await asyncio.to_thread(ground.wait_ready)
    async with stage.load() as run:
        for name in NAMES if not stage.short else ("scoring", "ingest"):
            for hours in (1, -1, 0):
                files[name].write_text(str(hours * HOUR), "ascii")
                stage.row.faults += 1
                stage.back(await ground.progress())
                await asyncio.sleep(stage.pause(0.5, 2))
        await _expired_key(stage, files)
    await stage.balance(run)
    await _sane(stage)
    for name in NAMES:
        await asyncio.to_thread(ground.cast, name)
    await asyncio.to_thread(ground.wait_ready)


async def _expired_key(stage: Stage, files: dict[str, Path]) -> None:
    """A key that ends, while one of the two services that look at it lives an hour ago."""
    ground = stage.ground
    ends = datetime.now(UTC) + timedelta(seconds=2)
    wish = KeyWish("server", expires_at=ends)
    key = await create_key(ground.settings, stage.tenants[0].tenant_id, wish, datetime.now(UTC))
    await asyncio.sleep(3)
    async with stage.client(await ground.tenant("Clock")) as door:
        for name in ("gateway", "ingest"):
            files[name].write_text(str(-HOUR), "ascii")
            answer = await door.post("/v1/events", json=used(1), headers={"authorization": f"Bearer {key.text}"})
            assert answer.status_code == 401, (
                f"with {name} an hour behind an ended key is answered {answer.status_code}"
            )
            files[name].write_text("0", "ascii")


async def _sane(stage: Stage) -> None:
    rows = await stage.ground.ask(
        "SELECT count(*) AS n, count(score) AS scored, min(score) AS least, max(score) AS most "
        "FROM scoring_state.account_state WHERE tenant IN (SELECT tenant FROM access.tenant WHERE tenant_id = ANY($1))",
        [one.tenant_id for one in stage.tenants],
    )
    found = rows[0]
    assert found["n"] > 0
    assert found["scored"] > 0
    assert 0 <= found["least"] <= found["most"] <= 100
