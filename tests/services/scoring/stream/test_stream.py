"""The stream through the gateway, in the same process as scoring or before another: nothing lost, nothing twice."""

import asyncio
import gc
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import asyncpg
import httpx2
import pytest

from services.gateway.app import open_gateway
from services.gateway.settings import GatewaySettings
from services.scoring.app import open_scoring
from services.scoring.settings import ScoringSettings
from services.scoring.stream import listener, store
from services.scoring.stream.hub import Hub
from services.scoring.stream.listener import Listener
from shared.bus.postgres import PostgresBus, make_topics
from shared.clock import Clock
from shared.facts import ALL_TOPICS
from shared.postgres import Database, DatabaseSettings, open_database, tenant_transaction
from shared.service import Service
from shared.tenancy import Keyring, new_key
from tests.conftest import TestDatabase
from tests.services.gateway.conftest import serving
from tests.services.scoring.builders import TODAY, at

NOW = at(TODAY)
NUMBERS = count(1)


class Event(NamedTuple):
    """One event as a client reads it."""

    kind: str
    id: int
    data: dict[str, Any]


@dataclass
class Place:
    """A tenant behind a gateway."""

    db: Database
    owner: asyncpg.Connection
    scoring: Service
    gateway: Service
    url: str
    tenant: int
    keys: dict[str, str] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)

    async def key(self, kind: str = "api", role: str | None = "viewer", csm_id: str | None = None) -> str:
        made = new_key(kind)
        await self.owner.execute(
            "INSERT INTO access.key (key_id, tenant, kind, role, csm_id, secret_hash) VALUES ($1, $2, $3, $4, $5, $6)",
            made.key_id, self.tenant, kind, role, csm_id, made.secret_hash,
        )  # fmt: skip
        return made.text

    async def move(self, account: int, score: float, when: datetime = NOW) -> None:
        """The account's health becomes this, as an assessment says it."""
        async with tenant_transaction(self.db.worker, self.tenant) as conn:
            old = {account: _row(account, self.scores[account])} if account in self.scores else {}
            await store.write(conn, self.tenant, old, {account: _row(account, score)}, when)
        self.scores[account] = score

    @asynccontextmanager
    async def open(
        self, key: str, last: int | str | None = None, query: str = ""
    ) -> AsyncIterator[tuple[httpx2.Response, AsyncIterator[Event]]]:
        headers = {"authorization": f"Bearer {key}"} | ({} if last is None else {"last-event-id": str(last)})
        async with (
            httpx2.AsyncClient(base_url=self.url, timeout=20, headers=headers) as client,
            client.stream("GET", f"/v1/stream{query}") as answer,
        ):
            yield answer, _events(answer)

    @property
    def hub(self) -> Hub:
        return self.scoring.parts["stream"]


def _row(account: int, score: float) -> dict[str, Any]:
    told = {"score": score, "band": "yellow", "effective_band": "yellow", "covered": None}
    return told | {"account_id": f"a{account}", "csm_id": f"csm-{account % 2}"}


async def _events(answer: httpx2.Response) -> AsyncIterator[Event]:
    """As HTML's event-source algorithm reads them; an id without data moves the place and is kind `place`."""
    kind, last, data, moved = "message", 0, "", False
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line == "":
            if data or moved:
                yield Event(kind if data else "place", last, json.loads(data or "{}"))
            kind, data, moved = "message", "", False
        elif name == "event":
            kind = value
        elif name == "id":
            last, moved = int(value), True
        elif name == "data":
            data = value


async def take(
    events: AsyncIterator[Event], wanted: int, seconds: float = 10, into: list[Event] | None = None
) -> list[Event]:
    """The next events that are more than a place."""
    found: list[Event] = []
    async with asyncio.timeout(seconds):
        while len(found) < wanted:
            event = await anext(events)
            if event.kind != "place":
                found.append(event)
                if into is not None:
                    into.append(event)
    return found


@pytest.fixture(scope="module")
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    settings = DatabaseSettings(database.owner_dsn, database.app_password, database.worker_password)
    opened = await open_database(settings)
    yield opened
    await opened.close()


@pytest.fixture(params=["inside", "outside"])
async def place(request: pytest.FixtureRequest, database: TestDatabase, db: Database) -> AsyncIterator[Place]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        owner = await asyncpg.connect(database.owner_dsn)
        stack.push_async_callback(owner.close)
        await make_topics(owner, ALL_TOPICS, 3)
        keyring, bus = Keyring(db, clock), PostgresBus(db.worker, 3)
        settings = ScoringSettings(workers=False, streams_per_tenant=3)
        scoring = await stack.enter_async_context(open_scoring(settings, bus, db, keyring, clock))
        behind: Service | str = scoring
        if request.param == "outside":
            behind = await stack.enter_async_context(serving(scoring.http))
        gateway = await stack.enter_async_context(
            open_gateway(GatewaySettings(), {"scoring": behind}, db, keyring, clock)
        )
        url = await stack.enter_async_context(serving(gateway.http, public=True))
        name = f"t_stream{next(NUMBERS)}"
        tenant = await owner.fetchval(
            "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, 'Asia/Tokyo', 'JPY')"
            " RETURNING tenant",
            name,
        )
        yield Place(db, owner, scoring, gateway, url, tenant)
        scoring.closing()


async def test_a_change_reaches_who_listens_within_a_second_in_the_contracts_shape(place: Place) -> None:
    async with place.open(await place.key()) as (answer, events):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert answer.headers["cache-control"] == "no-store"
        began = await anext(events)
        assert began.kind == "place"
        sent = time.monotonic()
        await place.move(1, 50.0)
        [first] = await take(events, 1)
        assert time.monotonic() - sent < 1
        await place.move(1, 40.5)
        [second] = await take(events, 1)
    assert (first.kind, first.data["account_id"], first.data["was_score"]) == ("health", "a1", None)
    assert second.data == {
        "account_id": "a1", "score": 40.5, "band": "yellow", "effective_band": "yellow", "was_score": 50.0,
        "was_band": "yellow", "was_effective_band": "yellow", "at": NOW.isoformat().replace("+00:00", "Z"),
    }  # fmt: skip
    assert began.id < first.id < second.id


async def test_who_comes_back_reads_exactly_what_it_missed(place: Place) -> None:
    key = await place.key()
    async with place.open(key) as (_, events):
        await place.move(1, 50.0)
        [seen] = await take(events, 1)
    for score in (60.0, 70.0, 80.0):
        await place.move(1, score)
    async with place.open(key, seen.id) as (_, events):
        missed = await take(events, 3)
        await place.move(1, 90.0)
        [after] = await take(events, 1)
    assert [one.data["score"] for one in (*missed, after)] == [60.0, 70.0, 80.0, 90.0]
    async with place.open(key, after.id) as (_, events):
        await place.move(2, 10.0)
        assert [one.data["account_id"] for one in await take(events, 1)] == ["a2"]


async def test_a_listener_that_falls_off_again_and_again_loses_and_repeats_nothing(place: Place) -> None:
    key, wanted = await place.key(), 400
    read: list[Event] = []

    async def write() -> None:
        for number in range(wanted):
            await place.move(number % 7, 50.0 + 2 * (number % 20) + number % 3)

    async with place.open(key) as (_, events):
        last = (await anext(events)).id
    writing = asyncio.create_task(write())
    pages = (1, 3, 10, 50, 120)
    for turn in count():
        async with place.open(key, read[-1].id if read else last) as (_, events):
            quiet = writing.done()
            with suppress(TimeoutError):
                await take(events, pages[turn % len(pages)], 0.7, read)
                continue
            if quiet:
                break
    await writing
    async with tenant_transaction(place.db.app, place.tenant) as conn:
        rows = await conn.fetch("SELECT seq, body FROM stream WHERE tenant = $1 ORDER BY seq", place.tenant)
    assert len(rows) > 300
    assert [one.id for one in read] == [row["seq"] for row in rows]


async def test_who_was_away_for_longer_than_a_day_is_told_to_read_the_lists_again(place: Place) -> None:
    key = await place.key()
    await place.move(1, 50.0, NOW - timedelta(hours=30))
    async with place.open(key) as (_, events):
        old = (await anext(events)).id
    await place.move(1, 60.0, NOW - timedelta(hours=25))
    await place.move(1, 70.0)
    async with tenant_transaction(place.db.worker, place.tenant) as conn:
        assert await store.forget(conn, place.tenant, NOW - timedelta(hours=24)) == 2
    async with place.open(key, old) as (_, events):
        [reset] = await take(events, 1)
        await place.move(1, 80.0)
        [after] = await take(events, 1)
    assert (reset.kind, reset.data) == ("reset", {"from": reset.id})
    assert (after.kind, after.data["score"]) == ("health", 80.0)


@pytest.mark.parametrize("last", ["nonsense", "-1", "1", str(2**60), "9" * 30, "１２"])
async def test_an_id_that_is_none_of_this_stream_is_answered_by_a_reset(place: Place, last: str) -> None:
    await place.move(1, 50.0)
    async with place.open(await place.key(), last.encode() if not last.isascii() else last) as (answer, events):  # type: ignore[arg-type]
        assert answer.status_code == 200
        assert [one.kind for one in await take(events, 1)] == ["reset"]


async def test_no_tenant_hears_of_another(place: Place) -> None:
    other = await place.owner.fetchval(
        "INSERT INTO access.tenant (tenant_id, name, time_zone, currency) VALUES ($1, $1, 'UTC', 'JPY')"
        " RETURNING tenant",
        f"t_stream{next(NUMBERS)}",
    )
    assert other is not None
    theirs = Place(place.db, place.owner, place.scoring, place.gateway, place.url, other)
    async with place.open(await place.key()) as (_, ours), theirs.open(await theirs.key()) as (_, events):
        await anext(ours)
        await theirs.move(1, 20.0)
        await place.move(5, 50.0)
        assert [one.data["score"] for one in await take(ours, 1)] == [50.0]
        assert [one.data["score"] for one in await take(events, 1)] == [20.0]
        await place.move(5, 60.0)
        assert [one.data["account_id"] for one in await take(ours, 1)] == ["a5"]


async def test_a_csm_may_ask_for_its_own_accounts(place: Place) -> None:
    key = await place.key("api", "csm", "csm-1")
    async with (
        place.open(key, query="?csm=me") as (_, mine),
        place.open(key, query="?csm=csm-0&csm=csm-1") as (_, all_),
    ):
        await anext(mine)
        await anext(all_)
        for account in (2, 3, 4, 5):
            await place.move(account, 50.0)
        assert [one.data["account_id"] for one in await take(mine, 2)] == ["a3", "a5"]
        assert [one.data["account_id"] for one in await take(all_, 4)] == ["a2", "a3", "a4", "a5"]


async def test_silence_is_broken_by_a_beat_that_moves_the_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "BEAT", 0.3)
    monkeypatch.setattr(listener, "LOOK", 0.1)
    async with place.open(await place.key(), query="?csm=nobody") as (_, events):
        begun = await anext(events)
        await place.move(1, 50.0)
        async with asyncio.timeout(5):
            while (beat := await anext(events)).id == begun.id:
                assert beat.kind == "place"
    assert beat.kind == "place"
    async with place.open(await place.key(), beat.id) as (_, events):
        await place.move(2, 50.0)
        assert [one.data["account_id"] for one in await take(events, 1)] == ["a2"]


async def test_a_place_is_given_back_when_its_reader_leaves_and_there_are_only_so_many(place: Place) -> None:
    key = await place.key()
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(place.open(key)) for _ in range(3)]
        for _, events in opened:
            await anext(events)
        async with place.open(key) as (answer, _), asyncio.timeout(5):
            await answer.aread()
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
            assert int(answer.headers["retry-after"]) > 0
    async with asyncio.timeout(5):
        while place.hub._channels or place.hub._task:  # noqa: ASYNC110 it tells nobody
            await asyncio.sleep(0.02)
    async with place.open(key) as (answer, _):
        assert answer.status_code == 200


async def test_keys_that_may_not_read_open_no_stream_and_a_revoked_one_ends_its_own(place: Place) -> None:
    found: list[int] = []
    for key in ("none", await place.key("write", None), await place.key("server", None)):
        async with place.open(key) as (answer, _):
            found.append(answer.status_code)
    assert found == [401, 403, 403]
    key = await place.key()
    async with place.open(key) as (_, events):
        await anext(events)
        await place.owner.execute("UPDATE access.key SET revoked_at = now() WHERE key_id = $1", key.split("_")[2])
        began = time.monotonic()
        async with asyncio.timeout(7):
            assert [one.kind async for one in events] == []
    assert time.monotonic() - began < 6


async def test_when_either_process_is_asked_to_end_its_streams_end_at_once(
    place: Place, request: pytest.FixtureRequest
) -> None:
    for service in (place.gateway, place.scoring) if "outside" in request.node.name else (place.scoring,):
        await _ends(place, service)


async def _ends(place: Place, service: Service) -> None:
    async with place.open(await place.key()) as (_, events):
        await anext(events)
        service.closing()
        async with asyncio.timeout(1):
            assert [one async for one in events] == []


ROWS = 16_000
_MANY = """
WITH h AS (UPDATE stream_head SET seq = seq + $2 WHERE tenant = $1 RETURNING seq)
INSERT INTO stream (tenant, seq, at, kind, csm_id, body)
SELECT $1, h.seq - $2 + n, $3, 'health', 'c', json_build_object('n', n, 'x', repeat('x', 900)) FROM h,
  generate_series(1, $2) n
"""


@pytest.fixture
def request_socket() -> Iterator[socket.socket]:
    with socket.socket() as opened:
        yield opened


async def test_a_reader_that_does_not_read_is_waited_for_and_holds_no_more_than_a_page(
    place: Place, request_socket: socket.socket
) -> None:
    await place.move(1, 50.0)
    host, port = place.url.removeprefix("http://").split(":")
    raw = request_socket
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    raw.connect((host, int(port)))
    key = await place.key()
    raw.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    text = bytearray()
    async with asyncio.timeout(5):
        while b"id: " not in text:
            text += await loop.sock_recv(raw, 4_096)
    async with tenant_transaction(place.db.worker, place.tenant) as conn:
        await conn.execute(_MANY, place.tenant, ROWS, NOW)
    head = (await _heads(place))[place.tenant]
    await asyncio.sleep(2.5)
    [stuck] = [one for one in gc.get_objects() if isinstance(one, Listener) and one.tenant == place.tenant]
    assert stuck.seq < head - 1_000
    assert len(place.hub._channels[place.tenant]._recent) <= 2_000
    async with asyncio.timeout(30):
        while b'"n" : %d,' % ROWS not in text[-4_000:]:
            text += await loop.sock_recv(raw, 1 << 20)
    numbers = [int(part.split(b",")[0]) for part in _unchunked(bytes(text)).split(b'"n" : ')[1:]]
    assert numbers == list(range(1, ROWS + 1))


def _unchunked(text: bytes) -> bytes:
    """The body of an answer as far as it came."""
    rest, body = text.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    return body


async def _heads(place: Place) -> dict[int, int]:
    async with tenant_transaction(place.db.app, place.tenant) as conn:
        return await store.heads(conn, [place.tenant])


async def test_who_listened_before_anything_was_ever_told_can_come_back_too(place: Place) -> None:
    key = await place.key()
    async with place.open(key) as (_, events):
        began = await anext(events)
    await place.move(1, 50.0)
    async with place.open(key, began.id) as (_, events):
        assert [(one.kind, one.data["score"]) for one in await take(events, 1)] == [("health", 50.0)]
