"""The log: one JSON object a line on stderr (words for a terminal), constant event names, no tokens."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import msgspec
import structlog

# A key's secret and checksum, a bearer or basic credential, a survey or unsubscribe token in a path.
_SECRETS: Final = re.compile(
    r"(?P<key>gk_(?:write|server|api)_[0-9A-Za-z]{1,12})_[0-9A-Za-z_]+"
    r"|(?P<scheme>\b(?:[Bb]earer|[Bb]asic)) +[\w.~+/=-]+"
    r"|(?P<path>/[su])/[\w.~-]{16,}"
)
_SIGNS: Final = ("gk_", "earer ", "asic ", "/s/", "/u/")  # without one of these the pattern need not be tried
_HIDDEN: Final = frozenset(("authorization", "password", "secret", "token", "write_key", "writekey", "cookie"))


def configure(level: str = "info", *, pretty: bool | None = None) -> None:
    """Sets the process's log up. `level`: debug, info, warning, error; `pretty`: words, by default on a terminal."""
    number = logging.getLevelNamesMapping()[level.upper()]
    words = sys.stderr.isatty() if pretty is None else pretty
    last = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback) if words else _json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # without the frames' variables: requests hold keys
            redact,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last look before a line is written: hides named secrets and whatever looks like a token."""
    for name, value in event.items():
        if name in _HIDDEN:
            event[name] = "…"
        elif isinstance(value, str):
            event[name] = hide_tokens(value)
    return event


def hide_tokens(text: str) -> str:
    """The text with every key, credential and survey token cut to what may be known: `gk_api_<id>_…`."""
    return _SECRETS.sub(_cut, text) if any(sign in text for sign in _SIGNS) else text


def _cut(match: re.Match[str]) -> str:
    if match["key"]:
        return match["key"] + "_…"
    return match["scheme"] + " …" if match["scheme"] else match["path"] + "/…"


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    event_first = {"event": event.pop("event", ""), **event}
    return msgspec.json.encode(event_first, enc_hook=repr).decode()
