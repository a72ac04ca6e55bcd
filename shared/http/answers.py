"""Answers: JSON straight from msgspec, and the one shape of every list."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response

EXACT: Final = 10_000  # a list's total is exact up to here
_encoder: Final = msgspec.json.Encoder(decimal_format="string")


class Json(Response):
    """A JSON answer: structs, dataclasses, named tuples as arrays, Decimal as text, instants in UTC."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The content as JSON; NaN and infinities become null."""
        return _encoder.encode(content)

    @staticmethod
    def encoded(content: Any) -> bytes:
        """The same without an answer around it."""
        return _encoder.encode(content)


def listing(
    items: Sequence[Any], total: int | None, next_cursor: str | None, *, filtered: bool = True
) -> dict[str, Any]:
    """A list's body. `total` above 10,000 matches of a filter (or None) is told as `total_over`."""
    body: dict[str, Any] = {"items": items, "total": total, "next_cursor": next_cursor}
    if total is None or (filtered and total > EXACT):
        body |= {"total": None, "total_over": EXACT}
    return body


def instant(moment: datetime) -> str:
    """An aware datetime as RFC 3339 in UTC with `Z`."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"
