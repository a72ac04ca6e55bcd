"""Every figure of a tenant again, from the raw facts and DOMAIN.md alone, in DuckDB. Imports nothing of the product."""

import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from tests.oracle.health import Health, health
from tests.oracle.raw import Fact, Raw, micros

SQL = Path(__file__).parent / "sql"
Row = dict[str, Any]
CHANNELS = ("phone", "video", "meeting", "chat", "email", "event")
OUTCOMES = ("reached", "replied")
# (target, window in months, in days, its ISO 8601 text, channels, outcomes)
DEFAULT_RULES = {
    "high": ("0.8", 1, 0, "P1M", CHANNELS, OUTCOMES),
    "low": ("0.7", 2, 0, "P2M", CHANNELS, OUTCOMES),
    "tech": ("0.5", 6, 0, "P6M", (*CHANNELS, "tech_touch"), OUTCOMES),
}
HIGH = {"Aa", "Ab", "Ac", "Ad", "Ba", "Bb"}
MIDDLE = {"Bc", "Bd", "Ca", "Cb"}


def priority(rank: str | None, tenure: str | None) -> str | None:
    """High, Middle or Low of a cell."""
    if rank is None or tenure is None:
        return None
    return "High" if rank + tenure in HIGH else "Middle" if rank + tenure in MIDDLE else "Low"


def statements(name: str) -> dict[str, str]:
    """The named statements of a file."""
    found = {}
    for part in (SQL / name).read_text().split("-- name: ")[1:]:
        title, _, text = part.partition("\n")
        found[title.strip()] = text
    return found


class Oracle:
    """One tenant. `features`: value feature → its events; `worth`: its weight and share, 1 unless given.

    Set by who asks: `policies`, (effective_from, high amount, low amount), and `by_hand`, the accounts whose band a
    person set, as it is at T.
    """

    def __init__(
        self,
        facts: Iterable[Fact],
        zone: str,
        currency: str,
        rules: dict[str, Any] | None = None,
        features: dict[str, list[str]] | None = None,
        fx: dict[str, str] | None = None,
        worth: dict[str, tuple[float, float]] | None = None,
    ) -> None:
        self.zone, self.rules, self.policies, self.by_hand = ZoneInfo(zone), rules or DEFAULT_RULES, [], {}
        self.db = duckdb.connect()
        self._figures, self._nps = statements("figures.sql"), statements("nps.sql")
        Raw(zone, currency, fx).store(self.db, facts)
        self.db.execute("CREATE TABLE span (span VARCHAR, months INTEGER, days INTEGER)")
        for _, months, days, text, _, _ in self.rules.values():
            self.db.execute("INSERT INTO span VALUES (?, ?, ?)", [text, months, days])
        self.db.execute(
            "CREATE TABLE value_event (feature VARCHAR, event VARCHAR, released DATE, weight DOUBLE, share DOUBLE)"
        )
        for feature, events in (features or {}).items():
            self.db.execute(
                "INSERT INTO value_event SELECT ?, unnest(?), NULL, ?, ?",
                [feature, events, *(worth or {}).get(feature, (1, 1))],
            )
        self.db.execute((SQL / "joined.sql").read_text())
        self._moment = (SQL / "moment.sql").read_text()
        self._scores: dict[str, Health] | None = None
        self._stood: Any = None
        self.day = date.min

    policies: list[tuple[date, str, str]]
    by_hand: dict[str, str]

    def stand_at(self, instant: datetime) -> None:
        """Makes the accounts as they stand at T; the questions below are about them."""
        if self._stood == (instant, tuple(self.policies)):
            return
        self._stood = (instant, tuple(self.policies))
        self.day, self._scores = instant.astimezone(self.zone).date(), None
        amounts = [(text, low) for since, text, low in sorted(self.policies) if since <= self.day]
        high, low = amounts[-1] if amounts else (None, None)
        self._set("t", micros(instant), "BIGINT")
        self._set("day", self.day, "DATE")
        self._set("high", 10, "BIGINT")
        self._set("low", 30, "BIGINT")
        self._set("high_amount", high, "DECIMAL(18,4)")
        self._set("low_amount", low, "DECIMAL(18,4)")
        self._make_rules()
        self.db.execute(self._moment)

    def end_of(self, day: date) -> datetime:
        """The last microsecond of a local day."""
        after = day + timedelta(days=1)
        return datetime(after.year, after.month, after.day, tzinfo=self.zone).astimezone(UTC_ZONE) - timedelta(
            microseconds=1
        )

    def ask(self, name: str, *values: Any, **words: str) -> list[Row]:
        """The rows of a named statement."""
        return self._rows(self._figures[name].format(**words) if words else self._figures[name], values)

    def coverage(self, key: str) -> dict[str | None, Row]:
        """key → eligible, covered, rate, target, window, shortfall."""
        return {row["key"]: _covered(row) for row in self.ask("coverage", key=key)}

    def scores(self) -> dict[str, Health]:
        """account → its health at T."""
        if self._scores is None:
            beside = {row["account"]: row for row in self.ask("features_used")}
            voices = {row["account"]: row for row in self.ask("voices")}
            tenant, empty = self.ask("tenant")[0], {"entitled": 0, "opened": 0, "weighted": None, "weight": None}
            self._scores = {
                row["account"]: health(
                    {**empty, **row, **beside.get(row["account"], {}), **voices.get(row["account"], {})},
                    self.day,
                    tenant,
                )
                for row in self.ask("accounts")
            }
        return self._scores

    def effective_band(self, account: str) -> str:
        """The band that lists use: set by hand, else computed."""
        return self.by_hand.get(account) or self.scores()[account].band

    def matrix(self) -> dict[str, Row]:
        """cell, e.g. "Aa" → accounts, acv, mean_health, n_scored, coverage, priority; those with accounts."""
        found = {row["rank"] + row["tenure"]: row for row in self.ask("cells")}
        inside: dict[str, list[float]] = {cell: [] for cell in found}
        for row in self.ask("accounts"):
            score = self.scores()[row["account"]].score
            if score is not None and row["rank"] and row["tenure"]:
                inside[row["rank"] + row["tenure"]].append(score)
        for cell, row in found.items():
            row["n_scored"] = len(inside[cell])
            row["mean_health"] = math.fsum(inside[cell]) / len(inside[cell]) if inside[cell] else None
            row["coverage"] = row["covered"] / row["eligible"] if row["eligible"] else None
            row["priority"] = priority(row["rank"], row["tenure"])
        return found

    def nps(self, until: datetime, first: date, last: date, by: str) -> dict[str | None, Row]:
        """key → counts, nps, interval, sent, response_rate of the period, known at `until`; groups at its end."""
        self.stand_at(min(until, self.end_of(last)))
        for name, value, kind in (
            ("seen_until", micros(until), "BIGINT"),
            ("first", first, "DATE"),
            ("last", last, "DATE"),
        ):
            self._set(name, value, kind)
        for name in ("standing_answers", "invitations"):
            self.db.execute(self._nps[name])
        unit = {"tenant": "person", "survey": "person, survey"}.get(by, "person, account")
        key = {"tenant": "'tenant'", "survey": "survey"}.get(by, by)
        return {row["key"]: _promoted(row) for row in self._rows(self._nps["groups"].format(unit=unit, key=key), ())}

    def _make_rules(self) -> None:
        self.db.execute(
            "CREATE OR REPLACE TEMP TABLE rule (tier VARCHAR, target DECIMAL(9,6), span VARCHAR, back DATE,"
            " channels VARCHAR[], outcomes VARCHAR[])"
        )
        for tier, (target, months, days, text, channels, outcomes) in self.rules.items():
            self.db.execute(
                "INSERT INTO rule SELECT ?, ?, ?, CAST(getvariable('day') - to_months(?) - to_days(?) AS DATE), ?, ?",
                [tier, Decimal(target), text, months, days, list(channels), list(outcomes)],
            )

    def _set(self, name: str, value: Any, kind: str) -> None:
        self.db.execute(f"SET VARIABLE {name} = (SELECT CAST(? AS {kind}))", [value])

    def _rows(self, sql: str, values: Iterable[Any]) -> list[Row]:
        done = self.db.execute(sql, list(values))
        names = [column[0] for column in done.description]
        return [dict(zip(names, row, strict=True)) for row in done.fetchall()]


UTC_ZONE = ZoneInfo("UTC")


def _covered(row: Row) -> Row:
    wanted = Fraction(row["wanted"])
    return {
        "eligible": row["eligible"],
        "covered": row["covered"],
        "rate": row["covered"] / row["eligible"],
        "target": float(wanted / row["eligible"]),
        "window": row["span"],
        "shortfall": max(0, math.ceil(wanted) - row["covered"]),
    }


def _promoted(row: Row) -> Row:
    """NPS and its 95 % interval: adjusted Wald."""
    n, answered = row["n"], row.pop("answered")
    row["response_rate"] = answered / row["sent"] if row["sent"] else None
    row["nps"], row["interval"] = None, None
    if n:
        row["nps"] = 100 * (row["promoters"] - row["detractors"]) / n
        p, d = ((row[side] + 0.75) / (n + 3) for side in ("promoters", "detractors"))
        reach = 1.959964 * math.sqrt((p + d - (p - d) ** 2) / (n + 3))
        row["interval"] = [max(-100.0, 100 * (p - d - reach)), min(100.0, 100 * (p - d + reach))]
    return row
