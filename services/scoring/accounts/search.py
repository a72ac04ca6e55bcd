"""Text as a search sees it: folded, so that width and case do not matter, and as a range of an index. Pure."""

import unicodedata
from functools import lru_cache
from typing import Final

LONGEST: Final = 400  # characters of folded text that are told apart: what an index entry takes
_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


@lru_cache(maxsize=65_536)
def folded(text: str) -> str:
    """NFKC and case folding: `ＡＣＭＥ` and `Acme` are `acme`."""
    once = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", once)[:LONGEST]


def beyond(prefix: str) -> str | None:
    """The least text, by code point, that is greater than every text with this prefix; None = there is none."""
    for index in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[index]) + 1
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= _LAST:
            return prefix[:index] + chr(following)
    return None
