"""Links: opaque tokens of which only the hash is kept, one to answer, one to unsubscribe."""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

SURVEY: Final = "survey"
UNSUBSCRIBE: Final = "unsubscribe"
PATHS: Final = {SURVEY: "/s/", UNSUBSCRIBE: "/u/"}
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)


class Links(NamedTuple):
    """The two links of one invitation, by purpose."""

    addresses: Mapping[str, str]
    tokens: Mapping[str, str]

    def hashes(self) -> Iterator[tuple[str, bytes]]:
        """Purpose and hash of each."""
        for purpose, token in self.tokens.items():
            hashed = token_hash(token)
            if hashed is not None:
                yield purpose, hashed


def new_links(base: str) -> Links:
    """Fresh links that begin with `base`."""
    tokens = {purpose: new_token() for purpose in PATHS}
    return Links({purpose: f"{base}{PATHS[purpose]}{token}" for purpose, token in tokens.items()}, tokens)


def new_token() -> str:
    """192 random bits, as they stand in a link."""
    return secrets.token_urlsafe(24)


def token_hash(token: str) -> bytes | None:
    """SHA-256 of a token, all that is kept of it; None for what cannot be one."""
    return hashlib.sha256(token.encode()).digest() if _TOKEN.fullmatch(token) else None
