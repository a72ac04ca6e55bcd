"""Ids that no door lets in: what broken clients send for many people at once."""

from typing import Final

JUNK: Final = frozenset(("", "null", "undefined", "anonymous", "0"))


def is_junk(text: str) -> bool:
    """Whether an id is one of those that broken clients send for many people at once, or holds `#`."""
    return "#" in text or text.strip().lower() in JUNK
