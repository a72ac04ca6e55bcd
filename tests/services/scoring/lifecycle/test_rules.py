"""Who is a customer, since when, for how much and until when."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.scoring.account import ContractChange
from services.scoring.lifecycle.rules import lifecycle
from tests.services.scoring.builders import TODAY, account, at, contract, moment, used

D1, D2, D3 = date(2026, 1, 10), date(2026, 3, 10), date(2026, 5, 10)
MIDNIGHT = at(D2, 0)

CHURN = [
    ("nothing known", None, None, [], "active"),
    ("status onboarding", "onboarding", at(D1), [], "onboarding"),
    ("status churned", "churned", at(D1), [], "churned"),
    ("contract churn", None, None, [contract("new", D1, 5), contract("churn", D2)], "churned"),
    ("churn then status later", "active", at(D3), [contract("churn", D2)], "active"),
    ("status earlier than churn", "onboarding", at(D1), [contract("churn", D2)], "churned"),
    ("tie goes to the contract", "active", MIDNIGHT, [contract("churn", D2)], "churned"),
    ("a microsecond after midnight", "active", MIDNIGHT + timedelta(microseconds=1), [contract("churn", D2)], "active"),
    ("tie: reactivation wins over churned", "churned", MIDNIGHT, [contract("reactivation", D2, 5)], "active"),
    ("reactivated", None, None, [contract("churn", D1), contract("reactivation", D2, 5)], "active"),
    (
        "reactivated stays onboarding",
        "onboarding",
        at(D1),
        [contract("churn", D2), contract("reactivation", D3, 5)],
        "onboarding",
    ),
    ("expansion brings nobody back", "churned", at(D1), [contract("expansion", D2, 9)], "churned"),
    ("another contract lives", None, None, [contract("new", D1, 5, "b"), contract("churn", D2, 0, "a")], "active"),
    (
        "both end the same day",
        None,
        None,
        [
            contract("new", D1, 5, "a"),
            contract("new", D1, 5, "b"),
            contract("churn", D2, 0, "a"),
            contract("churn", D2, 0, "b"),
        ],
        "churned",
    ),
    (
        "one after the other",
        None,
        None,
        [
            contract("new", D1, 5, "a"),
            contract("new", D1, 5, "b"),
            contract("churn", D2, 0, "a"),
            contract("churn", D3, 0, "b"),
        ],
        "churned",
    ),
    (
        "the other had ended by amount",
        None,
        None,
        [contract("new", D1, 5, "b"), contract("contraction", D2, 0, "b"), contract("churn", D3, 0, "a")],
        "churned",
    ),
    ("the other begins that day", None, None, [contract("churn", D2, 0, "a"), contract("new", D2, 5, "b")], "active"),
    (
        "status churned, then a churn that says nothing",
        "churned",
        at(D1),
        [contract("expansion", D1, 5, "b"), contract("churn", D2, 0, "a")],
        "churned",
    ),
    ("not yet in force", None, None, [contract("churn", TODAY + timedelta(days=1))], "active"),
    ("in force today", None, None, [contract("churn", TODAY)], "churned"),
]


@pytest.mark.parametrize(
    ("status", "told_at", "contracts", "shown"), [row[1:] for row in CHURN], ids=[row[0] for row in CHURN]
)
def test_the_latest_word_decides_who_has_churned(
    status: str | None, told_at: datetime | None, contracts: list[ContractChange], shown: str
) -> None:
    told: dict[str, Any] = {"status": status} if status else {}
    for order in (contracts, contracts[::-1]):
        life = lifecycle(account(status_at=told_at, contracts=tuple(order), **told), moment())
        assert (life.status, life.churned) == (shown, shown == "churned")


STARTS = [
    ({"customer_since": D3}, [contract("new", D1, 5)], D2, (D3, "customer_since")),
    ({}, [contract("new", D1, 5)], D2, (D1, "contract")),
    ({}, [contract("new", D2, 5)], D1, (D1, "usage")),
    ({}, [contract("new", D1, 5)], D1, (D1, "contract")),
    ({}, [contract("churn", D1)], None, (D1, "contract")),
    ({}, [], D2, (D2, "usage")),
    ({}, [contract("new", TODAY + timedelta(days=1), 5)], None, (None, None)),
    ({}, [], None, (None, None)),
]


@pytest.mark.parametrize(("told", "contracts", "first_used", "start"), STARTS)
def test_an_account_starts_when_told_else_with_its_first_contract_or_usage(
    told: dict[str, Any],
    contracts: list[ContractChange],
    first_used: date | None,
    start: tuple[date | None, str | None],
) -> None:
    life = lifecycle(account(contracts=tuple(contracts), usage=used(first_day=first_used), **told), moment())
    assert (life.start, life.start_source) == start


ACVS = [
    ("never told", {}, [], None, 0),
    ("its own figure", {"acv": 70, "potential_acv": 30}, [], 70, 100),
    ("only potential", {"potential_acv": 30}, [], None, 30),
    ("contracts win", {"acv": 70}, [contract("new", D1, 5, "a"), contract("new", D1, 6, "b")], 11, 11),
    (
        "the latest of each",
        {},
        [contract("new", D1, 5), contract("expansion", D2, 9), contract("contraction", D3, 4)],
        4,
        4,
    ),
    ("same day by id", {}, [contract("expansion", D2, 9, id="2"), contract("new", D2, 5, id="1")], 9, 9),
    ("a future contract is none yet", {"acv": 70}, [contract("new", TODAY + timedelta(days=1), 5)], 70, 70),
    ("a contract of nothing is still one", {"acv": 70}, [contract("contraction", D1, 0)], 0, 0),
    ("churned pays nothing", {"acv": 70, "status": "churned", "status_at": at(D1), "potential_acv": 9}, [], 0, 9),
]


@pytest.mark.parametrize(("told", "contracts", "acv", "value"), [row[1:] for row in ACVS], ids=[row[0] for row in ACVS])
def test_acv_is_that_of_the_contracts_once_there_is_one(
    told: dict[str, Any], contracts: list[ContractChange], acv: int | None, value: int
) -> None:
    life = lifecycle(account(contracts=tuple(contracts), **told), moment())
    assert (life.acv, life.value) == (acv, value)


def test_the_renewal_date_is_the_earliest_end_of_a_live_contract() -> None:
    ends = [
        contract("new", D1, 5, "a", term_end=date(2027, 1, 9)),
        contract("new", D1, 5, "b", term_end=date(2026, 2, 1)),
        contract("new", D1, 0, "dead", term_end=date(2026, 1, 11)),
    ]
    life = lifecycle(account(contracts=tuple(ends), renewal_on=date(2030, 1, 1)), moment())
    assert (life.renewal_on, life.live) == (date(2026, 2, 1), True)  # passed, and still owed


def test_the_last_told_term_end_stands_until_another_is_told() -> None:
    told = (contract("new", D1, 5, term_end=date(2027, 1, 9)), contract("expansion", D2, 9))
    assert lifecycle(account(contracts=told), moment()).renewal_on == date(2027, 1, 9)
    renewed = (*told, contract("renewal", D3, 9, term_end=date(2028, 1, 9)))
    assert lifecycle(account(contracts=renewed), moment()).renewal_on == date(2028, 1, 9)


def test_without_an_end_of_a_live_contract_the_account_says_when_it_renews() -> None:
    told = account(contracts=(contract("new", D1, 5),), renewal_on=date(2026, 12, 1))
    assert lifecycle(told, moment()).renewal_on == date(2026, 12, 1)
    assert lifecycle(account(), moment()).renewal_on is None
