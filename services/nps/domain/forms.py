"""What a customer's browser sends: language, score and comment, taken or refused."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

MAX_COMMENT: Final = 5_000  # characters
_SCORE: Final = re.compile(r"[0-9]|10", re.ASCII)
_QUALITY: Final = re.compile(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", re.ASCII)
Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """A sound answer; no comment is None."""

    score: int
    comment: str | None


@dataclass(frozen=True, slots=True)
class Unfit:
    """An answer that is not taken: `problem` is `score` or `comment`; what was sent, to show it again."""

    problem: str
    score: int | None
    comment: str


def fields_of(body: bytes) -> Fields:
    """The fields of an urlencoded form; what cannot be read as one has none."""
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20, errors="replace")
    except ValueError:
        return {}


def read_reply(fields: Fields) -> Reply | Unfit:
    """One score from 0 to 10, a comment of at most 5,000 characters."""
    scores = fields.get("score", ())
    score = read_score(scores[0]) if len(scores) == 1 else None
    comment = plain("\n".join(fields.get("comment", ())))
    if score is None:
        return Unfit("score", None, comment[:MAX_COMMENT])
    if len(comment) > MAX_COMMENT:
        return Unfit("comment", score, comment[:MAX_COMMENT])
    return Reply(score, comment or None)


def read_score(text: str | None) -> int | None:
    """0…10, or None for anything else."""
    return int(text) if text is not None and _SCORE.fullmatch(text) else None


def plain(text: str) -> str:
    """The text without characters that neither show nor break a line, line ends as `\\n`, trimmed."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn")).strip()


def shown(text: str) -> str:
    """The text as it is shown: without the marks that turn the direction of writing around."""
    return "".join(c for c in text if unicodedata.bidirectional(c) not in _TURNING)


_TURNING: Final = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"))


def choose_language(asked: str | None, accept: str | None) -> str:
    """`ja` or `en`: what the address asks for, else what the browser likes better, else `ja` where it says nothing
    and `en` where it likes neither."""
    if asked in ("ja", "en"):
        return asked
    liked = [_liking(part) for part in (accept or "").split(",")[:50] if part.strip()]
    best = max(((quality, name) for name, quality in liked if quality > 0), key=lambda one: one[0], default=None)
    if best is None or best[1] == "*":
        return "ja"
    known = [(quality, name) for name, quality in liked if name in ("ja", "en") and quality > 0]
    return max(known, key=lambda one: one[0])[1] if known else "en"


def _liking(part: str) -> tuple[str, float]:
    name, *parameters = part.split(";")
    found = [_QUALITY.fullmatch(one) for one in parameters]
    quality = next((float(one[1]) for one in found if one), 1.0)
    return name.strip().lower().split("-")[0], quality
