"""The printed home screen: every block with its route, inside 100 columns, Japanese names as wide as they are."""

import io
from unicodedata import east_asian_width
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from services.demo import words
from services.demo.mark import new_mark
from services.demo.shift import CUT, WEEK
from services.demo.summary import WIDTH, print_doors, show

GROUP = {"eligible": 10, "covered": 4, "rate": 0.4, "target": 0.8, "window": "P1M", "shortfall": 4, "due_14d": 1}
CALL = {
    "account_id": "ntt.co.jp", "name": "日本電信電話株式会社コミュニケーションズ", "csm_id": "sato",
    "csm_name": "佐藤 由美子",
    "acv": "12340000", "currency": "JPY", "rank": "A", "tenure": "d", "priority": "High", "band": "red",
    "score": 23.456,
    "change_28d": -17.2, "last_contact": None, "next_planned": None, "rule": "never_contacted",
    "reason": "never contacted in 412 days, although its use fell from 12 people to 3 in the last four weeks [sic]",
    "talking_point": "Active users are down to 3 from 12.",
}  # fmt: skip
FULL = {
    "as_of": "2026-03-07T09:30:00Z", "fresh_to": "2026-03-07T09:29:59.5Z",
    "headline": {"accounts": {"onboarding": 9, "active": 130, "churned": 153}, "acv": "304250000", "currency": "JPY",
                 "newest_fact_age_s": 3.2, "rejected_24h": None, "unassigned": 0},
    "bands": [{"band": name, "accounts": 30, "share": 0.25, "acv": "1000000", "moved_in_7d": 2, "moved_out_7d": 1}
              for name in ("green", "yellow", "red", "unknown")],
    "coverage": {"by_tier": [{"key": "high", "name": None} | GROUP],
                 "by_csm": [{"key": "sato", "name": "佐藤 由美子"} | GROUP, {"key": None, "name": None} | GROUP]},
    "contact_rate": {"accounts_in_use": 40, "contacted": 31, "rate": 0.775},
    "call_first": [CALL] * 10,
    "nps": {"nps": 21.3, "interval": [5.1, 37.2], "n": 88, "response_rate": None, "open_follow_ups": None},
    "rules_off": ["detractor", "renewal_unplanned"],
}  # fmt: skip
EMPTY = FULL | {
    "fresh_to": None,
    "headline": {"accounts": {"onboarding": 0, "active": 0, "churned": 0}, "acv": "0", "currency": "JPY",
                 "newest_fact_age_s": None, "rejected_24h": 0, "unassigned": 0},
}  # fmt: skip


def printed(document: dict[str, object]) -> str:
    out = io.StringIO()
    show(document, ZoneInfo("Asia/Tokyo"), Console(file=out, width=WIDTH, highlight=False))
    return out.getvalue()


def cells(line: str) -> int:
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in line)


@pytest.mark.parametrize(
    "route",
    [
        "/v1/summary",
        "/v1/accounts?band=red",
        "/v1/coverage?by=tier",
        "/v1/coverage?by=csm",
        "/v1/nps",
    ],
)
def test_every_block_names_its_route(route):
    assert f"GET {route}" in printed(FULL)


def test_no_line_is_wider_than_100_columns_and_columns_stand_under_each_other():
    lines = printed(FULL).splitlines()
    assert max(map(cells, lines)) <= WIDTH
    groups = [line for line in lines if " 40 % " in line]
    assert len({cells(line[: line.index(" 40 % ")]) for line in groups if "P1M" in line and "high" not in line}) == 1


def test_the_reason_is_told_in_full_as_it_came():
    told = " ".join(printed(FULL).split())
    assert told.count("[sic]") == 10
    assert told.count("→ Active users") == 10
    assert "…" in told  # the long name is cut


def test_nobody_answers_for_accounts_without_owner_and_what_is_not_known_is_a_dash():
    text = printed(FULL)
    assert "nobody" in text
    assert "response rate –" in text
    assert "–0" not in text


def test_a_tenant_without_facts_is_told_what_to_do_next():
    text = printed(EMPTY)
    assert "Nothing here yet" in text
    assert "POST /v1/events" in text
    assert "Call first" not in text


def test_the_sample_s_move_the_url_the_keys_and_three_curl_lines_stand_below():
    out = io.StringIO()
    mark = new_mark(CUT + 522 * WEEK, "nova-1", {"server": "gk_server_1", "admin": "gk_api_2"})
    print_doors("http://127.0.0.1:8000", mark, Console(file=out, width=WIDTH, highlight=False))
    text = out.getvalue()
    assert "moved 522 weeks ahead" in text
    assert "SERVER=gk_server_1\nADMIN=gk_api_2\n" in text
    assert sum(line.startswith("curl ") for line in text.splitlines()) == 3


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "–"), (0.4, "0 s"), (119, "119 s"), (7_200, "2 h"), (86_400 * 3, "3 d")]
)
def test_ages_are_told_in_the_largest_unit_of_which_there_are_two(seconds, shown):
    assert words.age(seconds) == shown
