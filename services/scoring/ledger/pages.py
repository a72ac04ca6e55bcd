"""One table of the session in which every book writes what it knows, under the dedupe key of tenant, type and id."""

from typing import Any, Final

import msgspec
from asyncpg.pgproto.pgproto import UUID

from services.scoring.ledger.attempts import ACKED, REJECTED, UNKNOWN
from services.scoring.ledger.rules import Applied, Entry, Seen, Sent, Spot
from shared import facts
from shared.bus import Place
from shared.postgres import Connection

CLIENT, APPLIED, SEEN, ROW, LINE, DEAD = range(1, 7)
WAITS, CONSUMED, IN_OUTBOX = range(3)  # column d of a line
_CHUNK: Final = 20_000
_OUTCOMES: Final = (ACKED, REJECTED, UNKNOWN)
_NUMBER: Final = {word: number for number, word in enumerate(_OUTCOMES)}
_COLUMNS: Final = ("key", "source", "tenant", "kind", "id", "a", "b", "c", "d")
_TABLE: Final = """
CREATE TEMP TABLE book (
  key uuid NOT NULL, source smallint NOT NULL, tenant bigint NOT NULL, kind text, id text,
  a bigint, b bigint, c bigint, d smallint
) ON COMMIT DROP
"""
UNREADABLE: Final = "?"


class Pages:
    """Collects rows and copies them in chunks."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._rows: list[tuple[Any, ...]] = []
        self._places: list[Place] = []
        self._numbers: dict[Place, int] = {}

    async def begin(self) -> None:
        """Makes the table; it goes with the transaction."""
        await self._conn.execute(_TABLE)

    async def attempt(self, tenant: int, kind: str, fact_id: str, payload: int, outcome: str) -> None:
        """A client's attempt."""
        await self.add(CLIENT, tenant, kind, fact_id, _NUMBER[outcome], payload)

    async def add(
        self, source: int, tenant: int, kind: str, fact_id: str, a: int = 0, b: int = 0, c: int | None = 0, d: int = 0
    ) -> None:
        """What one book says of one fact."""
        key = UUID(facts.seen_key(tenant, kind, fact_id))
        self._rows.append((key, source, tenant, kind, fact_id, a, b, c, d))
        if len(self._rows) >= _CHUNK:
            await self.flush()

    async def add_line(self, source: int, raw: bytes, spot: Spot, d: int) -> None:
        """A line of the log, or a dead letter; one that is no fact has the spot as its id."""
        tenant, kind, fact_id = _named(raw, spot)
        place = self._number((spot.topic, spot.part))
        await self.add(source, tenant, kind, fact_id, place, spot.offset, spot.line, d)

    async def flush(self) -> None:
        """Copies what has gathered."""
        rows, self._rows = self._rows, []
        if rows:
            await self._conn.copy_records_to_table("book", records=rows, columns=_COLUMNS)

    def entry(self, rows: list[Any]) -> Entry:
        """The rows of one key as one entry."""
        named = next((row for row in rows if row[4] is not None), rows[0])
        entry = Entry(named[2], named[3] or UNREADABLE, named[4] or str(named[0]))
        for row in rows:
            self._fill(entry, row)
        return entry

    def _fill(self, entry: Entry, row: Any) -> None:
        _, source, tenant, _, _, a, b, c, d = row
        if source == CLIENT:
            entry.sent.append(Sent(_OUTCOMES[a], b))
        elif source == APPLIED:
            entry.applied.append(Applied(a, b, c, bool(d)))
        elif source == SEEN:
            entry.seen.append(Seen(tenant, b, a))
        elif source == ROW:
            entry.rows += 1
        elif source == DEAD:
            entry.dead.add(self._spot(row))
        elif d == IN_OUTBOX:
            entry.outbox += 1
        else:
            (entry.consumed if d == CONSUMED else entry.waiting).append(self._spot(row))

    def _spot(self, row: Any) -> Spot:
        topic, part = self._places[row[5]]
        return Spot(topic, part, row[6], row[7])

    def _number(self, place: Place) -> int:
        number = self._numbers.get(place)
        if number is None:
            number = self._numbers[place] = len(self._places)
            self._places.append(place)
        return number


def _named(raw: bytes, spot: Spot) -> tuple[int, str, str]:
    try:
        fact = facts.decode(raw)
        facts.seen_key(fact.tenant, facts.type_of(fact), fact.id)
    except (msgspec.MsgspecError, ValueError, UnicodeError, RecursionError):
        return 0, UNREADABLE, str(spot)
    sound = -(2**63) <= fact.tenant < 2**63 and "\0" not in fact.id
    return (fact.tenant, facts.type_of(fact), fact.id) if sound else (0, UNREADABLE, str(spot))
