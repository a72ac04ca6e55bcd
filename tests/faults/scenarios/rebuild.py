"""What remembers: the archive rebuilds the state, and dead letters are put back once they can be read."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared import facts
from tests.faults.ground import Ground
from tests.faults.scenarios.words import PARTITIONS, events, seen
from tests.faults.stage import Stage
from tests.journeys.running import ROOT

WHEN: Final = datetime(2026, 3, 4, 5, 6, 7, 891_234, tzinfo=UTC)
_NEXT: Final = "SELECT coalesce(max(tenant), 0) + 1 AS next FROM access.tenant"
_LAST: Final = "SELECT max(last_at) AS at FROM scoring_state.usage WHERE tenant = $1"


async def archive(stage: Stage) -> None:
    """Load, kills in its midst, then the state rebuilt from the archive: every table equal to the live one."""
    ground = stage.ground
    async with stage.load() as run:
        for _ in range(stage.count(2)):
            stage.row.faults += ground.services["scoring"].kill()
            stage.back(await ground.progress())
    await stage.balance(run)
    code, told = await asyncio.to_thread(genki, ground, "replay", "--check", "--json")
    assert code == 0, told
    stage.note("archive rebuilt: equal")


async def letters(stage: Stage) -> None:
    """A fact that died for want of its tenant is put back twice after the tenant was made: it counts once, and happened
    when it happened."""
    ground = stage.ground
    number = (await ground.ask(_NEXT))[0]["next"]
    received, at = int(datetime.now(UTC).timestamp() * 1e6), int(WHEN.timestamp() * 1e6)
    told = {"id": "early", "at": at, "person_id": "ada", "event": "e", "account_id": "a", "count": 3}
    fact = facts.Usage(tenant=number, received=received, hash=1, **told)
    before = len(await ground.letters())
    await ground.put(facts.USAGE_TOPIC, facts.partition(number, "ada", PARTITIONS), [facts.encode(fact)])
    await ground.drained()
    assert len(await ground.letters()) == before + 1
    tenant = await ground.tenant("Later")
    assert tenant.tenant == number
    for _ in range(2):
        code, told = await asyncio.to_thread(genki, ground, "dead", "replay", "--all", "--tenant", tenant.tenant_id)
        assert code == 0, told
        await ground.drained()
    assert (await seen(ground, number), await events(ground, number)) == (1, 3)
    assert abs((await ground.ask(_LAST, number))[0]["at"] - WHEN) < timedelta(microseconds=1)
    stage.row.applied, stage.row.duplicate, stage.row.dead = 1, 1, 1


def genki(ground: Ground, *words: str) -> tuple[int, Any]:
    """Exit code and output of a command of an operator; a document where the words end with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "services", *words], cwd=ROOT, env=ground.environment("scoring"),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    told = done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 and words[-1] == "--json" else told
