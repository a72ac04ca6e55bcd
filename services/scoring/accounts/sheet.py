"""The account list as CSV: UTF-8 with a byte order mark, as spreadsheets want it; no cell is a formula. Pure."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

import msgspec

from services.scoring.accounts.shapes import AccountItem
from shared.http.answers import instant

COLUMNS: Final = tuple(AccountItem.model_fields)
BOM: Final = "\ufeff"
_TEXT: Final = frozenset(("account_id", "name", "csm_id", "csm_name", "team"))  # what tenants write themselves
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def header() -> str:
    """The first line."""
    return BOM + _lines([COLUMNS])


def lines(items: Iterable[Mapping[str, Any]]) -> str:
    """One line an account; null is empty, needs_action the names of the rules."""
    return _lines([_cell(name, item[name]) for name in COLUMNS] for item in items)


def _lines(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "needs_action":
        return " ".join(fired["rule"] for fired in _rules(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    return "'" + text if name in _TEXT and text.startswith(_FORMULA) else text


def _rules(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
