"""Who is at a tracking door: the write key in Basic, Bearer, the body or its items; two different ones are refused."""

from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.types import Scope

from shared.errors import TooMany, Unauthorized
from shared.tenancy import PRINCIPAL, Keyring, Principal, Right, check, parse_key, token_of


class Askers:
    """Finds the tenant behind a tracking request."""

    def __init__(self, keyring: Keyring, keyless_per_minute: int) -> None:
        """`keyless_per_minute`: requests of one address whose body must be read to find the key."""
        self._keyring = keyring
        self._limit = RateLimitItemPerMinute(keyless_per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def before_body(self, scope: Scope) -> "Knock":
        """Looks at the header. Raises Unauthorized for a key that nobody has, TooMany for an address without key."""
        token, basic = token_of(scope["headers"]), _is_basic(scope)
        if token is not None and (basic or self._keyring.knows(token) or parse_key(token) is not None):
            return Knock(token, basic, await self._verified(scope, token))
        if basic:
            raise Unauthorized
        address = scope["client"][0] if scope.get("client") else "unknown"
        if not await self._limiter.hit(self._limit, "keyless", address):
            raise TooMany("Too many requests without a key in the header.", retry_after=_WINDOW)
        return Knock(None, False, None)  # a Bearer that is no key of ours is some OAuth server's: the body must know

    async def after_body(self, scope: Scope, knock: "Knock", keys: frozenset[str]) -> Principal:
        """The asker by header and body. Raises Unauthorized for none, an unknown one or two, Forbidden for a kind."""
        if not keys and knock.asker is not None:
            return knock.asker
        named = keys | {knock.token} if knock.basic and knock.token else keys
        if len(named) > 1:
            raise Unauthorized("The request names more than one write key.", code="two_write_keys")
        key = next(iter(named), None)
        if key is None or key == knock.token:
            asker = knock.asker
        else:
            asker = await self._verified(scope, key)
        if asker is None:
            raise Unauthorized
        return asker

    async def _verified(self, scope: Scope, token: str) -> Principal:
        asker = await self._keyring.verify(token)
        scope[PRINCIPAL] = asker
        check(asker, Right.TRACK)
        return asker


def _is_basic(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value[:6].lower() == b"basic "
    return False


_WINDOW: Final = 60


class Knock:
    """What the header said: its key, whether it came as Basic, and who that is."""

    __slots__ = ("asker", "basic", "token")

    def __init__(self, token: str | None, basic: bool, asker: Principal | None) -> None:
        """All None when the header holds no key of ours."""
        self.token, self.basic, self.asker = token, basic, asker
