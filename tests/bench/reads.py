"""Row `reads`: what is asked most, through the gateway, beside a bare route with the same statements each."""

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from shared.postgres import APP_ROLE, role_url
from tests.bench import made
from tests.bench.big import kept
from tests.bench.house import House, Worker
from tests.bench.table import Row, Sample, compared, say

CLIENTS = 32
WARM: Final = 0.5  # seconds of each contestant before the first round of a path
_HOT = 500  # accounts asked for in turn
PATHS: Final[Mapping[str, list[str]]] = {
    "health of one account": [f"/v1/accounts/{made.account_id(number)}/health" for number in range(_HOT)],
    "list of 50": ["/v1/accounts?limit=50"],
    "list by health": ["/v1/accounts?limit=50&sort=health"],
    "list by ACV": ["/v1/accounts?limit=50&sort=-acv"],
    "list by renewal": ["/v1/accounts?limit=50&sort=renewal_on"],
    "coverage by tier": ["/v1/coverage?by=tier"],
    "matrix": ["/v1/matrix"],
    "worklist": ["/v1/coverage/worklist"],
}
Rounds = list[tuple[Sample, dict[str, Any]]]


def reads(house: House, rounds: int, seconds: float, accounts: int) -> list[Row]:
    """The whole of Genki in one process, 32 clients. Scoring only answers: a base that was made on an earlier day would
    be judged anew."""
    base = kept(house, accounts)
    ours = house.genki(base, GENKI_SCORING_WORKERS="false")
    say(f"reads: {accounts:,} accounts")
    settings = base.settings
    app_dsn = role_url(settings.url, APP_ROLE, settings.app_password)
    bare = house.spawn("tests.bench.baselines.reader", app_dsn, str(base.tenant.tenant))
    rows = []
    for name, paths in PATHS.items():
        pairs: tuple[Rounds, Rounds] = ([], [])
        for worker in (ours, bare):
            _round(house, worker, base.tenant.keys["admin"], paths, WARM)
        say(f"reads: {name}, {rounds} rounds")
        for _ in range(rounds):
            for worker, told in zip((ours, bare), pairs, strict=True):
                told.append(_round(house, worker, base.tenant.keys["admin"], paths, seconds))
        rows.append(_row(f"read {name}, {accounts:,}", *pairs))
    rows[0].notes.append(f"idle: {_idle(house, ours):.1f} % of a core with its PostgreSQL; scoring only answers here")
    return rows


def beside_few(rows: Sequence[Row], few: int, many: int) -> list[Row]:
    """How late the latest answers are at very many accounts, beside a few: a row for each path measured at both."""
    found = {row.name: row.figures["p99"] for row in rows if "p99" in row.figures}
    made = []
    for name in PATHS:
        one, other = found.get(f"read {name}, {few:,}"), found.get(f"read {name}, {many:,}")
        if one and other:
            note = f"p99 {other:.1f} ms at {many:,} accounts, {one:.1f} ms at {few:,}"
            made.append(Row(f"p99 {name}, {many:,}", ratio=other / one, notes=[note]))
    return made


def _row(name: str, ours: Rounds, bare: Rounds) -> Row:
    late = [median(told["p99"] * 1000 for _, told in kept) for kept in (ours, bare)]
    refused = [told["refused"] for _, told in (*ours, *bare) if told["refused"]]
    note = f"p99 at {CLIENTS} clients: {late[0]:.1f} ms, bare {late[1]:.1f} ms" + (
        f"; refused {refused}" * bool(refused)
    )
    pairs = [one for one, _ in ours], [one for one, _ in bare]
    return compared(name, *pairs, note, figures={"p99": late[0], "p99_bare": late[1]})


def _round(house: House, worker: Worker, token: str, paths: list[str], seconds: float) -> tuple[Sample, dict[str, Any]]:
    spec = {
        "kind": "get", "url": worker.url, "token": token, "connections": CLIENTS, "seconds": seconds, "paths": paths,
    }  # fmt: skip
    cpu, postgres = worker.meter.cpu(), house.postgres.cpu()
    told = house.load(spec)
    spent, stored = worker.meter.cpu() - cpu, house.postgres.cpu() - postgres
    return Sample(told["requests"], spent, told["seconds"], stored, worker.meter.peak_mb()), told


def _idle(house: House, worker: Worker, seconds: float = 3.0) -> float:
    cpu = worker.meter.cpu() + house.postgres.cpu()
    time.sleep(seconds)
    return (worker.meter.cpu() + house.postgres.cpu() - cpu) / seconds * 100
