"""Golden lines: what is on the log today must be read for ever, and what a client sends must become exactly that."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.ingest.domain.intake import admit
from services.ingest.domain.verdict import Accepted, Door, to_lines
from shared.facts import AnyFact, decode, encode, place, type_of

HERE = Path(__file__).parent
GOLDEN = sorted(HERE.glob("*.json"))
RECEIVED = 1_700_000_000_000_000
DOOR = Door(7, "JPY", frozenset({"USD"}), RECEIVED, lambda: "made-by-the-server")

SENT: dict[str, dict[str, Any]] = {
    "usage": {
        "type": "usage", "id": "u-1", "at": "2023-11-14T22:13:20.1234567+09:00", "person_id": "p1",
        "account_id": "a1", "event": "report_viewed", "count": 3, "properties": {"not": "kept"},
    },
    "account": {
        "type": "account", "id": "a-1", "account_id": "a1", "at": "2023-11-01T00:00:00Z", "name": "株式会社アクメ",
        "status": "active", "customer_since": "2020-04-01", "acv": "1200000", "potential_acv": 300000, "seats": 40,
        "plan": "pro", "industry": None, "csm_id": "c1", "parent_id": "a0", "features": ["report", "export"],
        "renewal_on": "2024-03-31", "traits": {"payment_overdue_days": 3, "gone": None}, "merged_into": None,
    },
    "person": {
        "type": "person", "id": "p-1", "person_id": "p1", "at": "2023-11-01T00:00:00Z", "account_id": "a1",
        "name": "Ann", "email": "ann@example.com", "title": "CTO", "uses_product": True, "deactivated": False,
    },
    "contact": {
        "type": "contact", "id": "k-1", "account_id": "a1", "at": "2023-11-01T10:00:00+09:00", "channel": "phone",
        "outcome": "reached", "csm_id": "c1", "person_ids": ["p1"], "direction": "outbound", "playbook": "qbr",
        "note": "said yes", "voices": [{"kind": "request", "said": "dark mode"}], "replaces": "k-0",
        "recorded_at": "2023-11-01T02:00:00Z",
    },
    "contract": {
        "type": "contract", "id": "t-1", "account_id": "a1", "effective_on": "2023-04-01", "change": "new",
        "acv_after": "12.5", "currency": "USD", "term_end": "2024-03-31", "reason": "won",
        "recorded_at": "2023-11-01T02:00:00Z",
    },
    "csm": {
        "type": "csm", "id": "c-1", "csm_id": "c1", "at": "2023-11-01T00:00:00Z", "name": "Sato",
        "email": "sato@example.com", "team": "strategic", "active": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_line_decodes_and_encodes_to_itself(path: Path) -> None:
    line = path.read_bytes().strip()
    fact = decode(line)
    assert type_of(fact) == path.stem
    assert encode(fact) == line


def test_there_is_one_golden_line_for_every_type() -> None:
    tags = sorted(str(one.__struct_config__.tag) for one in AnyFact.__args__)
    assert [path.stem for path in GOLDEN] == tags


@pytest.mark.parametrize("kind", SENT)
def test_what_a_client_sends_becomes_the_golden_line(kind: str) -> None:
    verdict = admit(json.dumps(SENT[kind]).encode(), DOOR)
    assert isinstance(verdict, Accepted), verdict
    assert [encode(fact) for fact in verdict.facts] == [(HERE / f"{kind}.json").read_bytes().strip()]


@pytest.mark.parametrize("kind", SENT)
def test_a_line_lies_where_the_vocabulary_says_and_decodes_to_the_same_fact(kind: str) -> None:
    verdict = admit(json.dumps(SENT[kind]).encode(), DOOR)
    assert isinstance(verdict, Accepted)
    for fact, (topic, part, line) in zip(verdict.facts, to_lines(verdict.facts, 12), strict=True):
        assert (topic, part) == place(fact, 12)
        assert decode(line) == fact


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_field_of_tomorrow_does_not_stop_a_reader_of_today(path: Path) -> None:
    line = json.loads(path.read_bytes()) | {"of_tomorrow": {"a": 1}}
    assert msgspec.to_builtins(decode(json.dumps(line).encode())) == msgspec.to_builtins(decode(path.read_bytes()))
