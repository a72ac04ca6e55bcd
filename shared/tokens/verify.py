"""A token's signature and claims against the issuers that are believed."""

import base64
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from shared.clock import Clock
from shared.errors import Unauthorized
from shared.tokens.keys import FetchedKeys, GivenKeys, Keys, PublicKey
from shared.tokens.rules import Claimed, Flaw, Wanted, claimed
from shared.tokens.settings import BadIssuers, Issuer, Issuers

LARGEST: Final = 8_192  # characters of a token
_TYPES: Final = (None, "jwt", "at+jwt")  # others (logout tokens, security events) are no way in
_BROKEN: Final = (JoseError, msgspec.DecodeError, ValueError, TypeError, RecursionError)
_NEVER: Final = ("crit", "b64", "zip")  # header members that change how the rest is read
_log = structlog.get_logger("genki.tokens")


def looks_like_one(text: str) -> bool:
    """Whether a credential is a signed token by its form: three parts; a key has no dots, an encrypted token five."""
    return text.count(".") == 2


class Tokens:
    """Verifies tokens. Their times are real time: an issuer's clock is not shifted with Genki's."""

    def __init__(self, settings: Issuers, clock: Clock) -> None:
        """Raises BadIssuers when an issuer's own keys are unusable."""
        self._clock = clock
        self._issuers = {one.issuer: _Believed(one) for one in settings.issuers}

    async def claimed(self, token: str) -> Claimed:
        """Who the bearer is. Raises Unauthorized, alike for every flaw; Unavailable when keys cannot be fetched."""
        found = await self._judged(token) if len(token) <= LARGEST else Flaw("length")
        if isinstance(found, Flaw):
            _log.info("token_refused", reason=found.reason)
            raise Unauthorized
        return found

    async def look(self) -> dict[str, tuple[int, int]]:
        """By issuer: how many usable keys it has now and for how many tenants it speaks. Raises Unavailable."""
        return {name: (await one.count(), len(one.wanted.tenants)) for name, one in self._issuers.items()}

    async def _judged(self, token: str) -> Claimed | Flaw:
        try:
            header, claims = (_object(_bytes(part)) for part in token.split(".")[:2])
            issuer = claims.get("iss")
        except _BROKEN:
            return Flaw("form")
        believed = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if believed is None:
            return Flaw("issuer")
        signed = await believed.signed(token, header)
        if isinstance(signed, Flaw):
            return signed
        real = (self._clock.now() - self._clock.offset).timestamp()
        return claimed(signed, believed.wanted, real)


class _Believed:
    """One issuer with its keys."""

    def __init__(self, issuer: Issuer) -> None:
        self.wanted: Wanted = issuer.wanted()
        self._algorithms = issuer.algorithms
        self._keys = keys_of(issuer)

    async def count(self) -> int:
        """How many keys it has."""
        return len(await self._keys.all())

    async def signed(self, token: str, header: Mapping[str, Any]) -> dict[str, Any] | Flaw:
        """The claims, if a key of this issuer signed them by an algorithm pinned for it."""
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
        if algorithm not in self._algorithms or any(name in header for name in _NEVER):
            return Flaw("algorithm")
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            return Flaw("type")
        verifier = await self._keys.find(kid) if isinstance(kid, str) else None
        if verifier is None or verifier.algorithm not in (None, algorithm):
            return Flaw("key")
        return self._verified(token, verifier.key)

    def _verified(self, token: str, key: PublicKey) -> dict[str, Any] | Flaw:
        registry = JWSRegistry(algorithms=self._algorithms)
        try:
            _bytes(token.rpartition(".")[2])
            return _object(jws.deserialize_compact(token, key, registry=registry).payload or b"")
        except _BROKEN:
            return Flaw("signature")


def keys_of(issuer: Issuer) -> Keys:
    """Where an issuer's keys come from. Raises BadIssuers when those that are given hold no usable one."""
    if issuer.jwks_url is not None:
        return FetchedKeys(issuer.jwks_url, issuer.jwks_seconds)
    try:
        return GivenKeys(issuer.jwks)
    except ValueError as problem:
        raise BadIssuers(f"{issuer.issuer}: {problem}") from problem


def _bytes(part: str) -> bytes:
    """A part of a token, which has one spelling: no padding, no foreign character, no bits set that do not count."""
    found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != part:
        raise ValueError("not canonical")
    return found


def _object(text: bytes) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
