"""What a token must say to be believed. Pure: the claims are verified before, the time is handed in."""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeGuard, cast

from shared.rights import ROLES

_LONGEST_NAME: Final = 200  # characters of a subject or CSM id


class Wanted(NamedTuple):
    """What an issuer is believed about: whom it may speak for, where it says so, and for how long. Seconds."""

    issuer: str
    audience: str
    tenants: frozenset[str]
    tenant_claim: str
    role_claim: str
    csm_claim: str
    leeway: float
    longest: float


class Claimed(NamedTuple):
    """Who a good token says its bearer is."""

    issuer: str
    subject: str
    tenant_id: str
    role: str
    csm_id: str | None


class Flaw(NamedTuple):
    """Why a token is not believed: a constant word for the log, never told to the bearer."""

    reason: str


def claimed(claims: Mapping[str, Any], wanted: Wanted, now: float) -> Claimed | Flaw:
    """What the claims (RFC 7519) mean at `now`, seconds since 1970: all of it, or the first thing that is wrong."""
    flaw = _origin(claims, wanted) or _times(claims, wanted, now)
    if flaw is not None:
        return Flaw(flaw)
    subject, tenant, role = claims.get("sub"), claims.get(wanted.tenant_claim), claims.get(wanted.role_claim)
    csm_id = claims.get(wanted.csm_claim)
    if not _is_name(subject):
        return Flaw("subject")
    if not isinstance(tenant, str) or tenant not in wanted.tenants:
        return Flaw("tenant")
    if not isinstance(role, str) or role not in ROLES:
        return Flaw("role")
    if csm_id is not None and not _is_name(csm_id):
        return Flaw("csm")
    return Claimed(wanted.issuer, subject, tenant, role, csm_id)


def _origin(claims: Mapping[str, Any], wanted: Wanted) -> str | None:
    if claims.get("iss") != wanted.issuer:
        return "issuer"
    audience = claims.get("aud")
    named = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    return None if any(isinstance(one, str) and one == wanted.audience for one in named) else "audience"


def _times(claims: Mapping[str, Any], wanted: Wanted, now: float) -> str | None:
    """Nothing revokes a token, so one that would hold longer than the issuer is allowed is refused from the start."""
    ends, begins, made = claims.get("exp"), claims.get("nbf"), claims.get("iat")
    if not _is_instant(ends) or now >= ends + wanted.leeway:
        return "expired"
    if ends > now + wanted.longest + wanted.leeway:
        return "too_long"
    if begins is not None and (not _is_instant(begins) or now < begins - wanted.leeway):
        return "not_yet"
    if made is not None and (not _is_instant(made) or now < made - wanted.leeway):
        return "not_yet"
    return None


def _is_instant(value: Any) -> TypeGuard[int | float]:
    """JSON as Python reads it has NaN, Infinity and true: none of them is a time."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
