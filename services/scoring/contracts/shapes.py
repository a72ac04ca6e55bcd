"""The shapes of an account's contracts, for the OpenAPI document."""

from datetime import date
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from services.scoring.accounts.shapes import Asked

_CHANGE: Final[dict[str, Any]] = {
    "id": "crm-881", "contract_id": "main", "effective_on": "2026-04-01", "change": "expansion",
    "acv_before": "1200000", "acv_after": "1500000", "difference": "300000", "currency": "JPY",
    "told": {"amount": "1500000", "currency": "JPY"}, "term_end": "2027-03-31", "reason": None,
}  # fmt: skip


class ToldAmount(BaseModel):
    """An amount as the fact told it."""

    amount: str
    currency: str


class ContractChangeItem(BaseModel):
    """One change. Amounts a year, in the reporting currency by the rate in force now; `told` keeps the original."""

    id: str
    contract_id: str
    effective_on: date
    change: str
    acv_before: str
    acv_after: str
    difference: str
    currency: str
    told: ToldAmount
    term_end: date | None
    reason: str | None


class ContractStanding(BaseModel):
    """One contract at T's day."""

    contract_id: str
    acv: str
    live: bool
    term_end: date | None


class ContractsAnswer(Asked):
    """A page of the ledger, the newest change first, and every contract as it stands. `acv` is the sum of the contracts
    (0 while the account is churned), null without any; `renewal_on` the earliest `term_end` of the live ones, else what
    the account itself says."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "as_of": "2026-06-15T03:00:00Z", "fresh_to": "2026-06-15T03:00:00Z", "account_id": "acme",
                "acv": "1500000", "currency": "JPY", "renewal_on": "2027-03-31",
                "contracts": [{"contract_id": "main", "acv": "1500000", "live": True, "term_end": "2027-03-31"}],
                "items": [_CHANGE], "total": 1, "next_cursor": None,
            }
        }
    )  # fmt: skip

    account_id: str
    acv: str | None
    currency: str
    renewal_on: date | None
    contracts: list[ContractStanding]
    items: list[ContractChangeItem]
    total: int | None
    next_cursor: str | None
