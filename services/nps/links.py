"""Links: opaque tokens of which only the hash is kept, one to answer, one to unsubscribe."""

import hashlib
import re
import secrets
from typing import Final

SURVEY: Final = "survey"
UNSUBSCRIBE: Final = "unsubscribe"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


def new_token() -> str:
    """192 random bits, as they stand in a link."""
    return secrets.token_urlsafe(24)


def token_hash(token: str) -> bytes | None:
    """SHA-256 of a token, all that is kept of it; None for what cannot be one."""
    return hashlib.sha256(token.encode()).digest() if _TOKEN.fullmatch(token) else None
