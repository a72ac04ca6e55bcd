"""Money: decimal text and currency at the doors, whole minor units inside. Nothing here rounds but `convert`."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Final

from babel.core import get_global
from babel.numbers import get_currency_precision

MAX_DIGITS: Final = 15
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_AMOUNT: Final = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?", re.ASCII)
_MAX_MINOR: Final = 10**18  # what a bigint column takes, with room for a sum of a few


class MoneyError(ValueError):
    """An amount that is no money of that currency; `code` says why, for machines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@lru_cache(maxsize=1)
def currencies() -> frozenset[str]:
    """Every ISO 4217 code that the currency data knows."""
    return frozenset(get_global("all_currencies"))


@lru_cache(maxsize=512)
def minor_digits(currency: str) -> int:
    """Decimal places of a currency's minor unit: JPY 0, USD 2, KWD 3. Raises MoneyError `unknown_currency`."""
    if currency not in currencies():
        raise MoneyError("unknown_currency", f"{currency[:8]!r} is not an ISO 4217 currency")
    return get_currency_precision(currency)


def _parse(amount: str | int | Decimal) -> Decimal:
    if isinstance(amount, str) and not _AMOUNT.fullmatch(amount):
        raise MoneyError("bad_amount", "money is decimal text such as 1200 or 1200.50")
    value = Decimal(amount)
    if not value.is_finite():
        raise MoneyError("bad_amount", "money is a finite number")
    return value


def _digits(value: Decimal) -> tuple[int, int]:
    """Digits before and after the point that the value needs (100.00 needs 3 and 0)."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)  # finite
    coefficient = int("".join(map(str, digits)))
    while coefficient and exponent < 0 and coefficient % 10 == 0:
        coefficient, exponent = coefficient // 10, exponent + 1
    if not coefficient:
        return 0, 0
    return max(0, len(str(coefficient)) + exponent), max(0, -exponent)


def to_minor(amount: str | int | Decimal, currency: str) -> int:
    """The amount in whole minor units, exact: ("12.30", "USD") → 1230. Zeros after the minor unit are no excess.

    Raises MoneyError with code `bad_amount`, `unknown_currency`, `beyond_minor_unit` or `too_many_digits` (> 15).
    """
    places = minor_digits(currency)
    value = _parse(amount)
    whole, fraction = _digits(value)
    if whole + fraction > MAX_DIGITS:
        raise MoneyError("too_many_digits", f"money has at most {MAX_DIGITS} digits")
    if fraction > places:
        raise MoneyError("beyond_minor_unit", f"{currency} has {places} decimal places")
    minor = int(value.scaleb(places, _EXACT))
    if abs(minor) > _MAX_MINOR:
        raise MoneyError(
            "too_many_digits",
            f"money in {currency} is at most {_MAX_MINOR} minor units",
        )
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """The amount in the currency's own unit, with all places of its minor unit: (1230, "USD") → 12.30."""
    return Decimal(minor).scaleb(-minor_digits(currency), _EXACT)


def to_decimal_text(minor: int, currency: str) -> str:
    """As the API shows money: (1230, "USD") → "12.30"; (5, "JPY") → "5"."""
    return f"{to_decimal(minor, currency):f}"


def convert(minor: int, currency: str, reporting: str, rate: str | Decimal) -> int:
    """Minor units of `currency` at `rate` (reporting units per unit), half-even, to minor units of `reporting`."""
    if currency == reporting:
        return minor
    product = _EXACT.multiply(to_decimal(minor, currency), Decimal(rate))
    scaled = product.scaleb(minor_digits(reporting), _EXACT)
    return int(scaled.quantize(Decimal(1), ROUND_HALF_EVEN, _EXACT))
