"""The raw facts as DuckDB tables: instants in µs, days by the tenant's zone, exact money. Nothing joined."""

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

Fact = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
_TABLES = {
    "raw_account": "account VARCHAR, ts BIGINT, id VARCHAR, field VARCHAR, value VARCHAR",
    "raw_person": "person VARCHAR, account VARCHAR, ts BIGINT, day DATE, id VARCHAR, uses BOOLEAN, gone BOOLEAN",
    "raw_usage": "person VARCHAR, account VARCHAR, day DATE, event VARCHAR, times BIGINT",
    "raw_alias": "person VARCHAR, previous VARCHAR",
    "raw_contact": "account VARCHAR, ts BIGINT, day DATE, id VARCHAR, channel VARCHAR, outcome VARCHAR, csm VARCHAR,"
    " replaces VARCHAR, recorded_at BIGINT",
    "raw_contract": "account VARCHAR, contract VARCHAR, ts BIGINT, day DATE, id VARCHAR, change VARCHAR,"
    " acv DECIMAL(18,4), term_end DATE, replaces VARCHAR, recorded_at BIGINT",
    "raw_csm": "csm VARCHAR, ts BIGINT, id VARCHAR, team VARCHAR",
    "raw_response": "response VARCHAR, survey VARCHAR, account VARCHAR, person VARCHAR, ts BIGINT, day DATE,"
    " id VARCHAR, score INTEGER, invitation VARCHAR",
    "raw_invitation": "invitation VARCHAR, survey VARCHAR, account VARCHAR, ts BIGINT, day DATE",
    "raw_bounce": "invitation VARCHAR, ts BIGINT",
}
TRAITS = ("payment_overdue_days", "note")  # all that a book tells of
_MONEY = ("acv", "potential_acv")
_ENVELOPE = ("type", "id", "account_id", "at", "traits", "currency")


def micros(instant: datetime) -> int:
    """µs since 1970, exact."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(text: str) -> datetime:
    """RFC 3339 text as an instant."""
    return datetime.fromisoformat(text)


class Raw:
    """Facts on their way into tables."""

    def __init__(self, zone: str, currency: str, fx: dict[str, str] | None = None) -> None:
        self.zone, self.currency, self.fx = ZoneInfo(zone), currency, fx or {}
        self.rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _TABLES}

    def store(self, db: duckdb.DuckDBPyConnection, facts: Iterable[Fact]) -> None:
        """Makes the tables."""
        for fact in facts:
            getattr(self, f"_{fact['type']}")(fact)
        for name, columns in _TABLES.items():
            db.execute(f"CREATE TABLE {name} ({columns})")
            width = len(columns.split(","))
            _insert(db, name, columns, width, self.rows[name])

    def start_of(self, day: date) -> int:
        """00:00 of a local day in µs."""
        return micros(datetime(day.year, day.month, day.day, tzinfo=self.zone))

    def _when(self, fact: Fact) -> tuple[int, date]:
        instant = instant_of(fact["at"])
        return micros(instant), instant.astimezone(self.zone).date()

    def _amount(self, text: str, currency: str) -> str:
        if currency == self.currency:
            return text
        unit = Decimal(1) if self.currency == "JPY" else Decimal("0.01")
        return str((Decimal(text) * Decimal(self.fx[currency])).quantize(unit, ROUND_HALF_EVEN))

    def _account(self, fact: Fact) -> None:
        at, _ = self._when(fact)
        told = {name: value for name, value in fact.items() if name not in _ENVELOPE}
        cleared = {} if fact.get("traits", {}) is not None else dict.fromkeys(TRAITS)
        told |= {f"traits.{key}": value for key, value in (fact.get("traits") or cleared).items()}
        for name in _MONEY:
            if told.get(name) is not None:
                told[name] = self._amount(told[name], fact["currency"])
        for name, value in told.items() or [("", None)]:
            text = json.dumps(value) if isinstance(value, list) else None if value is None else str(value)
            self.rows["raw_account"].append((fact["account_id"], at, fact["id"], name, text))

    def _person(self, fact: Fact) -> None:
        told = (fact.get("uses_product"), fact.get("deactivated"))
        row = (fact["person_id"], fact.get("account_id"), *self._when(fact), fact["id"], *told)
        self.rows["raw_person"].append(row)

    def _usage(self, fact: Fact) -> None:
        row = (fact["person_id"], fact.get("account_id"), self._when(fact)[1], fact["event"], fact.get("count", 1))
        self.rows["raw_usage"].append(row)

    def _alias(self, fact: Fact) -> None:
        self.rows["raw_alias"].append((fact["person_id"], fact["previous_id"]))

    def _contact(self, fact: Fact) -> None:
        at, day = self._when(fact)
        known = micros(instant_of(fact["recorded_at"])) if "recorded_at" in fact else at
        for account in dict.fromkeys([fact["account_id"], *fact.get("account_ids", [])]):
            said = (fact["channel"], fact["outcome"], fact.get("csm_id"), fact.get("replaces"), known)
            self.rows["raw_contact"].append((account, at, day, fact["id"], *said))

    def _contract(self, fact: Fact) -> None:
        day = date.fromisoformat(fact["effective_on"])
        at = self.start_of(day)
        known = micros(instant_of(fact["recorded_at"])) if "recorded_at" in fact else at
        acv = Decimal(self._amount(fact["acv_after"], fact.get("currency", self.currency)))
        said = (fact["change"], acv, fact.get("term_end"), fact.get("replaces"), known)
        self.rows["raw_contract"].append((fact["account_id"], fact.get("contract_id", ""), at, day, fact["id"], *said))

    def _csm(self, fact: Fact) -> None:
        self.rows["raw_csm"].append((fact["csm_id"], self._when(fact)[0], fact["id"], fact.get("team")))

    def _response(self, fact: Fact) -> None:
        named = (fact["response_id"], fact["survey_id"], fact.get("account_id"), fact.get("person_id"))
        said = (fact["id"], fact.get("score"), fact.get("invitation_id"))
        self.rows["raw_response"].append((*named, *self._when(fact), *said))

    def _invitation_sent(self, fact: Fact) -> None:
        row = (fact["invitation_id"], fact["survey_id"], fact.get("account_id"), *self._when(fact))
        self.rows["raw_invitation"].append(row)

    def _invitation_bounced(self, fact: Fact) -> None:
        self.rows["raw_bounce"].append((fact["invitation_id"], self._when(fact)[0]))


def _insert(db: duckdb.DuckDBPyConnection, name: str, columns: str, width: int, rows: list[tuple[Any, ...]]) -> None:
    """All rows at once, by way of a JSON list: DuckDB takes single rows slowly."""
    names = [column.split()[0] for column in columns.replace("(18,4)", "").split(",")]
    kinds = dict(
        zip(names, [column.split()[1] for column in columns.replace("(18,4)", "(18;4)").split(",")], strict=True)
    )
    shape = json.dumps([{column: kind.replace(";", ",") for column, kind in kinds.items()}])
    text = json.dumps([dict(zip(names, row, strict=True)) for row in rows], default=str)
    db.execute(f"INSERT INTO {name} SELECT UNNEST(from_json(?, ?), recursive := true)", [text, shape])
