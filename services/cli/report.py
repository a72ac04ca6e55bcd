"""What a command says: one document or words on stdout, everything else on stderr, and the exit code."""

import json
import sys
from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A command that cannot be done; the message says why. Exit code 1. `document`: what to tell beside the reason."""

    def __init__(self, reason: str, document: Mapping[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.document = dict(document or {})


class WrongUsage(Exception):
    """A command that cannot be meant; the message says why. Exit code 2."""


def tell(document: Any, as_json: bool, words: str | None = None) -> None:
    """The result: exactly one JSON document, or the words for people (by default `name: value` lines)."""
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
    else:
        sys.stdout.write((words if words is not None else _lines(document)) + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """A line of progress, on stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _lines(document: Any, indent: str = "") -> str:
    if not isinstance(document, Mapping):
        return f"{indent}{document}"
    out: list[str] = []
    for name, value in document.items():
        if isinstance(value, Mapping):
            out += [f"{indent}{name}:", _lines(value, indent + "  ")]
        else:
            out.append(f"{indent}{name}: {value}")
    return "\n".join(out)
