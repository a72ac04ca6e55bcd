"""Contracts as the API shows them. Pure."""

from collections.abc import Mapping
from typing import Any

from services.scoring.accounts.answers import money
from services.scoring.contracts.rules import Entry
from services.scoring.lifecycle.rules import ContractAt
from shared.money import to_decimal_text


def change(entry: Entry, currency: str) -> dict[str, Any]:
    """One line of the ledger."""
    told = entry.told
    return {
        "id": told.id,
        "contract_id": told.contract_id,
        "effective_on": told.effective_on,
        "change": told.change,
        "acv_before": money(entry.acv_before, currency),
        "acv_after": money(told.acv_after, currency),
        "difference": money(told.acv_after - entry.acv_before, currency),
        "currency": currency,
        "told": {"amount": to_decimal_text(told.amount, told.currency), "currency": told.currency},
        "term_end": told.term_end,
        "reason": told.reason,
    }


def standing(contracts: Mapping[str, ContractAt], currency: str) -> list[dict[str, Any]]:
    """Every contract at T's day, by its id."""
    return [
        {"contract_id": name, "acv": money(one.acv, currency), "live": one.live, "term_end": one.term_end}
        for name, one in sorted(contracts.items())
    ]
