"""A request's body, cut into its items as they were received, or the reason why the whole request is refused."""

import json
import re
from typing import Any, Final, NamedTuple

import msgspec

MAX_DEPTH: Final = 100
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TO_SQUARE: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_BLANK: Final = frozenset(" \t\n\r")
_split_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_split_one = msgspec.json.Decoder(msgspec.Raw).decode


class Unsound(NamedTuple):
    """The whole request is refused with 400."""

    code: str
    message: str


class Items(NamedTuple):
    """The items in their order, each as its own bytes. `single` when the body was one item, not an array."""

    items: list[bytes]
    single: bool


NOT_JSON: Final = Unsound("not_json", "the body is not JSON in UTF-8")
TOO_DEEP: Final = Unsound("too_deep", f"the body is nested more than {MAX_DEPTH} levels")


def split(body: bytes) -> Items | Unsound:
    """The items of an array, or the one item that the body is."""
    found = split_deep(body)
    return TOO_DEEP if isinstance(found, Items) and too_deep(body, found.items) else found


def split_deep(body: bytes) -> Items | Unsound:
    """As `split`, but items may be nested beyond the limit: before one is read otherwise than by msgspec's typed
    decoders, its reader asks `too_deep`."""
    text = text_of(body)
    if text is None:
        return NOT_JSON
    single = not (body.startswith(b"[") or body.lstrip(b" \t\r\n").startswith(b"["))
    try:
        items = [bytes(_split_one(body))] if single else list(map(bytes, _split_list(body)))
    except (msgspec.DecodeError, RecursionError):
        return _split_slowly(text, single)
    return Items(items, single)


def text_of(body: bytes) -> str | None:
    """The body as text, None when it is not UTF-8 (a CESU surrogate is not)."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def too_deep(body: bytes, items: list[bytes]) -> bool:
    """Whether the body nests beyond the limit. What has few brackets, in each item and around them, cannot."""
    counts = [item.count(b"{") for item in items]
    most = max(counts, default=0)
    around = len(body) - sum(map(len, items)) - (len(items) - 1)  # bytes but for commas: no more braces can be there
    if around + most < MAX_DEPTH and body.find(b"[") == body.rfind(b"["):  # one list: that of the items
        return False
    lists, objects = body.count(b"["), body.count(b"{")
    if lists + objects <= MAX_DEPTH:
        return False
    return lists + most + objects - sum(counts) > MAX_DEPTH and _deeper(body)


def _deeper(body: bytes) -> bool:
    """Takes the innermost level away as often as the limit allows; body is JSON."""
    brackets = _STRING.sub(b"", body).translate(_TO_SQUARE, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True


def _split_slowly(text: str, single: bool) -> Items | Unsound:
    """JSON's own reader decides: what it takes is JSON, and the fault lies with one item (a lone surrogate)."""
    fault = judged(text)
    if fault is not None:
        return fault
    slices = [text.strip()] if single else elements(text)
    return Items([piece.encode() for piece in slices], single)


def judged(text: str) -> Unsound | None:
    """Why a text is no JSON that we take, None when it is."""
    try:
        LENIENT.decode(text)
    except RecursionError:
        return TOO_DEEP
    except ValueError:
        return NOT_JSON
    return TOO_DEEP if _deeper(text.encode()) else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 400 else float("inf")


LENIENT: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_whole)
"""Reads what JSON allows (lone surrogates, any number; of duplicate keys the last counts), never NaN or Infinity."""


def elements(text: str, start: int = 0) -> list[str]:
    """The slices of an array's elements. `text` is JSON and holds an array at `start`."""
    position = _skip(text, _skip(text, start) + 1)
    slices: list[str] = []
    while text[position] != "]":
        end = LENIENT.raw_decode(text, position)[1]
        slices.append(text[position:end])
        position = _skip(text, end)
        position = _skip(text, position + 1) if text[position] == "," else position
    return slices


def members(text: str) -> dict[str, str]:
    """The slices of an object's values by key, the last of duplicates. `text` is JSON and an object."""
    position = _skip(text, _skip(text, 0) + 1)
    slices: dict[str, str] = {}
    while text[position] != "}":
        key, end = LENIENT.raw_decode(text, position)
        position = _skip(text, _skip(text, end) + 1)
        end = LENIENT.raw_decode(text, position)[1]
        slices[key] = text[position:end]
        position = _skip(text, end)
        position = _skip(text, position + 1) if text[position] == "," else position
    return slices


def _skip(text: str, position: int) -> int:
    while text[position : position + 1] in _BLANK:
        position += 1
    return position
