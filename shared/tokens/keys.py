"""The public keys of an issuer: given with the settings, or fetched from its address within bounds and kept."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import aiohttp
import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from shared.errors import Unavailable

PATIENCE: Final = 3.0  # seconds for the whole of a fetch
LARGEST: Final = 256 * 1024  # bytes of a key set
AGAIN: Final = 30.0  # seconds between two fetches for the sake of an unknown key id
RETRY: Final = 5.0  # seconds between two tries while the issuer is away
STALE: Final = 3_600.0  # seconds that kept keys outlive an issuer that is away
_LEAST_RSA: Final = 2048  # bits
_log = structlog.get_logger("genki.tokens")
PublicKey = RSAKey | ECKey | OKPKey


class Verifier(NamedTuple):
    """A public key, and the only algorithm it is for where it says so."""

    key: PublicKey
    algorithm: str | None


KeySet = Mapping[str, Verifier]


class Keys(Protocol):
    """Finds an issuer's key by its id."""

    async def find(self, kid: str) -> Verifier | None: ...
    async def all(self) -> KeySet: ...


def key_set(document: Any) -> dict[str, Verifier]:
    """The usable keys of a JWK set (RFC 7517) by id: public, asymmetric, for signatures, RSA from 2048 bits; of two
    with one id neither. Others are passed over. ValueError: not a JWK set."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError("not a JWK set")  # noqa: TRY004 a broken document, whatever its parts are
    found: dict[str, Verifier | None] = {}
    for one in keys:
        kid = one.get("kid") if isinstance(one, dict) else None
        if isinstance(kid, str) and (verifier := _verifier(one)) is not None:
            found[kid] = None if kid in found else verifier
    return {kid: verifier for kid, verifier in found.items() if verifier is not None}


def _verifier(told: Mapping[str, Any]) -> Verifier | None:
    if told.get("kty") not in ("RSA", "EC", "OKP") or told.get("use", "sig") != "sig" or "d" in told:
        return None
    if "verify" not in told.get("key_ops", ["verify"]):
        return None
    if told["kty"] == "RSA" and len(str(told.get("n", ""))) * 6 < _LEAST_RSA:
        return None
    try:
        key = import_key({name: told[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in told})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if not isinstance(key, RSAKey | ECKey | OKPKey):
        return None
    algorithm = told.get("alg")
    return Verifier(key, algorithm if isinstance(algorithm, str) else None)


class GivenKeys:
    """Keys that came with the settings."""

    def __init__(self, document: Any) -> None:
        """Raises ValueError without a usable key."""
        self._keys = key_set(document)
        if not self._keys:
            raise ValueError("no usable public key with an id")

    async def find(self, kid: str) -> Verifier | None:
        """The key of that id."""
        return self._keys.get(kid)

    async def all(self) -> KeySet:
        """Every key."""
        return self._keys


class FetchedKeys:
    """Keys behind an address: fetched when first needed, when kept for `keep` seconds, and, at most every 30 s, when a
    token names an unknown id. While the issuer is away the keys last seen are believed for an hour."""

    def __init__(self, url: str, keep: float) -> None:
        self._url, self._keep = url, keep
        self._keys: KeySet = {}
        self._seen = float("-inf")
        self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> Verifier | None:
        """The key of that id. Raises Unavailable when no key was ever seen, or none for an hour."""
        return (await self._known(kid)).get(kid)

    async def all(self) -> KeySet:
        """Every key. Raises Unavailable."""
        return await self._known(None)

    async def _known(self, kid: str | None) -> KeySet:
        if self._is_due(known=kid is None or kid in self._keys):
            await self._fetch_once()
        if time.monotonic() - self._seen > max(STALE, self._keep):
            raise Unavailable("The issuer's keys cannot be fetched.")
        return self._keys

    def _is_due(self, *, known: bool) -> bool:
        now = time.monotonic()
        if now - self._seen > self._keep:
            return now - self._tried > RETRY
        return not known and now - self._tried > AGAIN

    async def _fetch_once(self) -> None:
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        await asyncio.shield(self._fetching)  # one asker's disconnect must not fail the others

    def _fetched(self, _task: "asyncio.Task[None]") -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                self._keys = key_set(msgspec.json.decode(await _body(self._url)))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, msgspec.DecodeError) as problem:
            _log.warning("issuer_keys_not_fetched", url=self._url, reason=type(problem).__name__)
            return
        self._seen = time.monotonic()


async def _body(url: str) -> bytes:
    """At most 256 KB, from this very address: a redirect is an answer that no key set is."""
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, allow_redirects=False, headers={"accept": "application/json"}) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"answers {answer.status}")
        parts = bytearray()
        async for part in answer.content.iter_chunked(16 * 1024):
            parts += part
            if len(parts) > LARGEST:
                raise ValueError("too large")
        return bytes(parts)
