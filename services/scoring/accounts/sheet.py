"""Lists as CSV: UTF-8 with a byte order mark, as spreadsheets want it; no cell is a formula. Pure but for `answer`."""

import csv
import io
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec
from fastapi import Query
from fastapi.responses import Response
from pydantic import BaseModel

from services.scoring.asof import MAX_ACCOUNTS, Question
from shared.http.answers import instant
from shared.http.params import refuse

P = TypeVar("P")
Format = Annotated[Literal["json", "csv"], Query(description="`csv`: every match, unless `limit` is given.")]
CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
BOM: Final = "\ufeff"
_MONEY: Final = ("acv",)  # text of ours that may begin with a minus
# Wide signs too: some spreadsheets read them alike.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", *"＝＋－＠")
_CHUNK: Final = 2_000  # rows of a live list read at once


class Sheet:
    """The columns of one list: the members of its items, of a nested object `<name>_<member>`, and `more` that the
    answer says once for all items."""

    def __init__(self, item: type[BaseModel], *more: str) -> None:
        self._members = {name: _nested(field.annotation) for name, field in item.model_fields.items()}
        self._members |= dict.fromkeys(more)

    def header(self) -> str:
        """The first line."""
        names = ([f"{name}_{one}" for one in inner] if inner else [name] for name, inner in self._members.items())
        return BOM + _lines([[one for some in names for one in some]])

    def lines(self, items: Iterable[Mapping[str, Any]]) -> str:
        """One line an item; null is empty, a list its words (needs_action the names of the rules)."""
        return _lines(self._cells(item) for item in items)

    def _cells(self, item: Mapping[str, Any]) -> Iterator[str]:
        for name, inner in self._members.items():
            if inner is None:
                yield _cell(name, item[name])
            else:
                yield from (_cell(one, (item[name] or {}).get(one)) for one in inner)


async def answer(
    question: Question, sheet: Sheet, name: str, after: P, size: int | None,
    read: Callable[[P, int], Awaitable[tuple[Iterable[Mapping[str, Any]], int, P | None]]],
) -> Response:  # fmt: skip
    """The file `<name>-<day>.csv` of at most `size` rows, or of all. `read(place, most)` answers the items from there
    on, how many, and where the next ones begin (None: there are none). Raises Invalid above 100,000 rows."""
    left = MAX_ACCOUNTS if size is None else size
    parts, place = [sheet.header()], after
    while True:
        items, count, end = await read(place, min(left, _CHUNK) if question.live else left)
        parts.append(sheet.lines(items))
        left -= count
        if end is None or not left:
            break
        place = end
    if size is None and end is not None:
        refuse("format", "too_many_rows", f"A sheet holds at most {MAX_ACCOUNTS} rows; choose some.")
    named = f'attachment; filename="{name}-{question.day}.csv"'
    return Response("".join(parts), media_type="text/csv", headers={"content-disposition": named})


def _nested(kind: Any) -> tuple[str, ...] | None:
    """The members of an object, which may be null; None for what is one cell."""
    kinds = () if get_origin(kind) is list else (kind, *get_args(kind))
    for one in kinds:
        if isinstance(one, type) and issubclass(one, BaseModel):
            return tuple(one.model_fields)
    return None


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
    text = " ".join(value) if isinstance(value, list | tuple) else str(value)
    told = name not in _MONEY and not isinstance(value, int | float)
    return "'" + text if told and text.startswith(_FORMULA) else text


def _rules(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
