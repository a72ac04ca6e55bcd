"""The kinds of value that documents of settings and rules are made of, and how their faults are told."""

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from shared.money import currencies
from shared.window import Window

_RATE: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)


@lru_cache(maxsize=4096)
def exact(number: float) -> Fraction:
    """The number as it was written: 0.7 is seven tenths, not its nearest double."""
    return Fraction(str(number))


def _window(value: object) -> object:
    return Window.parse(value) if isinstance(value, str) else value


def _time_zone(name: str) -> str:
    if name not in _time_zones():
        raise PydanticCustomError("unknown_time_zone", "no IANA time zone has this name")
    return name


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _currency(code: str) -> str:
    if code not in currencies():
        raise PydanticCustomError("unknown_currency", "not an ISO 4217 currency")
    return code


def _rate(text: str) -> str:
    if not _RATE.fullmatch(text) or not Decimal(text):
        raise PydanticCustomError("bad_rate", 'a rate is decimal text above 0, such as "150.25"')
    return text


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Nothing named twice."""
    if len(set(values)) != len(values):
        raise PydanticCustomError("duplicate", "named twice")
    return values


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number_type", "Input should be a number")
    if not abs(value) < 1e300:  # nor NaN
        raise PydanticCustomError("finite_number", "Input should be a finite number")
    return value


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


Number = Annotated[float, BeforeValidator(_number), PlainSerializer(_plain, return_type=int | float)]
Share = Annotated[Number, Field(ge=0, le=1)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Rate = Annotated[str, AfterValidator(_rate)]
Currency = Annotated[str, AfterValidator(_currency)]
WindowField = Annotated[
    InstanceOf[Window],
    BeforeValidator(_window),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^P[1-9][0-9]{0,4}[DWMY]$"}),
]


def problems(error: ValidationError) -> list[dict[str, str]]:
    """At most 20 of `{pointer, code, message}` for an answer 422; never the values that were refused."""
    return [
        {
            "pointer": "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in item["loc"]),
            "code": item["type"],
            "message": item["msg"],
        }
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
