"""Who is asking: keys and their format, the tenant behind a key or token, and what each kind and role may do."""

import base64
import binascii
import hashlib
import hmac
import secrets
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from starlette.requests import HTTPConnection

from shared.clock import Clock
from shared.errors import Forbidden, Unauthorized, request_id_of
from shared.memory import Memory
from shared.postgres import Database, connection
from shared.rights import KINDS, ROLES, Right, may
from shared.tokens import Claimed, Tokens, looks_like_one

__all__ = [
    "KINDS", "PRINCIPAL", "ROLES", "Key", "KeyFinder", "Keyring", "NewKey", "Principal", "Right", "check",
    "hash_secret", "may", "new_key", "parse_key", "principal", "require", "token_of",
]  # fmt: skip
PRINCIPAL: Final = "genki.principal"  # the scope key of the verified asker
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = frozenset(_BASE62)
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 22  # base62: 130.9 bits
_CHECKSUM_LENGTH: Final = 6
_TTL: Final = 4.0  # seconds a look-up is believed; a revocation is effective within 5
_KNOWN: Final = 10_000  # look-ups remembered of each sort: keys found, ids nobody has
_TENANT: Final = """
SELECT tenant, tenant_id, time_zone, currency, access.fx_currencies(tenant) AS fx FROM access.tenant
WHERE tenant_id = $1
"""


class Key(NamedTuple):
    """The parts of a key as sent; the checksum was right."""

    kind: str
    key_id: str
    secret: str


class NewKey(NamedTuple):
    """A key just made: `text` is shown once, only `secret_hash` (SHA-256, 32 bytes) is kept."""

    key_id: str
    text: str
    secret_hash: bytes


class Principal(NamedTuple):
    """Who asks, by a verified key: the tenant with its zone and currencies, the key's kind and (kind api) role. The
    bearer of a token asks as a key of kind api would; `key_id` is then `subject@issuer`, which no key's id can be."""

    tenant: int
    tenant_id: str
    kind: str
    role: str | None
    csm_id: str | None
    time_zone: str
    currency: str
    fx_currencies: frozenset[str] = frozenset()
    key_id: str = ""
    request_id: str = ""  # of the request in hand, where the asker was found by `principal`


def new_key(kind: str) -> NewKey:
    """A fresh key `gk_<kind>_<id>_<secret>_<checksum>`; the secret holds 130 random bits. ValueError: no such kind."""
    if kind not in KINDS:
        raise ValueError(f"no kind of key: {kind}")
    key_id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    body = f"gk_{kind}_{key_id}_{secret}"
    return NewKey(key_id, f"{body}_{_checksum(body)}", hash_secret(secret))


def parse_key(text: str) -> Key | None:
    """The parts of a key, or None for what cannot be one: wrong form or checksum, found without asking anyone."""
    parts = text.split("_")
    if len(parts) != 5 or parts[0] != "gk" or parts[1] not in KINDS:
        return None
    _, kind, key_id, secret, checksum = parts
    if len(key_id) != _ID_LENGTH or len(secret) != _SECRET_LENGTH or not _DIGITS.issuperset(key_id + secret):
        return None
    if _checksum(text[: -len(checksum) - 1]) != checksum:
        return None
    return Key(kind, key_id, secret)


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a key's secret: 130 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def token_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key or token in `Authorization: Bearer …` or Basic (user name), from ASGI headers; None without one."""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").partition(" ")
            return _credential(scheme.lower(), rest.strip())
    return None


class KeyFinder(Protocol):
    """Looks a key up by its id: the columns of `access.find_key`, or None."""

    async def __call__(self, key_id: str) -> Mapping[str, Any] | None: ...


class TenantFinder(Protocol):
    """Looks a tenant up by its id: tenant, tenant_id, time_zone, currency, fx; or None."""

    async def __call__(self, tenant_id: str) -> Mapping[str, Any] | None: ...


class Keyring:
    """Verifies keys and, where issuers are named, tokens; look-ups are believed for 4 s."""

    def __init__(
        self,
        db: Database | KeyFinder,
        clock: Clock,
        tokens: Tokens | None = None,
        find_tenant: TenantFinder | None = None,
    ) -> None:
        """`db`: the database, or the look-up of keys itself, then with that of tenants beside it. Expiry of keys goes
        by `clock`."""
        if isinstance(db, Database):
            db, find_tenant = _finder(db), _tenant_finder(db)
        self._find: KeyFinder = db
        self._clock = clock
        self._tokens = tokens if find_tenant is not None else None
        self._keys = Memory(self._ask, _TTL, _KNOWN)
        self._tenants = Memory(find_tenant or _nobody, _TTL, _KNOWN)
        self._opened: dict[str, tuple[str, _Entry]] = {}  # by whole key: its id and what it opened

    async def verify(self, token: str | None) -> Principal:
        """Who holds this key or bears this token. Raises Unauthorized, or Unavailable when the database, or an issuer
        whose keys were never seen, cannot be asked."""
        held = self._opened.get(token) if token else None
        if held is not None and self._keys.known(held[0]) is held[1] and not held[1].expired(self._clock):
            return held[1].principal  # the entry that this key has opened is still believed
        if token and self._tokens is not None and looks_like_one(token):
            return await self._bearer(await self._tokens.claimed(token))
        key = parse_key(token) if token else None
        if key is None:
            raise Unauthorized
        entry = await self._keys.get(key.key_id)
        if entry is None or not entry.opens(key, self._clock):
            raise Unauthorized
        if len(self._opened) >= _KNOWN:
            self._opened.clear()
        self._opened[str(token)] = (key.key_id, entry)
        return entry.principal

    def knows(self, token: str) -> bool:
        """Whether this has opened an entry before: it has a key's form. Says nothing of its being good still."""
        return token in self._opened

    def forget(self, key_id: str) -> None:
        """Drops what is remembered of a key: it was made or revoked in this process."""
        self._keys.forget(key_id)

    async def _ask(self, key_id: str) -> "_Entry | None":
        row = await self._find(key_id)
        return None if row is None else _Entry.of(key_id, row)

    async def _bearer(self, said: Claimed) -> Principal:
        row = await self._tenants.get(said.tenant_id)
        if row is None:
            raise Unauthorized
        who = {"kind": "api", "role": said.role, "csm_id": said.csm_id, "key_id": f"{said.subject}@{said.issuer}"}
        where = {name: row[name] for name in ("tenant", "tenant_id", "time_zone", "currency")}
        return Principal(**where, **who, fx_currencies=frozenset(row["fx"] or ()))


class _Entry(NamedTuple):
    """A key as the database has it."""

    principal: Principal
    secret_hash: bytes
    expires_at: datetime | None
    revoked: bool

    @classmethod
    def of(cls, key_id: str, row: Mapping[str, Any]) -> "_Entry":
        principal = Principal(
            *(row[name] for name in Principal._fields[:7]),
            fx_currencies=frozenset(row["fx"] or ()),
            key_id=key_id,
        )
        return cls(principal, bytes(row["secret_hash"]), row["expires_at"], row["revoked_at"] is not None)

    def opens(self, key: Key, clock: Clock) -> bool:
        """Whether the key as sent is this one and still good."""
        same = hmac.compare_digest(hash_secret(key.secret), self.secret_hash) and key.kind == self.principal.kind
        return same and not self.revoked and not self.expired(clock)

    def expired(self, clock: Clock) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and clock.now() >= self.expires_at


async def principal(request: HTTPConnection) -> Principal:
    """FastAPI dependency: the verified asker, by `app.state.keyring`. Raises Unauthorized."""
    asker = request.scope.get(PRINCIPAL)
    if asker is None:
        asker = await request.app.state.keyring.verify(token_of(request.scope["headers"]))
    request.scope[PRINCIPAL] = asker = asker._replace(request_id=request_id_of(request.scope))
    return asker


def require(right: Right | str) -> Callable[[HTTPConnection], Awaitable[Principal]]:
    """FastAPI dependency: the verified asker, if its key has the right. Raises Unauthorized or Forbidden."""
    wanted = Right(right)

    async def allowed(request: HTTPConnection) -> Principal:
        asker = await principal(request)
        check(asker, wanted)
        return asker

    return allowed


def check(asker: Principal, right: Right) -> None:
    """Raises Forbidden when the key's kind or role lacks the right."""
    if not may(asker.kind, asker.role, right):
        raise Forbidden


def _finder(db: Database) -> KeyFinder:
    # access.find_key is SECURITY DEFINER: before the key is known no tenant can be set, so no policy lets a row out.
    async def find(key_id: str) -> Mapping[str, Any] | None:
        async with connection(db.app) as conn:
            return await conn.fetchrow("SELECT * FROM access.find_key($1)", key_id)

    return find


def _tenant_finder(db: Database) -> TenantFinder:
    # The workers' role: a request's role may not read the list of tenants.
    async def find(tenant_id: str) -> Mapping[str, Any] | None:
        async with connection(db.worker) as conn:
            return await conn.fetchrow(_TENANT, tenant_id)

    return find


async def _nobody(_name: str) -> None:
    return None


def _credential(scheme: str, rest: str) -> str | None:
    if scheme == "bearer":
        return rest or None
    if scheme != "basic":
        return None
    try:
        return base64.b64decode(rest, validate=True).decode("latin-1").partition(":")[0] or None
    except (binascii.Error, ValueError):
        return None


def _random(length: int) -> str:
    return "".join(secrets.choice(_BASE62) for _ in range(length))


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode("utf-8", "replace")), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
